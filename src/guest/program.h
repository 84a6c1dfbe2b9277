// SPDX-License-Identifier: Apache-2.0
//
// Starting what the VM is for: the entrypoint as a child, or the image's init in our place.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "guest/boot_config.h"
#include "guest/environment.h"
#include "guest/fd.h"
#include "guest/root_dir.h"
#include "guest/users.h"

namespace cocoon::guest {

/// All that exec needs, worked out while failures can still be told in words.
struct Program {
  std::vector<std::string> argv;
  Environment env;
  std::vector<std::string> candidates;
  Credentials credentials;
  UniqueFd workdir;
};

/// Reads /etc/passwd and /etc/group of the root, makes a missing working directory, completes the
/// environment.
Result<Program> prepare_program(const RunSpec& run, const std::string& hostname,
                                const RootDir& root);

/// Makes the terminal on descriptor 0 the controlling terminal of this process.
///
/// Why not of the entrypoint: when a session leader ends, the kernel hangs its terminal up and
/// throws away what the driver has not sent yet (disassociate_ctty, uart_hangup), which would cost
/// the entrypoint its last lines. So PID 1 leads the session, and the entrypoint leads a process
/// group in the terminal's foreground: keys like Ctrl-C go there.
Result<void> lead_session();

/// Starts the program as a child: own process group in the foreground of the terminal on
/// descriptor 0 (if that is one), no signal blocked, rights dropped. Fails with exit code 127 (not
/// found) or 126 (not executable) if exec does.
Result<pid_t> start_program(const Program& program);

/// Becomes the program; returns only with the failure.
Failure become_program(const Program& program);

// --- for children that have their streams already (the agent's sessions) ---

/// What a child that could not become the program tells its parent.
struct StartFailure {
  enum class Step { kTerminal, kUser, kWorkdir, kExec };
  Step step = Step::kExec;
  int error = 0;
};

/// The failure in words, with exit code 127 (not found), 126 (not executable) or 125.
Failure to_failure(const StartFailure& failure, const Program& program);

/// Working directory, limits, rights and signals of the program, then exec. Returns on failure.
StartFailure exec_program(const Program& program);

/// Every signal as a fresh program expects it.
void clean_signals();

}  // namespace cocoon::guest
