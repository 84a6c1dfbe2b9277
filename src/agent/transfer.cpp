// SPDX-License-Identifier: Apache-2.0
#include "agent/transfer.h"

#include <poll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "sys/cancel.h"

namespace cocoon::agent {
namespace {

namespace type = agent_wire::type;

constexpr std::size_t kMaxQueued = std::size_t{512} << 10;
constexpr std::size_t kMaxData = std::size_t{1} << 20;
constexpr std::size_t kMaxDiscarded = std::size_t{4} << 20;
constexpr std::size_t kMaxRemarks = 1000;
constexpr std::size_t kMaxRemark = 4096;

}  // namespace

void Transfer::take_remarks(std::string_view text) {
  while (!text.empty()) {
    std::string_view part = text.substr(0, text.find('\n'));
    bool whole = part.size() < text.size();
    text.remove_prefix(std::min(text.size(), part.size() + 1));
    line_ += part.substr(0, kMaxRemark - std::min(kMaxRemark, line_.size()));
    if (!whole) return;
    if (++remarks_ <= kMaxRemarks) remark_(line_);
    line_.clear();
  }
}

// An archive's padding may come, but not on and on. The rest of one that was given up, for a reason
// of ours, is no fault of the guest.
Result<void> Transfer::discard(std::size_t size) {
  discarded_ += size;
  if (discarded_ <= kMaxDiscarded) return {};
  return fail(use_ == Use::kWrite ? ErrorKind::kCorrupt : ErrorKind::kVmm,
              "the guest's agent sent more than {} bytes that nobody wants", kMaxDiscarded);
}

Result<void> Transfer::take(const agent_wire::Frame& frame) {
  if (frame.type == type::kStdout && use_ != Use::kRead) {
    return discard(frame.data.size());
  }
  if (frame.type == type::kStdout) {
    data_ += frame.data;
    if (!frame.data.empty()) patience_ = deadline_in(silence_);
  } else if (frame.type == type::kStderr) {
    take_remarks(frame.data);
  } else if (frame.type == type::kExit) {
    over_ = true;
    exit_code_ = frame.exit_code;
  } else if (frame.type == type::kError) {
    over_ = true;
    bool old = frame.message.find("expected first frame type") != std::string::npos;
    return fail(old ? ErrorKind::kUnsupported : ErrorKind::kVmm, "{}{}",
                old ? "the guest's agent is too old for this: " : "", frame.message);
  }
  return {};
}

// Sends what is queued and takes what has arrived; waits for one of the two if asked to.
Result<void> Transfer::pump(bool may_wait) {
  std::size_t queued = session_.pending();
  COCOON_TRY(session_.flush());
  if (session_.pending() < queued) patience_ = deadline_in(silence_);
  short wanted = static_cast<short>(session_.pending() > 0 ? POLLIN | POLLOUT : POLLIN);
  std::array<pollfd, 2> set{pollfd{session_.fd(), wanted, 0}, pollfd{sys::cancel_fd(), POLLIN, 0}};
  int limit = may_wait ? static_cast<int>(time_left(patience_).count()) : 0;
  if (poll(set.data(), set.size(), limit) < 0 && errno != EINTR) {
    return fail_errno("wait for the agent");
  }
  COCOON_TRY(sys::check_cancelled());
  // What nobody asked for is no progress: a guest that floods us with it is as good as silent.
  if (may_wait && time_left(patience_).count() == 0) {
    return fail(ErrorKind::kTimeout, "the guest's agent did nothing for {} ms", silence_.count());
  }
  if ((set[0].revents & (POLLIN | POLLHUP | POLLERR)) == 0) return {};
  COCOON_TRY(session_.fill());
  while (!over_) {
    auto frame = COCOON_TRY(session_.next());
    if (!frame) return {};
    COCOON_TRY(take(*frame));
  }
  return {};
}

std::size_t Transfer::read_some(char* to, std::size_t size) {
  patience_ = deadline_in(silence_);  // the time that we took ourselves does not count
  while (taken_ == data_.size()) {
    data_.clear();
    taken_ = 0;
    if (over_ || !result_) return 0;
    result_ = pump(true);
  }
  std::size_t piece = std::min(size, data_.size() - taken_);
  std::memcpy(to, data_.data() + taken_, piece);
  taken_ += piece;
  if (taken_ > kMaxData) {
    data_.erase(0, taken_);
    taken_ = 0;
  }
  return piece;
}

bool Transfer::read(char* to, std::size_t size) {
  while (size > 0) {
    std::size_t piece = read_some(to, size);
    if (piece == 0) return false;
    to += piece;
    size -= piece;
  }
  return true;
}

bool Transfer::write(std::string_view bytes) {
  if (!result_ || over_) return false;
  use_ = Use::kWrite;
  patience_ = deadline_in(silence_);
  session_.send_stdin(bytes);
  do {
    result_ = pump(session_.pending() > kMaxQueued);
  } while (result_ && !over_ && session_.pending() > kMaxQueued);
  return result_.has_value() && !over_;
}

bool Transfer::wait_for(int fd) {
  use_ = Use::kWrite;
  while (result_ && !over_) {
    short wanted = static_cast<short>(session_.pending() > 0 ? POLLIN | POLLOUT : POLLIN);
    std::array<pollfd, 3> set{pollfd{fd, POLLIN, 0}, pollfd{session_.fd(), wanted, 0},
                              pollfd{sys::cancel_fd(), POLLIN, 0}};
    if (poll(set.data(), set.size(), -1) < 0) {
      if (errno == EINTR) continue;
      result_ = fail_errno("wait for the archive");
    } else if (set[1].revents != 0 || set[2].revents != 0) {
      result_ = pump(false);
    }
    if (set[0].revents != 0) break;
  }
  return result_.has_value() && !over_;
}

Result<void> Transfer::finish() {
  if (use_ == Use::kRead) use_ = Use::kReadEnd;
  if (!over_ && result_) session_.close_stdin();
  patience_ = deadline_in(silence_);
  while (result_ && !over_) result_ = pump(true);
  if (!result_) return result_;
  if (exit_code_ == 0) return {};
  if (remarks_ == 0) return fail(ErrorKind::kVmm, "the guest's side of the copy died");
  return fail(ErrorKind::kVmm, "{} problems in the guest", remarks_);
}

}  // namespace cocoon::agent
