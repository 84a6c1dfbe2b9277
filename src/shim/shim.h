// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>

#include "shim/clients.h"
#include "shim/config.h"
#include "shim/console.h"
#include "shim/console_log.h"
#include "shim/exit_record.h"
#include "shim/fd.h"
#include "shim/identity.h"
#include "shim/marker.h"
#include "shim/vmm_log.h"

namespace cocoon::shim {

// Everything one shim holds. There is one of these in a program, in zeroed static memory, and
// nothing is allocated anywhere: a page that is never used costs nothing, and nothing grows.
struct Shim {
  Shim() = default;
  ~Shim() = default;
  Shim(const Shim&) = delete;
  Shim& operator=(const Shim&) = delete;

  Config config;  // points into config_bytes
  UniqueFd vm_dir;
  UniqueFd log_dir;
  UniqueFd lock;  // shim.lock, held for life
  ExitFile exit_file;
  Identity identity;
  Marker marker;
  ConsoleLog console_log;
  VmmLog vmm_log;
  Console console{marker, console_log};
  Clients clients{console};
  UniqueFd console_listener;
  UniqueFd shim_listener;
  UniqueFd vmm;  // pidfd
  bool is_parent = false;
  std::array<char, kMaxConfigBytes> config_bytes;
};

// Exit codes of the program before it serves.
enum class Start {
  kServing = 0,
  kFailed = 1,
  kBusy = 3,  // another shim holds shim.lock
  kGone = 4,  // adopt: the VMM has ended; nothing was written
};

struct [[nodiscard]] Started {
  Start start = Start::kServing;
  Line why{};  // what failed, for kFailed
};

// `cocoon-shim launch <vm_dir>`: reads shim.conf, starts the VMM, binds the sockets and gives up
// all rights but CAP_KILL. On failure no VMM, socket or identity file is left.
Started launch(Shim& shim, const char* vm_dir);

// `cocoon-shim adopt <vm_dir>`: takes over a VMM whose shim is dead, by the PTY master that the VMM
// holds as descriptor 3. On failure nothing in the VM directory has changed but that stale sockets
// may be gone.
Started adopt(Shim& shim, const char* vm_dir);

// Removes the sockets, so that nobody connects to a shim that is about to go.
void remove_sockets(const Shim& shim);

}  // namespace cocoon::shim
