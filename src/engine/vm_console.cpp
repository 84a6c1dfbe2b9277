// SPDX-License-Identifier: Apache-2.0
#include "engine/vm_console.h"

#include <sys/socket.h>

#include <cerrno>

#include "base/clock.h"
#include "base/text.h"
#include "engine/vm_view.h"
#include "sys/cancel.h"
#include "sys/files.h"
#include "sys/unix_socket.h"

namespace cocoon::engine {
namespace {

constexpr std::size_t kMaxPacket = 16 * 1024;  // of either side (src/shim/client.h)
constexpr std::size_t kInputPiece = 4 * 1024;
constexpr std::size_t kMaxInput = 64 * 1024;
constexpr Milliseconds kAnswerWait{5'000};

std::string_view request_text(ConsoleAccess access) {
  switch (access) {
    case ConsoleAccess::kRead:
      return "console read";
    case ConsoleAccess::kWrite:
      return "console write";
    case ConsoleAccess::kSteal:
      return "console steal";
  }
  return "";
}

// One packet, whole; an empty text is the end. nullopt: nothing there.
Result<std::optional<std::string>> receive_packet(int socket) {
  std::string packet(kMaxPacket, '\0');
  ssize_t size = 0;
  bool gone = false;
  while (true) {
    size = recv(socket, packet.data(), packet.size(), MSG_DONTWAIT | MSG_TRUNC);
    if (size >= 0) break;
    // A shim that ended with a packet of ours unread resets the connection. That is told once, and
    // before what it had sent: the next reads still get that.
    bool reset = errno == ECONNRESET && !gone;
    if (!reset && errno != EINTR) break;
    gone = gone || reset;
  }
  if (size < 0 && errno == EAGAIN && !gone) return std::optional<std::string>();
  // The shim is gone: the end, like an orderly one.
  if (size < 0 && gone) size = 0;
  if (size < 0) return fail_errno("read from the console");
  if (static_cast<std::size_t>(size) > kMaxPacket) {
    return fail(ErrorKind::kCorrupt, "a console packet of {} bytes", size);
  }
  packet.resize(static_cast<std::size_t>(size));
  return std::optional<std::string>(std::move(packet));
}

// The answer to our request comes before any output.
Result<std::string> await_answer(int socket) {
  Deadline deadline = deadline_in(kAnswerWait);
  while (true) {
    auto packet = COCOON_TRY(receive_packet(socket));
    if (packet) return std::move(*packet);
    COCOON_TRY(sys::check_cancelled());
    auto left = static_cast<int>(time_left(deadline).count());
    if (left == 0) return fail(ErrorKind::kTimeout, "no answer from the console");
    COCOON_TRY(sys::wait_readable(socket, std::min(left, 100)));
  }
}

Result<void> check_answer(std::string_view answer, ConsoleAccess access) {
  constexpr std::string_view kRead = "ok read ";
  if (answer.empty()) return fail(ErrorKind::kBusy, "too many clients at the console");
  if (answer == "ok write" && access != ConsoleAccess::kRead) return {};
  if (answer.substr(0, kRead.size()) != kRead) {
    return fail(ErrorKind::kCorrupt, "unexpected answer \"{}\" from the console", answer);
  }
  if (access == ConsoleAccess::kRead) return {};
  return fail(ErrorKind::kBusy,
              "process {} is writing to the console; --steal takes it over, --read-only watches",
              answer.substr(kRead.size()));
}

ConsoleEvent event_of(std::string_view packet) {
  using Kind = ConsoleEvent::Kind;
  if (packet.empty()) return {};
  std::string_view body = packet.substr(1);
  switch (packet.front()) {
    case 'o':
      return {Kind::kOutput, std::string(body), 0};
    case 'd':
      return {Kind::kDropped, "", parse_decimal(body).value_or(0)};
    case 'l':
      return {Kind::kWriteLost, "", 0};
    case 'e':
      return {Kind::kEnded, std::string(body), 0};
    default:
      // A newer shim's packet that we do not know.
      return {Kind::kOutput, "", 0};
  }
}

}  // namespace

Result<ConsoleClient> ConsoleClient::attach(const Ports& ports, const model::Vm& vm,
                                            ConsoleAccess access) {
  if (vm.state != model::VmState::kRunning) {
    return fail(ErrorKind::kWrongState, "vm \"{}\" is {}, not running", vm.config.name,
                model::state_name(vm.state));
  }
  sys::UniqueFd dir = COCOON_TRY(sys::open_dir(vm_dir(ports, vm)), "attach to the console");
  auto socket = COCOON_TRY(sys::connect_unix(dir.get(), "shim.sock", SOCK_SEQPACKET),
                           "attach to the console");
  ConsoleClient client(std::move(socket));
  if (!COCOON_TRY(client.send_packet(request_text(access)), "attach to the console")) {
    return fail(ErrorKind::kSystem, "attach to the console: the socket takes nothing");
  }
  std::string answer = COCOON_TRY(await_answer(client.fd()), "attach to the console");
  COCOON_TRY(check_answer(answer, access));
  return client;
}

Result<std::optional<ConsoleEvent>> ConsoleClient::receive() {
  auto packet = COCOON_TRY(receive_packet(socket_.get()));
  if (!packet) return std::optional<ConsoleEvent>();
  return std::optional<ConsoleEvent>(event_of(*packet));
}

void ConsoleClient::send(std::string_view input) {
  input_ += input.substr(0, kMaxInput - std::min(kMaxInput, input_.size()));
}

void ConsoleClient::resize(sys::WindowSize size) { size_ = size; }

Result<void> ConsoleClient::flush() {
  if (size_) {
    if (!COCOON_TRY(send_packet(fmt::format("w{} {}", size_->rows, size_->columns)))) return {};
    size_.reset();
  }
  while (!input_.empty()) {
    std::string packet = "i" + input_.substr(0, kInputPiece);
    if (!COCOON_TRY(send_packet(packet))) return {};
    input_.erase(0, packet.size() - 1);
  }
  return {};
}

Result<bool> ConsoleClient::send_packet(std::string_view packet) {
  ssize_t sent = 0;
  do {
    sent = ::send(socket_.get(), packet.data(), packet.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  if (sent >= 0) return true;
  if (errno == EAGAIN) return false;
  // Gone: receive() tells why, since what the shim said last is still to be read.
  if (errno == EPIPE || errno == ECONNRESET) {
    input_.clear();
    size_.reset();
    return false;
  }
  return fail_errno("write to the console");
}

}  // namespace cocoon::engine
