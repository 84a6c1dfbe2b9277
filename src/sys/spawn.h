// SPDX-License-Identifier: Apache-2.0
// The only way we start programs: an argument vector, an explicit environment, named descriptors,
// nothing else inherited. No shell anywhere.
#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "sys/fd.h"

namespace cocoon::sys {

struct SpawnSpec {
  std::string program;            // absolute, or looked up in PATH
  std::vector<std::string> args;  // argv[1..]
  // The whole environment. Empty: PATH and LC_ALL=C.UTF-8 only.
  std::vector<std::string> env;
  std::string cwd;                       // empty: ours
  std::vector<std::pair<int, int>> fds;  // {ours, the child's number}; 0–2 default to /dev/null
  bool new_session = false;              // setsid
  bool die_with_parent = true;           // SIGKILL when we die (helpers); false for the shim
  std::optional<std::pair<uid_t, gid_t>> user;  // rights dropped to this uid and gid, no groups
  // The directory of the cgroup that the program is born in, so that it lives on when the service
  // that calls us ends; empty: ours. Where the kernel refuses, it stays in ours.
  std::string cgroup;
  // Called with the child's pid (and start time: exec changes neither) while the child waits. The
  // program runs only after success, so never unknown to what this wrote down, whenever we die.
  std::function<Result<void>(pid_t)> before_exec;
};

// A child that we have to reap. The destructor kills and reaps it unless it was waited for or
// detached.
class [[nodiscard]] Child {
 public:
  explicit Child(pid_t pid, UniqueFd pidfd) : pid_(pid), pidfd_(std::move(pidfd)) {}
  Child(Child&& other) noexcept
      : pid_(std::exchange(other.pid_, -1)), pidfd_(std::move(other.pidfd_)) {}
  Child& operator=(Child&&) = delete;
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child();

  pid_t pid() const { return pid_; }
  int pidfd() const { return pidfd_.get(); }
  // Waits for the end and returns the wait status (waitpid(2)). On cancellation or at the deadline
  // the child is killed and the error returned.
  Result<int> wait(Deadline deadline);
  // Lets it live on without us; init reaps it.
  void detach() { pid_ = -1; }
  void kill_now();

 private:
  pid_t pid_ = -1;
  UniqueFd pidfd_;
};

// Starts a program. A failed exec is an error here (kNotFound when the program does not exist), not
// an exit status later.
Result<Child> spawn(const SpawnSpec& spec);

// Runs a helper program to its end with stdin empty. Its output (stdout and stderr together, at
// most 64 KiB, the end is kept) is returned; a non-zero status is an error that quotes the output's
// last lines. `what` names the work in messages.
Result<std::string> run_program(SpawnSpec spec, Milliseconds limit);

// "exit status 1", "killed by signal 9 (Killed)".
std::string describe_wait_status(int status);

// The absolute path of a program, as execvp would find it; nullopt when there is none.
std::optional<std::string> find_program(std::string_view name);

// The directory of helper programs: ../libexec/cocoon beside the running program's directory, or
// the program's own directory when it is a helper itself (design decision 9).
Result<std::string> libexec_dir();

}  // namespace cocoon::sys
