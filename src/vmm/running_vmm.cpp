// SPDX-License-Identifier: Apache-2.0
#include "vmm/running_vmm.h"

#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "base/text.h"
#include "sys/files.h"
#include "sys/stream_socket.h"
#include "sys/unix_socket.h"

namespace cocoon::vmm {
namespace {

constexpr Milliseconds kPoll{2};
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
    if (COCOON_TRY(has_ended(vmm, kPoll))) return died(vmm, door.program);
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
