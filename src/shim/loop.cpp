// SPDX-License-Identifier: Apache-2.0
#include "shim/loop.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <span>

#include "shim/halt_watch.h"
#include "shim/panic_watch.h"
#include "shim/setup.h"

namespace cocoon::shim {
namespace {

using Milliseconds = long long;

constexpr Milliseconds kNever = -1;
// How often vmm.log is measured: when awake anyway, seldom while all is quiet, often while it grows
// fast.
constexpr Milliseconds kAwakeLogCheck = 1000;
constexpr Milliseconds kCalmLogCheck = 10'000;
constexpr Milliseconds kBusyLogCheck = 250;
constexpr std::uint64_t kFastGrowth = 256 * 1024;
// How often a guest that says that it has halted is looked at.
constexpr Milliseconds kHaltCheck = 1000;
// Pause after which what has failed is tried again.
constexpr Milliseconds kRetry = 1000;
// Bounds for the last words: a process that outlives the VMM may hold the slave and go on writing,
// and a client may not read.
constexpr Milliseconds kDrainTime = 2000;
constexpr Milliseconds kFarewellTime = 1000;

Milliseconds now() {
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return Milliseconds{time.tv_sec} * 1000 + time.tv_nsec / 1'000'000;
}

void pause() {
  constexpr timespec kPause{0, 100'000'000};
  ::nanosleep(&kPause, nullptr);
}

Milliseconds earlier(Milliseconds a, Milliseconds b) {
  if (a == kNever) return b;
  return b == kNever ? a : std::min(a, b);
}

// Guest memory ends with its VMM: a file on tmpfs would hold host memory until some later command
// looked. `memory` in the VM's directory (root's, so nobody else made it) is the file or a link to
// it.
void release_memory(int vm_dir) {
  std::array<char, 4096> target{};
  const ssize_t size = ::readlinkat(vm_dir, kMemoryFile, target.data(), target.size() - 1);
  if (size > 0 && target[0] == '/') ::unlink(target.data());
  ::unlinkat(vm_dir, kMemoryFile, 0);
}

class Loop {
 public:
  explicit Loop(Shim& shim) : shim_(shim) {}

  void run() {
    check_vmm_log();
    while (!recorded_ && !stop_requested()) turn();
    if (!recorded_) return remove_sockets(shim_);
    say_goodbye();
  }

 private:
  enum Entry : std::size_t { kVmm, kMaster, kShimSocket, kConsoleSocket, kFirstClient };
  using Entries = std::array<pollfd, kFirstClient + Clients::kMaxClients>;

  static std::span<pollfd, Clients::kMaxClients> client_entries(Entries& entries) {
    return std::span(entries).subspan<kFirstClient, Clients::kMaxClients>();
  }

  void turn() {
    Entries entries = wait();
    const Milliseconds time = now();
    if (entries[kMaster].revents != 0) pump(time);
    if (shim_.console.has_input()) shim_.console.push_input();
    shim_.clients.handle(client_entries(entries));
    accept(entries[kShimSocket], ClientKind::kPacket, time);
    accept(entries[kConsoleSocket], ClientKind::kStream, time);
    shim_.clients.flush();
    if (next_log_check_ <= time || last_log_check_ + kAwakeLogCheck <= time) check_vmm_log();
    if (console_retry_ != kNever && console_retry_ <= time) console_retry_ = kNever;
    if (accept_retry_ != kNever && accept_retry_ <= time) accept_retry_ = kNever;
    if (!ended_ && (entries[kVmm].revents & POLLIN) != 0) take_end();
    if (!ended_ && shim_.config.ends_by_reboot) watch_halt(time);
    if (!ended_ && !shim_.config.ends_by_reboot) watch_panics(time);
    if (ended_ && record_retry_ <= time) write_record();
  }

  Entries wait() {
    Entries entries;
    entries[kVmm] = {ended_ ? -1 : shim_.vmm.get(), POLLIN, 0};
    const bool console_up = !ended_ && console_retry_ == kNever;
    entries[kMaster] = {console_up ? shim_.console.master() : -1, POLLIN, 0};
    if (shim_.console.has_input()) entries[kMaster].events |= POLLOUT;
    const bool accepting = accept_retry_ == kNever;
    entries[kShimSocket] = {accepting ? shim_.shim_listener.get() : -1, POLLIN, 0};
    entries[kConsoleSocket] = {accepting ? shim_.console_listener.get() : -1, POLLIN, 0};
    shim_.clients.fill(client_entries(entries));
    const Milliseconds left = std::max(next_deadline() - now(), Milliseconds{0});
    const timespec timeout{left / 1000, (left % 1000) * 1'000'000};
    sigset_t none;
    ::sigemptyset(&none);
    if (::ppoll(entries.data(), entries.size(), &timeout, &none) < 0) {
      // Anything but a signal (no memory, a descriptor limit below the number of entries) may pass.
      if (errno != EINTR) pause();
      for (pollfd& entry : entries) entry.revents = 0;
    }
    return entries;
  }

