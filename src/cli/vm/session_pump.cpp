// SPDX-License-Identifier: Apache-2.0
#include "cli/vm/session_pump.h"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <optional>

#include "base/clock.h"
#include "engine/agent_access.h"
#include "sys/cancel.h"
#include "sys/files.h"
#include "sys/tty.h"

namespace cocoon::cli {
namespace {

namespace type = agent_wire::type;
using agent_wire::Frame;

// After an interruption, until the connection is dropped and the program killed with it.
constexpr Milliseconds kFarewell{2'000};
constexpr std::size_t kMaxQueued = std::size_t{256} << 10;
constexpr int kOurFailure = 125;
constexpr int kSignalBase = 128;

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

// Why a program did not start, as a shell's exit code. The original's agent has only words.
int start_failure_code(const Frame& frame) {
  if (frame.code == 126 || frame.code == 127) return static_cast<int>(frame.code);
  if (contains(frame.message, "no such file or directory") ||
      contains(frame.message, "executable file not found")) {
    return 127;
  }
  return contains(frame.message, "permission denied") ? 126 : kOurFailure;
}

int exit_code_of(const Frame& frame) {
  if (frame.signal > 0 && frame.signal < kSignalBase) {
    return kSignalBase + static_cast<int>(frame.signal);
  }
  return static_cast<int>(frame.exit_code & 0xff);  // -1, the original's death by signal, is 255
}

class Pump {
 public:
  Pump(Output& output, agent::Session& session, const PumpOptions& options)
      : output_(output), session_(session), options_(options) {}

  Result<int> run(sys::WindowChanges& window);

 private:
  Result<void> round(sys::WindowChanges& window);
  Milliseconds wait_time() const;
  Result<void> check_deadlines() const;
  Result<void> take_frames();
  Result<void> take_frame(const Frame& frame);
  Result<void> take_input();
  void take_window_size();
  void take_cancel();

  Output& output_;
  agent::Session& session_;
  PumpOptions options_;
  bool reading_ = false;
  bool started_ = false;
  std::optional<int> code_;
  std::optional<Deadline> farewell_;
  Deadline start_ = deadline_in(options_.start_limit);
};

Result<void> Pump::take_frame(const Frame& frame) {
  if (frame.type == type::kStdout) return output_.stream(frame.data);
  if (frame.type == type::kStderr) return sys::write_all(STDERR_FILENO, frame.data);
  if (frame.type == type::kStarted) {
    started_ = true;
  } else if (frame.type == type::kExit) {
    code_ = exit_code_of(frame);
  } else if (frame.type == type::kError) {
    output_.error(engine::guest_failure(frame).value());
    code_ = started_ ? kOurFailure : start_failure_code(frame);
  }
  return {};
}

Result<void> Pump::take_frames() {
  COCOON_TRY(session_.fill());
  while (!code_) {
    auto frame = COCOON_TRY(session_.next());
    if (!frame) return {};
    COCOON_TRY(take_frame(*frame));
  }
  return {};
}

Result<void> Pump::take_input() {
  std::array<char, agent_wire::kDataPiece> bytes{};
  ssize_t got = read(STDIN_FILENO, bytes.data(), bytes.size());
  if (got < 0 && (errno == EINTR || errno == EAGAIN)) return {};
  if (got < 0 && errno != EIO) return fail_errno("read standard input");
  if (got > 0) {
    session_.send_stdin({bytes.data(), static_cast<std::size_t>(got)});
    return {};
  }
  reading_ = false;
  session_.close_stdin();
  return {};
}

void Pump::take_window_size() {
  auto size = sys::window_size(STDIN_FILENO);
  if (!size) return;
  Frame frame;
  frame.type = type::kResize;
  frame.rows = size->rows;
  frame.cols = size->columns;
  session_.send(frame);
}

void Pump::take_cancel() {
  Frame frame;
  frame.type = type::kSignal;
  frame.signal = SIGINT;
  session_.send(frame);
  farewell_ = deadline_in(kFarewell);
}

Milliseconds Pump::wait_time() const {
  if (farewell_) return time_left(*farewell_);
  return started_ ? Milliseconds(-1) : time_left(start_);
}

Result<void> Pump::check_deadlines() const {
  if (farewell_ && time_left(*farewell_).count() == 0) return sys::check_cancelled();
  if (!started_ && !farewell_ && time_left(start_).count() == 0) {
    return fail(ErrorKind::kTimeout, "the guest's agent did not start the program within {} ms",
                options_.start_limit.count());
  }
  return {};
}

Result<void> Pump::round(sys::WindowChanges& window) {
  COCOON_TRY(session_.flush());
  short wanted = static_cast<short>(session_.pending() > 0 ? POLLIN | POLLOUT : POLLIN);
  bool take = reading_ && session_.pending() < kMaxQueued;
  std::array<pollfd, 4> set{pollfd{session_.fd(), wanted, 0},
                            pollfd{take ? STDIN_FILENO : -1, POLLIN, 0},
                            pollfd{options_.terminal ? window.fd() : -1, POLLIN, 0},
                            pollfd{farewell_ ? -1 : sys::cancel_fd(), POLLIN, 0}};
  if (poll(set.data(), set.size(), static_cast<int>(wait_time().count())) < 0) {
    if (errno == EINTR) return {};
    return fail_errno("wait for the guest");
  }
  if (set[3].revents != 0) take_cancel();
  if (set[2].revents != 0) {
    window.clear();
    take_window_size();
  }
  if (set[1].revents != 0) COCOON_TRY(take_input());
  if ((set[0].revents & (POLLIN | POLLHUP | POLLERR)) != 0) COCOON_TRY(take_frames());
  return check_deadlines();
}

Result<int> Pump::run(sys::WindowChanges& window) {
  reading_ = options_.input;
  // A terminal without input is left alone: the end of input would be a key press there.
  if (!options_.input && !options_.terminal) session_.close_stdin();
  while (!code_) COCOON_TRY(round(window));
  COCOON_TRY(sys::check_cancelled());
  return *code_;
}

}  // namespace

Result<void> check_streams(const PumpOptions& options) {
  if (options.terminal && options.input && isatty(STDIN_FILENO) != 1) {
    return fail(ErrorKind::kInvalid, "-t with -i: standard input is not a terminal");
  }
  return {};
}

Result<int> pump_session(Output& output, agent::Session& session, const PumpOptions& options) {
  auto window = COCOON_TRY(sys::WindowChanges::watch());
  std::optional<sys::RawTty> raw;
  if (options.terminal && options.input) raw.emplace(COCOON_TRY(sys::RawTty::enter(STDIN_FILENO)));
  return Pump(output, session, options).run(window);
}

}  // namespace cocoon::cli
