// SPDX-License-Identifier: Apache-2.0
#include "engine/guardian.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <thread>

#include "sys/cancel.h"

namespace cocoon::engine {
namespace {

constexpr Milliseconds kResumeLimit{60'000};
constexpr Milliseconds kRetry{200};

// True: the command says that all is well. False: it is gone.
bool is_dismissed(int pipe) {
  while (true) {
    char byte = 0;
    ssize_t got = read(pipe, &byte, 1);
    if (got < 0 && errno == EINTR) continue;
    return got == 1;
  }
}

void resume(const vmm::Backend& backend, const vmm::RunningVmm& vmm) {
  Deadline deadline = deadline_in(kResumeLimit);
  while (time_left(deadline).count() > 0) {
    if (backend.resume(vmm, deadline)) return;
    auto ended = vmm::has_ended(vmm, kRetry);
    if (ended && *ended) return;
  }
}

// Nothing of the caller's terminal or of its output may be held or stop this.
void leave_caller() {
  setsid();
  for (int signo : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE}) signal(signo, SIG_IGN);
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  for (int fd = 0; fd <= 2 && null >= 0; ++fd) dup2(null, fd);
}

[[noreturn]] void guard(const vmm::Backend& backend, const vmm::RunningVmm& vmm, int pipe) {
  leave_caller();
  sys::CancelShield shield;
  if (!is_dismissed(pipe)) resume(backend, vmm);
  _exit(0);
}

}  // namespace

Result<Guardian> Guardian::start(const vmm::Backend& backend, const vmm::RunningVmm& vmm) {
  sys::Pipe pipe = COCOON_TRY(sys::make_pipe());
  pid_t pid = fork();
  if (pid < 0) return fail_errno("start the guardian of the guest");
  if (pid == 0) {
    pipe.write_end.reset();
    guard(backend, vmm, pipe.read_end.get());
  }
  return Guardian(pid, std::move(pipe.write_end));
}

void Guardian::dismiss() {
  if (pid_ < 0) return;
  char byte = 1;
  while (write(pipe_.get(), &byte, 1) < 0 && errno == EINTR) {
  }
  end();
}

void Guardian::end() {
  pipe_.reset();
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
}

Guardian::~Guardian() {
  if (pid_ >= 0) end();
}

}  // namespace cocoon::engine
