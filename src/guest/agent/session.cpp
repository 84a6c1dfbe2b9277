// SPDX-License-Identifier: Apache-2.0
#include "guest/agent/session.h"

#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "guest/agent/requests.h"
#include "guest/agent/session_program.h"
#include "guest/supervisor.h"

namespace cocoon::guest {
namespace {

using agent_wire::Frame;
namespace type = agent_wire::type;

/// How long a background child that has kept the pipes is waited for.
constexpr std::chrono::seconds kDrainLimit{2};
constexpr std::size_t kAnswerLimit = 256 * 1024;
constexpr char kEndOfTransmission = 4;  // Ctrl-D

Frame frame_of(std::string_view name) {
  Frame frame;
  frame.type = name;
  return frame;
}

/// As the original's agent words it: lower case.
std::string lower_first(std::string text) {
  if (!text.empty()) text[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(text[0])));
  return text;
}

unsigned short as_cells(std::int64_t count) {
  return static_cast<unsigned short>(std::clamp<std::int64_t>(count, 0, 10'000));
}

std::size_t unread(const UniqueFd& fd) {
  int count = 0;
  return fd && ::ioctl(fd.get(), FIONREAD, &count) == 0 && count > 0
             ? static_cast<std::size_t>(count)
             : 0;
}

}  // namespace

Session::~Session() { abandon(); }

void Session::abandon() {
  child_.signal(SIGKILL);
  streams_ = ChildStreams();
  out_ = in_ = answer_ = std::string();
  in_sent_ = 0;
  stage_ = Stage::kOver;
}

void Session::send(const Frame& frame) { out_ += agent_wire::render_frame(frame); }

void Session::fail(std::string message, int code) {
  if (over()) return;
  Frame frame = frame_of(type::kError);
  frame.message = std::move(message);
  frame.code = code;
  send(frame);
  child_.signal(SIGKILL);
  streams_ = ChildStreams();
  stage_ = Stage::kOver;
}

void Session::take_line(std::string_view line) {
  if (over()) return;
  Frame frame;
  if (!agent_wire::parse_frame(line, frame)) return fail("malformed frame");
  if (stage_ == Stage::kNew) {
    stage_ = Stage::kRunning;
    first(frame, line);
  } else {
    follow(frame);
  }
}

void Session::first(const Frame& frame, std::string_view line) {
  if (frame.type == type::kExec || frame.type == type::kRun) {
    RunSpec run = session_run(frame, agent_.config.env);
    start_program(frame, std::move(run), false);
  } else if (frame.type == type::kAttach) {
    attach(frame);
  } else if (frame.type == type::kReseed) {
    start_work(Kind::kReseed, [&frame] { return reseed(frame); });
  } else if (frame.type == type::kIdentity) {
    start_work(Kind::kIdentity, [line] { return apply_identity_frame(line); });
  } else if (frame.type == type::kTarRead || frame.type == type::kTarWrite) {
    start_work(Kind::kTransfer, [&frame] { return transfer(frame); });
  } else if (frame.type == type::kShutdown) {
    shut_down(frame.reboot);
  } else if (frame.type == type::kInfo) {
    Frame answer = frame_of(type::kDone);
    answer.version = "1";
    answer.phase = agent_.config.phase;
    send(answer);
    stage_ = Stage::kOver;
  } else {
    fail("expected first frame type exec or reseed, got \"" + frame.type.substr(0, 64) + "\"");
  }
}

void Session::follow(const Frame& frame) {
  if (frame.type == type::kStdin) {
    if (!in_closed_ && streams_.in) in_ += frame.data;
  } else if (frame.type == type::kStdinClose) {
    in_closed_ = true;
    if (in_pending() == 0) close_input();
  } else if (frame.type == type::kResize) {
    resize(frame);
  } else if (frame.type == type::kSignal) {
    send_signal(static_cast<int>(std::clamp<std::int64_t>(frame.signal, 0, NSIG - 1)));
  }
}

void Session::attach(const Frame& frame) {
  if (!agent_.config.attach || agent_.attach_taken) return fail("there is nothing to attach to");
  agent_.attach_taken = true;
  kind_ = Kind::kAttached;
  RunSpec run = *agent_.config.attach;
  merge_environment(run.env, frame.env);
  start_program(frame, std::move(run), true);
  if (over()) agent_.attach_status = kExitBootFailed;
}

void Session::start_program(const Frame& frame, RunSpec run, bool make_workdir) {
  if (kind_ == Kind::kNone) kind_ = Kind::kProgram;
  if (run.argv.empty()) return fail("exec: empty argv");
  name_ = run.argv.front();
  auto program = prepare_session_program(run, agent_.config.hostname, make_workdir);
  if (!program) return fail("exec: start " + name_ + ": " + program.error().text());
  std::optional<TerminalSize> size;
  if (frame.tty) size = TerminalSize{as_cells(frame.rows), as_cells(frame.cols)};
  auto child = start_child(*program, size, streams_);
  if (!child) return fail("exec: start " + name_ + ": " + child.error().text());
  terminal_ = frame.tty;
  child_ = *std::move(child);
}

void Session::start_work(Kind kind, const std::function<int()>& work) {
  kind_ = kind;
  auto child = start_task(work, streams_);
  if (!child) return fail(child.error().text());
  child_ = *std::move(child);
  if (kind != Kind::kTransfer) streams_.in.reset();
}

void Session::shut_down(bool reboot) {
  const auto asked = request_shutdown(reboot, agent_.config.end_with_pid_1);
  if (!asked) return fail(asked.error().text());
  send(frame_of(type::kExit));
  stage_ = Stage::kOver;
}

void Session::resize(const Frame& frame) const {
  if (!terminal_ || !streams_.in) return;
  const winsize window{.ws_row = as_cells(frame.rows),
                       .ws_col = as_cells(frame.cols),
                       .ws_xpixel = 0,
                       .ws_ypixel = 0};
  ::ioctl(streams_.in.get(), TIOCSWINSZ, &window);
}

void Session::send_signal(int number) const {
  if (number == 0) return;
  pid_t foreground = 0;
  if (terminal_ && streams_.in && ::ioctl(streams_.in.get(), TIOCGPGRP, &foreground) == 0 &&
      foreground > 1) {
    ::kill(-foreground, number);
  } else {
    child_.signal(number);
  }
}

void Session::terminate() const {
  child_.signal(SIGTERM);
  child_.signal(SIGCONT);
}

void Session::add_to(PollSet& set, bool may_read) {
  const int out = may_read ? streams_.out.get() : -1;
  const int err = may_read ? streams_.err.get() : -1;
  short in_events = in_pending() > 0 ? POLLOUT : 0;
  if (terminal_ && may_read) in_events = static_cast<short>(in_events | POLLIN);
  polled_.start = set.add(streams_.start.get(), POLLIN);
  polled_.in = set.add(in_events != 0 ? streams_.in.get() : -1, in_events);
  polled_.out = set.add(out, POLLIN);
  polled_.err = set.add(err, POLLIN);
  polled_.end = set.add(child_.pidfd(), POLLIN);
  // What was written before the end waits for the host, however slow it is, and not for time.
  if (drain_ && !over() && unread_at_end_ == 0) set.wake_in(drain_->left());
}

void Session::step(const PollSet& set) {
  if (set.got(polled_.end) != 0) note_end();
  if (over()) return;
  if (set.got(polled_.start) != 0) read_start();
  const short in = set.got(polled_.in);
  if (in_pending() > 0 && in != 0) write_input();
  if (terminal_ && (in & (POLLIN | POLLHUP | POLLERR)) != 0)
    read_output(streams_.in, type::kStdout);
  if (set.got(polled_.out) != 0) read_output(streams_.out, type::kStdout);
  if (set.got(polled_.err) != 0) read_output(streams_.err, type::kStderr);
  if (!over() && status_ && !streams_.start && drained()) finish();
}

void Session::announce() {
  if (kind_ == Kind::kReseed || kind_ == Kind::kIdentity) return;
  Frame frame = frame_of(type::kStarted);
  frame.pid = child_.pid();
  send(frame);
}

void Session::read_start() {
  StartFailure failure;
  const ssize_t got = ::read(streams_.start.get(), &failure, sizeof failure);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  streams_.start.reset();
  if (got != static_cast<ssize_t>(sizeof failure)) return announce();
  using Step = StartFailure::Step;
  const bool absent = failure.error == ENOENT || failure.error == ENOTDIR;
  int code = kExitBootFailed;
  std::string why = lower_first(errno_text(failure.error));
  if (failure.step == Step::kExec) {
    code = absent ? kExitNotFound : kExitNotExecutable;
    if (absent && name_.find('/') == std::string::npos) why = "executable file not found in $PATH";
  }
  if (failure.step == Step::kUser) why = "set user: " + why;
  if (failure.step == Step::kWorkdir) why = "working directory: " + why;
  if (kind_ == Kind::kAttached) agent_.attach_status = code;
  fail("exec: start " + name_ + ": " + why, code);
}

void Session::read_output(UniqueFd& fd, std::string_view name) {
  std::array<char, agent_wire::kDataPiece> bytes;
  const ssize_t got = ::read(fd.get(), bytes.data(), bytes.size());
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) {  // EIO: nobody has the terminal any more
    if (&fd == &streams_.in) in_ = std::string(), in_sent_ = 0;
    fd.reset();
    return;
  }
  const auto size = static_cast<std::size_t>(got);
  unread_at_end_ -= std::min(unread_at_end_, size);
  const std::string_view text(bytes.data(), size);
  if (kind_ == Kind::kReseed || kind_ == Kind::kIdentity) {
    if (answer_.size() < kAnswerLimit) answer_ += text;
  } else {
    agent_wire::append_data_frame(out_, name, text);
  }
}

void Session::write_input() {
  while (in_pending() > 0) {
    const ssize_t put = ::write(streams_.in.get(), in_.data() + in_sent_, in_pending());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0 && errno == EAGAIN) break;
    if (put <= 0) {  // nobody reads it
      in_sent_ = in_.size();
      if (!terminal_) streams_.in.reset();
      break;
    }
    in_sent_ += static_cast<std::size_t>(put);
  }
  if (in_pending() == 0) {
    in_ = std::string();
    in_sent_ = 0;
    if (in_closed_) close_input();
  } else if (in_sent_ >= agent_wire::kDataPiece * 8) {
    in_.erase(0, in_sent_);
    in_sent_ = 0;
  }
}