  [[nodiscard]] Milliseconds next_deadline() const {
    Milliseconds deadline = earlier(next_log_check_, earlier(console_retry_, accept_retry_));
    if (ended_) deadline = earlier(deadline, record_retry_);
    if (!ended_) deadline = earlier(deadline, halt_check_);
    // In case room on the console is not reported.
    if (shim_.console.has_input()) deadline = earlier(deadline, now() + kRetry);
    return deadline;
  }

  void accept(const pollfd& listener, ClientKind kind, Milliseconds time) {
    if ((listener.revents & POLLIN) == 0) return;
    if (!shim_.clients.accept_from(listener.fd, kind)) accept_retry_ = time + kRetry;
  }

  void pump(Milliseconds time) {
    // The VMM lives but has closed its console: poll() would report that for ever.
    if (shim_.console.pump() == Console::Pumped::kHungUp) console_retry_ = time + kRetry;
  }

  // The guest has powered off and its VMM would stay for ever.
  void watch_halt(Milliseconds time) {
    if (!shim_.marker.may_have_halted()) {
      halt_check_ = kNever;
      halt_watch_.reset();
      return;
    }
    if (halt_check_ != kNever && time < halt_check_) return;
    halt_check_ = time + kHaltCheck;
    const auto switches = count_context_switches(shim_.identity.process.pid);
    if (!halt_watch_.is_over(time, switches)) return;
    halted_ = true;
    send_signal(shim_.vmm.get(), SIGKILL);
  }

  // The guest reboots in place, for ever.
  void watch_panics(Milliseconds time) {
    if (!panic_watch_.is_over(time, shim_.marker.panics())) return;
    panics_ = true;
    send_signal(shim_.vmm.get(), SIGKILL);
  }

  void check_vmm_log() {
    const bool fast = shim_.vmm_log.keep_below_limit() > kFastGrowth;
    last_log_check_ = now();
    next_log_check_ = last_log_check_ + (fast ? kBusyLogCheck : kCalmLogCheck);
  }

  void take_end() {
    const Milliseconds deadline = now() + kDrainTime;
    while (shim_.console.pump() == Console::Pumped::kMore && now() < deadline) {
      shim_.clients.flush();
    }
    Ending ending;
    if (shim_.is_parent) {
      int status = 0;
      if (::waitpid(shim_.identity.process.pid, &status, 0) > 0) ending.wait_status = status;
    }
    release_memory(shim_.vm_dir.get());
    ending.guest_exit = shim_.marker.guest_exit();
    ending.word = halted_ ? KernelWord::kHalted : shim_.marker.word();
    ending.ends_by_reboot = shim_.config.ends_by_reboot;
    if (panics_) ending.panic = shim_.marker.panic();
    reason_ = describe_ending(ending, shim_.vmm_log.last_line().view());
    record_ = render_exit_record(shim_.identity, ending, current_time().view(), reason_.view());
    ended_ = true;
  }

  void write_record() {
    recorded_ = shim_.exit_file.write(record_.view()).ok || !shim_.exit_file.can_exist();
    record_retry_ = now() + kRetry;
  }

  // The lock goes before the clients: a new shim may start now.
  void say_goodbye() {
    remove_sockets(shim_);
    ::unlinkat(shim_.vm_dir.get(), kIdentityFile, 0);
    shim_.lock.reset();
    const Milliseconds deadline = now() + kFarewellTime;
    shim_.clients.flush();
    while (shim_.clients.any_lags() && now() < deadline) {
      Clients::PollSet entries;
      shim_.clients.fill(entries);
      ::poll(entries.data(), entries.size(), static_cast<int>(deadline - now()));
      shim_.clients.handle(entries);
      shim_.clients.flush();
    }
    shim_.clients.end(reason_.view());
  }

  Shim& shim_;
  bool ended_ = false;
  bool recorded_ = false;
  bool halted_ = false;  // the guest, which is why we ended the VMM
  bool panics_ = false;  // the guest, which is why we ended the VMM
  HaltWatch halt_watch_;
  PanicWatch panic_watch_;
  Milliseconds halt_check_ = kNever;
  Milliseconds last_log_check_ = 0;
  Milliseconds next_log_check_ = 0;
  Milliseconds console_retry_ = kNever;
  Milliseconds accept_retry_ = kNever;
  Milliseconds record_retry_ = 0;
  Line reason_;
  Text<2048> record_;
};

}  // namespace

void serve(Shim& shim) {
  // Wake-ups of many idle shims may be put together; none of them is urgent.
  ::prctl(PR_SET_TIMERSLACK, 500'000'000UL, 0UL, 0UL, 0UL);
  Loop(shim).run();
}

}  // namespace cocoon::shim
