// SPDX-License-Identifier: Apache-2.0
#include "vmm/running_vmm.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/text.h"
#include "sys/cancel.h"
#include "sys/files.h"
#include "sys/stream_socket.h"
#include "sys/unix_socket.h"

namespace cocoon::vmm {
namespace {

constexpr Milliseconds kPoll{1};
constexpr Milliseconds kCallLimit{2'000};
// The first repetition comes soon, because most guests that miss a request are just booting.
constexpr Milliseconds kFirstRepeat{1'000};
constexpr Milliseconds kRepeat{3'000};
constexpr std::size_t kLogTail = 4096;

// Not yet listening, or its queue of connections is full: worth another try.
bool may_come(const Error& error) {
  return error.kind == ErrorKind::kSystem &&
         (error.saved_errno == ENOENT || error.saved_errno == ECONNREFUSED ||
          error.saved_errno == EAGAIN);
}

// Notices a new name in the directory of a VMM's socket, so that nobody has to look for the socket
// again and again. Where the host has no inotify instance left, waiting is looking again.
class SocketWatch {
 public:
  explicit SocketWatch(std::string_view socket) : socket_(socket) {}

  // Until a name has come or `limit` is over; the first time it returns at once, because the name
  // may have come before. True: the VMM has ended. kInterrupted.
  Result<bool> wait(const RunningVmm& vmm, Milliseconds limit) {
    if (!is_set_) {
      set(vmm.vm_dir);
      return has_ended(vmm, Milliseconds(0));
    }
    if (!events_.valid() || vmm.handle == nullptr) return has_ended(vmm, std::min(limit, kPoll));
    std::array<pollfd, 3> set{pollfd{vmm.handle->pidfd(), POLLIN, 0},
                              pollfd{sys::cancel_fd(), POLLIN, 0},
                              pollfd{events_.get(), POLLIN, 0}};
    if (poll(set.data(), set.size(), static_cast<int>(limit.count())) < 0 && errno != EINTR) {
      return fail_errno("wait for the VMM's socket");
    }
    std::array<char, 4096> names{};
    while (read(events_.get(), names.data(), names.size()) > 0) {
    }
    return has_ended(vmm, Milliseconds(0));
  }

 private:
  void set(int vm_dir) {
    is_set_ = true;
    auto slash = socket_.rfind('/');
    std::string parent(slash == std::string_view::npos ? "." : socket_.substr(0, slash));
    auto dir = sys::open_beneath(vm_dir, parent, O_PATH | O_DIRECTORY | O_NOFOLLOW);
    if (!dir) return;
    sys::UniqueFd events(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    std::string path = fmt::format("/proc/self/fd/{}", dir->get());
    if (inotify_add_watch(events.get(), path.c_str(), IN_CREATE) >= 0) events_ = std::move(events);
  }

  std::string_view socket_;
  bool is_set_ = false;
  sys::UniqueFd events_;
};

// Somebody else is connected right now, or the process is about to end.
bool is_transient(const Error& error) {
  return error.kind == ErrorKind::kTimeout || sys::is_peer_gone(error);
}

}  // namespace

std::string last_words(const RunningVmm& vmm) {
  struct stat info {};
  if (stat(vmm.log.c_str(), &info) != 0) return {};
  auto size = static_cast<std::uint64_t>(info.st_size);
  // The log was emptied in between (it is bounded): everything in it is new.
  std::uint64_t start = size < vmm.log_offset ? 0 : vmm.log_offset;
  std::string tail = sys::read_tail(
      vmm.log, static_cast<std::size_t>(std::min<std::uint64_t>(size - start, kLogTail)));
  std::string lines = last_lines(trim(tail), 3);
  std::replace(lines.begin(), lines.end(), '\n', ';');  // an error is one line
  return lines;
}

Failure died(const RunningVmm& vmm, std::string_view program) {
  std::string words = last_words(vmm);
  if (words.empty()) {
    return fail(ErrorKind::kVmm, "{} ended without a word in {}", program, vmm.log.native());
  }
  return fail(ErrorKind::kVmm, "{} ended: {}", program, words);
}

Result<bool> has_ended(const RunningVmm& vmm, Milliseconds wait) {
  if (vmm.handle == nullptr) return true;
  return vmm.handle->wait_exit(wait);
}

Result<sys::UniqueFd> connect_vmm(const RunningVmm& vmm, const VmmDoor& door, Deadline deadline) {
  SocketWatch watch(door.socket);
  while (true) {
    // Without blocking: a hostile VMM could let its queue of connections run full.
    auto socket = sys::connect_unix(vmm.vm_dir, door.socket, SOCK_STREAM | SOCK_NONBLOCK);
    if (socket) {
      pid_t peer = COCOON_TRY(sys::peer_pid(socket->get()));
      if (peer == vmm.process.pid) return std::move(*socket);
      return fail(ErrorKind::kCorrupt, "{} belongs to process {}, not to the VMM {}", door.socket,
                  peer, vmm.process.pid);
    }
    if (!may_come(socket.error())) return pass(socket.error());
    bool is_there = socket.error().saved_errno != ENOENT;  // and does not listen yet
    if (COCOON_TRY(is_there ? has_ended(vmm, kPoll) : watch.wait(vmm, time_left(deadline)))) {
      return died(vmm, door.program);
    }
    if (time_left(deadline).count() == 0) {
      return fail(ErrorKind::kTimeout, "no way to {} in time: {}", door.program,
                  socket.error().cause);
    }
  }
}

Failure explain_failed_start(const RunningVmm& vmm, std::string_view program, Error error) {
  bool broken = sys::is_peer_gone(error);
  if (broken) {
    auto ended = has_ended(vmm, kCallLimit);
    if (ended && *ended) return died(vmm, program);
  }
  if (error.kind == ErrorKind::kTimeout || error.kind == ErrorKind::kVmm || broken) {
    std::string words = last_words(vmm);
    bool said = words.empty() || error.cause.find(words) != std::string::npos;
    if (!said) error.cause += fmt::format(" ({} said: {})", program, words);
  }
  return pass(std::move(error), fmt::format("start {}", program));
}

Result<bool> ask_until_ended(const RunningVmm& vmm, Deadline deadline,
                             const std::function<Result<void>(Deadline)>& ask) {
  Milliseconds pause = kFirstRepeat;
  while (true) {
    auto asked = ask(std::min(deadline, deadline_in(kCallLimit)));
    if (!asked && asked.error().kind == ErrorKind::kInterrupted) return pass(asked.error());
    if (COCOON_TRY(has_ended(vmm, std::min(pause, time_left(deadline))))) return true;
    if (!asked && !is_transient(asked.error())) {
      return pass(asked.error(), "ask the guest to shut down");
    }
    if (time_left(deadline).count() == 0) return false;
    pause = kRepeat;
  }
}

}  // namespace cocoon::vmm
