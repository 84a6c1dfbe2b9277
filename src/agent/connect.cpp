// SPDX-License-Identifier: Apache-2.0
#include "agent/connect.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>

#include "sys/cancel.h"
#include "sys/unix_socket.h"

namespace cocoon::agent {
namespace {

constexpr Milliseconds kFirstPause{10};
constexpr Milliseconds kLongestPause{200};
constexpr Milliseconds kQuiet{1'500};  // then the user is told what is waited for
constexpr std::size_t kMaxAnswer = 64;

bool may_come(const Error& error) {
  constexpr std::array kKinds{ENOENT, ECONNREFUSED, EAGAIN, ECONNRESET, EPIPE};
  return error.kind == ErrorKind::kSystem &&
         std::find(kKinds.begin(), kKinds.end(), error.saved_errno) != kKinds.end();
}

// One call, with the moment at which the user is told.
class Waiter {
 public:
  Waiter(const Connect& how, Deadline deadline)
      : how_(how), deadline_(deadline), told_at_(deadline_in(kQuiet)) {}

  // Time that may be waited now; 0: none is left.
  Milliseconds left() {
    if (!told_ && time_left(told_at_).count() == 0) {
      told_ = true;
      if (how_.on_wait) how_.on_wait();
    }
    Milliseconds left = time_left(deadline_);
    return told_ ? left : std::min(left, time_left(told_at_) + Milliseconds(1));
  }
  bool over() const { return time_left(deadline_).count() == 0; }

 private:
  const Connect& how_;
  Deadline deadline_;
  Deadline told_at_;
  bool told_ = false;
};

Result<void> check_vmm(const Connect& how) {
  if (how.vmm == nullptr) return {};
  if (COCOON_TRY(how.vmm->wait_exit(Milliseconds(0)))) {
    return fail(ErrorKind::kVmm, "the VM ended");
  }
  return {};
}

// Until the socket can be read: false when no time is left.
Result<bool> wait_for_answer(int fd, const Connect& how, Waiter& waiter) {
  while (true) {
    int vmm = how.vmm == nullptr ? -1 : how.vmm->pidfd();
    std::array<pollfd, 3> set{pollfd{fd, POLLIN, 0}, pollfd{sys::cancel_fd(), POLLIN, 0},
                              pollfd{vmm, POLLIN, 0}};
    int happened = poll(set.data(), set.size(), static_cast<int>(waiter.left().count()));
    if (happened < 0 && errno != EINTR) return fail_errno("wait for the agent");
    COCOON_TRY(sys::check_cancelled());
    if (happened > 0 && set[0].revents != 0) return true;
    COCOON_TRY(check_vmm(how));
    if (waiter.over()) return false;
  }
}

// The answer to CONNECT, a byte at a time: what follows it is the session's. False: the other side
// closed without a word, or time is over.
Result<bool> read_answer(int fd, const Connect& how, Waiter& waiter) {
  std::string answer;
  while (answer.size() < kMaxAnswer) {
    if (!COCOON_TRY(wait_for_answer(fd, how, waiter))) return false;
    char byte = 0;
    ssize_t got = recv(fd, &byte, 1, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (got <= 0) return false;
    if (byte == '\n') {
      if (answer.rfind("OK ", 0) == 0) return true;
      return fail(ErrorKind::kCorrupt, "the agent's socket answered \"{}\"", answer);
    }
    answer += byte;
  }
  return fail(ErrorKind::kCorrupt, "the agent's socket answered with an endless line");
}

// One try; nullopt: not yet.
Result<std::optional<sys::UniqueFd>> try_connect(const Connect& how, Waiter& waiter) {
  std::optional<sys::UniqueFd> none;
  if (how.prepare) {
    auto prepared = how.prepare();
    if (!prepared && !may_come(prepared.error())) return pass(std::move(prepared).error());
    if (!prepared) return none;
  }
  auto socket = sys::connect_unix(how.dir, how.socket, SOCK_STREAM | SOCK_NONBLOCK);
  if (!socket && !may_come(socket.error())) return pass(std::move(socket).error());
  if (!socket) return none;
  std::string line = fmt::format("CONNECT {}\n", how.port);
  if (send(socket->get(), line.data(), line.size(), MSG_NOSIGNAL | MSG_DONTWAIT) !=
      static_cast<ssize_t>(line.size())) {
    return none;
  }
  if (!COCOON_TRY(read_answer(socket->get(), how, waiter))) return none;
  return std::optional<sys::UniqueFd>(std::move(*socket));
}

Result<void> pause_before_retry(const Connect& how, Waiter& waiter, Milliseconds pause) {
  int vmm = how.vmm == nullptr ? -1 : how.vmm->pidfd();
  std::array<pollfd, 2> set{pollfd{sys::cancel_fd(), POLLIN, 0}, pollfd{vmm, POLLIN, 0}};
  poll(set.data(), set.size(), static_cast<int>(std::min(pause, waiter.left()).count()));
  return sys::check_cancelled();
}

}  // namespace

Result<sys::UniqueFd> connect_agent(const Connect& how, Deadline deadline) {
  Waiter waiter(how, deadline);
  Milliseconds pause = kFirstPause;
  while (true) {
    COCOON_TRY(check_vmm(how));
    auto socket = COCOON_TRY(try_connect(how, waiter));
    if (socket) return std::move(*socket);
    if (waiter.over()) return fail(ErrorKind::kTimeout, "no agent answers in the guest");
    if (how.once) return fail(ErrorKind::kNotFound, "nobody listens in the guest");
    COCOON_TRY(pause_before_retry(how, waiter, pause));
    pause = std::min(pause * 2, kLongestPause);
  }
}

}  // namespace cocoon::agent
