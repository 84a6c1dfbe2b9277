// SPDX-License-Identifier: Apache-2.0
#include "guest/agent/agent.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "guest/agent/serial_link.h"
#include "guest/agent/stream_link.h"
#include "guest/agent/vsock.h"
#include "guest/supervisor.h"

namespace cocoon::guest {
namespace {

using namespace std::chrono_literals;

/// How long devices are looked for: their drivers may be modules that come late.
constexpr auto kSearchLimit = 120s;
constexpr auto kSearchPause = 1s;
constexpr auto kAttachLimit = 300s;
constexpr auto kFlushLimit = 3s;
constexpr std::size_t kMaxStreams = 64;
constexpr int kTerminated = 128 + SIGTERM;

class Agent {
 public:
  explicit Agent(AgentConfig config);
  int run();

 private:
  void search();
  void add_all();
  void step_all();
  void accept_hosts();
  void take_signals();
  void begin_end(int code, const std::string& message);
  bool attached_is_done() const;
  bool flushed() const;
  bool test_is_over() const;

  AgentState state_;
  bool testing_;
  UniqueFd signals_;
  UniqueFd listener_;
  std::optional<SerialLink> serial_;
  std::vector<std::unique_ptr<StreamLink>> streams_;
  Deadline search_end_{kSearchLimit};
  Deadline next_search_{0ms};
  Deadline attach_end_{kAttachLimit};
  PollSet set_;
  std::size_t polled_signals_ = 0;
  std::size_t polled_listener_ = 0;
  std::optional<int> code_;  // the agent is about to end
  std::optional<Deadline> end_;
};

UniqueFd watch_signals() {
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGTERM);
  return UniqueFd(::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
}

Agent::Agent(AgentConfig config)
    : state_{.config = std::move(config), .attach_taken = false, .attach_status = {}},
      testing_(state_.config.stream || state_.config.serial),
      signals_(watch_signals()) {
  if (state_.config.stream)
    streams_.push_back(std::make_unique<StreamLink>(std::move(state_.config.stream), state_));
  if (state_.config.serial) serial_.emplace(std::move(state_.config.serial), state_);
}

void Agent::search() {
  if (testing_ || (listener_ && serial_) || search_end_.passed()) return;
  if (next_search_.passed()) {
    if (!listener_) listener_ = listen_vsock(agent_wire::kAgentPort);
    if (!serial_) {
      if (UniqueFd port = open_serial_port(agent_wire::kSerialPortName))
        serial_.emplace(std::move(port), state_);
    }
    next_search_ = Deadline(kSearchPause);
  }
  set_.wake_in(next_search_.left());
}

void Agent::add_all() {
  polled_signals_ = set_.add(signals_.get(), POLLIN);
  polled_listener_ = set_.add(streams_.size() < kMaxStreams ? listener_.get() : -1, POLLIN);
  for (auto& link : streams_) link->add_to(set_);
  if (serial_) serial_->add_to(set_);
  if (end_) set_.wake_in(end_->left());
  if (state_.config.attach && !state_.attach_taken && !end_) set_.wake_in(attach_end_.left());
}

void Agent::step_all() {
  // First, because at a shutdown the programs of sessions get the same signal: their end is not
  // what the host should hear of.
  if (set_.got(polled_signals_) != 0) take_signals();
  for (auto& link : streams_) link->step(set_);
  if (serial_) serial_->step(set_);
  if (set_.got(polled_listener_) != 0) accept_hosts();
  std::erase_if(streams_, [](const auto& link) { return link->done(); });
}

void Agent::accept_hosts() {
  while (streams_.size() < kMaxStreams) {
    UniqueFd fd = accept_host(listener_);
    if (!fd) return;
    streams_.push_back(std::make_unique<StreamLink>(std::move(fd), state_));
  }
}

void Agent::take_signals() {
  signalfd_siginfo info{};
  bool asked = false;
  while (::read(signals_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info))
    asked = true;
  if (!asked) return;
  if (state_.config.attach && state_.attach_taken) {
    for (auto& link : streams_)
      if (link->session().is_attached()) link->session().terminate();
    if (serial_) serial_->terminate_attached();
    return;
  }
  constexpr const char* kReason = "the guest is shutting down";
  if (state_.config.end_with_pid_1) {
    begin_end(state_.config.attach ? kTerminated : 0, kReason);
  } else {
    // An init ends us with SIGKILL when it means it. Until then we are there.
    for (auto& link : streams_) link->session().fail(kReason);
    if (serial_) serial_->fail_all(kReason);
  }
}

void Agent::begin_end(int code, const std::string& message) {
  if (end_) return;
  code_ = code;
  end_.emplace(kFlushLimit);
  for (auto& link : streams_) link->session().fail(message);
  if (serial_) serial_->fail_all(message);
}

bool Agent::attached_is_done() const {
  const bool streaming = std::any_of(streams_.begin(), streams_.end(), [](const auto& link) {
    return link->connected() && link->session().is_attached();
  });
  return state_.attach_status && !streaming && !(serial_ && serial_->has_attached());
}

bool Agent::flushed() const {
  return std::none_of(streams_.begin(), streams_.end(),
                      [](const auto& link) { return link->connected(); }) &&
         (!serial_ || serial_->flushed());
}

bool Agent::test_is_over() const {
  return testing_ && streams_.empty() && (!serial_ || serial_->lost());
}

int Agent::run() {
  while (true) {
    if (!end_ && attached_is_done()) begin_end(*state_.attach_status, "the VM is ending");
    if (state_.config.attach && !state_.attach_taken && attach_end_.passed())
      begin_end(kExitBootFailed, "nobody attached");
    if (end_ && (flushed() || end_->passed())) return code_.value_or(0);
    if (test_is_over()) return 0;
    set_.clear();
    search();
    add_all();
    set_.wait();
    step_all();
  }
}

}  // namespace

int run_agent(AgentConfig config) {
  block_signals();
  return Agent(std::move(config)).run();
}

Result<pid_t> start_agent(AgentConfig config, char* argv0) {
  const pid_t pid = ::fork();
  if (pid < 0) return fail_errno("agent", "fork");
  if (pid > 0) return pid;
  ::setpgid(0, 0);
  ::prctl(PR_SET_NAME, "cocoon-agent");
  if (argv0 != nullptr && argv0[0] != '\0') argv0[0] = '@';
  // PID 1's crash guard ends the VM; a crash of the agent is the end of the agent alone.
  for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) ::signal(signal, SIG_DFL);
  ::_exit(run_agent(std::move(config)));
}

}  // namespace cocoon::guest