void Session::close_input() {
  if (!streams_.in) return;
  if (terminal_) {
    (void)!::write(streams_.in.get(), &kEndOfTransmission, 1);
  } else {
    streams_.in.reset();
  }
}

void Session::note_end() {
  const auto status = child_.reap();
  if (!status) return;
  status_ = status;
  if (kind_ == Kind::kAttached) agent_.attach_status = exit_code_of(*status);
  unread_at_end_ = unread(streams_.out) + unread(streams_.err);
  if (terminal_) unread_at_end_ += unread(streams_.in);
  drain_.emplace(kDrainLimit);
}

/// All that was written before the end has been read, and nobody can write any more, or has had the
/// time to.
bool Session::drained() const {
  const bool open = streams_.out || streams_.err || (terminal_ && streams_.in);
  return !open || (unread_at_end_ == 0 && drain_ && drain_->passed());
}

void Session::finish() {
  streams_ = ChildStreams();
  drain_.reset();
  const int status = *status_;
  if (kind_ == Kind::kReseed || kind_ == Kind::kIdentity) return finish_work(exit_code_of(status));
  Frame frame = frame_of(type::kExit);
  if (WIFSIGNALED(status)) {
    frame.exit_code = -1;
    frame.signal = WTERMSIG(status);
  } else {
    frame.exit_code = WEXITSTATUS(status);
  }
  send(frame);
  stage_ = Stage::kOver;
}

void Session::finish_work(int code) {
  while (!answer_.empty() && answer_.back() == '\n') answer_.pop_back();
  if (code != 0) return fail(answer_.empty() ? "the work died" : answer_);
  Frame frame = frame_of(kind_ == Kind::kReseed ? type::kExit : type::kDone);
  for (std::string_view rest = answer_; kind_ == Kind::kIdentity && !rest.empty();) {
    const std::string_view item = rest.substr(0, rest.find('\n'));
    frame.items.emplace_back(item);
    rest.remove_prefix(std::min(rest.size(), item.size() + 1));
  }
  send(frame);
  stage_ = Stage::kOver;
}

}  // namespace cocoon::guest
