// SPDX-License-Identifier: Apache-2.0
//
// One session with the host: a first frame, then whatever it is about, then one last frame.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "agent_wire/frame.h"
#include "guest/agent/agent.h"
#include "guest/agent/child.h"
#include "guest/agent/poll_set.h"

namespace cocoon::guest {

/// What the sessions of an agent share.
struct AgentState {
  AgentConfig config;
  bool attach_taken = false;
  std::optional<int> attach_status;  // exit code of the attached program, once it has ended
};

class Session {
 public:
  explicit Session(AgentState& agent) : agent_(agent) {}
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  /// A line from the host.
  void take_line(std::string_view line);
  /// The host is gone: what runs is killed, nothing is sent any more.
  void abandon();
  /// Ends the session with an error frame.
  void fail(std::string message, int code = 0);

  /// `may_read`: the host takes more output.
  void add_to(PollSet& set, bool may_read);
  void step(const PollSet& set);

  /// Lines for the host, without a limit of its own: the caller lets the session read only as long
  /// as it is short.
  std::string& out() { return out_; }
  /// Bytes from the host that the child has not taken yet.
  std::size_t in_pending() const { return in_.size() - in_sent_; }
  /// The last frame is in out().
  bool over() const { return stage_ == Stage::kOver; }
  /// Nothing is left to be reaped.
  bool reaped() const { return !child_.running(); }
  bool is_attached() const { return kind_ == Kind::kAttached; }
  /// A request to stop the VM, for the attached program.
  void terminate() const;

 private:
  enum class Stage { kNew, kRunning, kOver };
  enum class Kind { kNone, kProgram, kAttached, kTransfer, kReseed, kIdentity };
  struct Polled {
    std::size_t start = 0, in = 0, out = 0, err = 0, end = 0;
  };

  void first(const agent_wire::Frame& frame, std::string_view line);
  void follow(const agent_wire::Frame& frame);
  void start_program(const agent_wire::Frame& frame, RunSpec run, bool make_workdir);
  void attach(const agent_wire::Frame& frame);
  void start_work(Kind kind, const std::function<int()>& work);
  void shut_down(bool reboot);
  void send(const agent_wire::Frame& frame);
  void announce();
  void read_start();
  void read_output(UniqueFd& fd, std::string_view type);
  void write_input();
  void close_input();
  void resize(const agent_wire::Frame& frame) const;
  void send_signal(int number) const;
  void note_end();
  bool drained() const;
  void finish();
  void finish_work(int code);

  AgentState& agent_;
  Stage stage_ = Stage::kNew;
  Kind kind_ = Kind::kNone;
  bool terminal_ = false;
  std::string name_;  // argv[0], for messages
  Child child_;
  ChildStreams streams_;
  Polled polled_;
  std::string in_;
  std::size_t in_sent_ = 0;
  bool in_closed_ = false;
  std::string out_;
  std::string answer_;  // of work whose answer is one frame
  std::optional<int> status_;
  std::size_t unread_at_end_ = 0;  // bytes that were in the pipes when the child ended
  std::optional<Deadline> drain_;
};

}  // namespace cocoon::guest
