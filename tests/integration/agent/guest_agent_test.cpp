// SPDX-License-Identifier: Apache-2.0
// The guest's agent as it is installed, on this host: the program runs as `cocoon-guest agent` with
// one end of a socket pair, and the test speaks the original's protocol to it, line by line.
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "agent_wire/mux_line.h"
#include "integration/agent/peer.h"
#include "sys/spawn.h"

namespace cocoon::agent::test {
namespace {

constexpr int kChildFd = 5;

class Guest {
 public:
  explicit Guest(const char* kind, std::vector<std::string> more = {}) : peer(sys::UniqueFd()) {
    auto [ours, theirs] = socket_pair();
    sys::SpawnSpec spec;
    spec.program = COCOON_GUEST_PROGRAM;
    spec.args = {"agent", kind, std::to_string(kChildFd)};
    spec.args.insert(spec.args.end(), more.begin(), more.end());
    spec.env = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "FROM=agent", "OVER=agent"};
    spec.fds = {{theirs.get(), kChildFd}};
    auto child = sys::spawn(spec);
    EXPECT_TRUE(child) << child.error().to_string();
    child_.emplace(std::move(*child));
    peer = Peer(std::move(ours));
  }
  // Its exit status once it has ended.
  int wait() {
    auto status = child_->wait(deadline_in(Milliseconds(20'000)));
    return status && WIFEXITED(*status) ? WEXITSTATUS(*status) : -1;
  }
  pid_t pid() const { return child_->pid(); }
  Peer peer;

 private:
  std::optional<sys::Child> child_;
};

std::string pid_line(const std::string& line) {
  return line.substr(0, line.find_first_of("0123456789"));
}

bool is_gone(pid_t pid) {
  for (int i = 0; i < 200; ++i) {
    if (kill(pid, 0) != 0) return true;
    std::this_thread::sleep_for(Milliseconds(20));
  }
  return false;
}

TEST(GuestAgent, AnswersExecAsTheOriginalDoes) {
  Guest guest("--stream");
  guest.peer.send(
      "{\"type\":\"exec\",\"argv\":[\"sh\",\"-c\",\"echo hi; echo $FROM $OVER $NEW; exit 3\"],"
      "\"env\":{\"OVER\":\"o\",\"NEW\":\"n\"}}\n{\"type\":\"stdin_close\"}\n");
  EXPECT_EQ(pid_line(guest.peer.line()), R"({"type":"started","pid":)");
  std::string out;
  std::string line;
  for (line = guest.peer.line(); line.find("stdout") != std::string::npos;
       line = guest.peer.line()) {
    agent_wire::Frame frame;
    ASSERT_TRUE(agent_wire::parse_frame(line, frame));
    out += frame.data;
  }
  EXPECT_EQ(out, "hi\nagent o n\n");
  EXPECT_EQ(line, R"({"type":"exit","exit_code":3})");
  EXPECT_TRUE(guest.peer.sees_end());
  EXPECT_EQ(guest.wait(), 0);
}

TEST(GuestAgent, LeavesOutAnExitCodeOfZero) {
  Guest guest("--stream");
  guest.peer.send("{\"type\":\"exec\",\"argv\":[\"true\"]}\n");
  guest.peer.line();
  EXPECT_EQ(guest.peer.line(), R"({"type":"exit"})");
}

TEST(GuestAgent, EchoesStandardInputUntilItIsClosed) {
  Guest guest("--stream");
  guest.peer.send(
      "{\"type\":\"exec\",\"argv\":[\"cat\"]}\n{\"type\":\"stdin\",\"data\":\"aGVsbG8=\"}\n");
  guest.peer.line();
  EXPECT_EQ(guest.peer.line(), R"({"type":"stdout","data":"aGVsbG8="})");
  guest.peer.send("{\"type\":\"stdin_close\"}\n");
  EXPECT_EQ(guest.peer.line(), R"({"type":"exit"})");
}

// The program takes none of its input, so no more is read from the host.
TEST(GuestAgent, NoticesThatTheHostHasGoneWhileInputWaits) {
  Guest guest("--stream");
  guest.peer.send("{\"type\":\"exec\",\"argv\":[\"sleep\",\"1000\"]}\n");
  const std::string started = guest.peer.line();
  const pid_t program = std::stoi(started.substr(pid_line(started).size()));
  fcntl(guest.peer.fd(), F_SETFL, O_NONBLOCK);
  agent_wire::Frame frame;
  frame.type = agent_wire::type::kStdin;
  frame.data = std::string(30'000, 'x');
  const std::string line = agent_wire::render_frame(frame);
  // Until nothing has been taken for a while.
  std::string_view rest;
  for (int idle = 0; idle < 50;) {
    if (rest.empty()) rest = line;
    const ssize_t put = ::send(guest.peer.fd(), rest.data(), rest.size(), MSG_NOSIGNAL);
    if (put > 0) rest.remove_prefix(static_cast<std::size_t>(put));
    idle = put > 0 ? 0 : idle + 1;
    if (put <= 0) std::this_thread::sleep_for(Milliseconds(10));
  }
  EXPECT_EQ(kill(program, 0), 0);
  ASSERT_EQ(::shutdown(guest.peer.fd(), SHUT_WR), 0);
  EXPECT_TRUE(is_gone(program));
  EXPECT_EQ(guest.wait(), 0);
}

TEST(GuestAgent, TellsDeathBySignal) {
  Guest guest("--stream");
  guest.peer.send("{\"type\":\"exec\",\"argv\":[\"sh\",\"-c\",\"kill -15 $$\"]}\n");
  guest.peer.line();
  EXPECT_EQ(guest.peer.line(), R"({"type":"exit","exit_code":-1,"signal":15})");
}

TEST(GuestAgent, RefusesWhatCannotStart) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {R"({"type":"exec","argv":["/nonexist"]})",
       R"({"type":"error","message":"exec: start /nonexist: no such file or directory","code":127})"},
      {R"({"type":"exec","argv":["nonexist"]})",
       R"({"type":"error","message":"exec: start nonexist: executable file not found in $PATH","code":127})"},
      {R"({"type":"exec","argv":["/etc"]})",
       R"({"type":"error","message":"exec: start /etc: permission denied","code":126})"},
      {R"({"type":"exec"})", R"({"type":"error","message":"exec: empty argv"})"},
      {R"({"type":"bogus"})",
       R"({"type":"error","message":"expected first frame type exec or reseed, got \"bogus\""})"},
      {R"({"type":"stdin","data":"YQ=="})",
       R"({"type":"error","message":"expected first frame type exec or reseed, got \"stdin\""})"},
      {"not json", R"({"type":"error","message":"malformed frame"})"},
      {R"({"type":"exec","argv":"sh"})", R"({"type":"error","message":"malformed frame"})"},
  };
  for (const auto& [question, answer] : cases) {
    Guest guest("--stream");
    guest.peer.send(question + "\n");
    EXPECT_EQ(guest.peer.line(), answer);
    EXPECT_TRUE(guest.peer.sees_end());
    EXPECT_EQ(guest.wait(), 0);
  }
}

TEST(GuestAgent, EndsASessionWithAnEndlessLine) {
  Guest guest("--stream");
  std::string flood(1 << 20, 'x');
  for (int i = 0; i < 9 && guest.peer.send(flood); ++i) {
  }
  EXPECT_EQ(guest.peer.frame().message, "line too long");
  EXPECT_EQ(guest.wait(), 0);
}

TEST(GuestAgent, KillsTheChildWhenTheHostIsGone) {
  Guest guest("--stream");
  guest.peer.send("{\"type\":\"exec\",\"argv\":[\"sh\",\"-c\",\"sleep 1000 & wait\"]}\n");
  const auto pid = static_cast<pid_t>(guest.peer.frame().pid);
  ASSERT_GT(pid, 0);
  guest.peer.close();
  EXPECT_TRUE(is_gone(pid));
  EXPECT_TRUE(is_gone(-pid));  // and what it had started
  EXPECT_EQ(guest.wait(), 0);
}

TEST(GuestAgent, WaitsTwoSecondsForABackgroundChildAndNoLonger) {
  Guest guest("--stream");
  auto begun = std::chrono::steady_clock::now();
  guest.peer.send("{\"type\":\"exec\",\"argv\":[\"sh\",\"-c\",\"sleep 30 & echo x\"]}\n");
  guest.peer.line();
  EXPECT_EQ(guest.peer.frame().data, "x\n");
  EXPECT_EQ(guest.peer.line(), R"({"type":"exit"})");
  auto took = std::chrono::steady_clock::now() - begun;
  EXPECT_GE(took, Milliseconds(1900));
  EXPECT_LT(took, Milliseconds(15'000));
}

TEST(GuestAgent, GivesATerminalItsSizeAndSignals) {
  Guest guest("--stream");
  guest.peer.send(
      "{\"type\":\"run\",\"argv\":[\"sh\",\"-c\",\"stty size; read x; stty size; sleep 100\"],"
      "\"tty\":true,\"rows\":33,\"cols\":77}\n");
  EXPECT_EQ(guest.peer.frame().type, "started");
  EXPECT_EQ(guest.peer.frame().data, "33 77\r\n");
  guest.peer.send(
      "{\"type\":\"resize\",\"rows\":20,\"cols\":50}\n{\"type\":\"stdin\",\"data\":\"Cg==\"}\n");
  std::string out;
  while (out.find("20 50") == std::string::npos) {
    auto frame = guest.peer.frame();
    ASSERT_EQ(frame.type, "stdout") << out;
    out += frame.data;
  }
  guest.peer.send("{\"type\":\"signal\",\"signal\":15}\n");
  auto last = guest.peer.frame();
  while (last.type == "stdout") last = guest.peer.frame();
  EXPECT_EQ(last.type, "exit");
}

TEST(GuestAgent, RunsTheAttachedProgramOnceAndEndsWithItsCode) {
  Guest guest("--serial", {"--attach", "sh", "-c", "read x; echo got $x; exit 6"});
  EXPECT_EQ(guest.peer.line(), R"({"type":"hello"})");
  guest.peer.send(
      "{\"session\":1,\"type\":\"attach\"}\n{\"session\":2,\"type\":\"attach\"}\n"
      "{\"session\":1,\"type\":\"stdin\",\"data\":\"YQo=\"}\n");
  std::string all;
  for (std::string line = guest.peer.line(); !line.empty(); line = guest.peer.line())
    all += line + "\n";
  EXPECT_NE(all.find(R"({"session":2,"type":"error","message":"there is nothing to attach to"})"),
            std::string::npos)
      << all;
  EXPECT_NE(all.find(R"({"session":1,"type":"exit","exit_code":6})"), std::string::npos) << all;
  EXPECT_EQ(guest.wait(), 6);
}

TEST(GuestAgent, KeepsSessionsOfOneLinkApart) {
  Guest guest("--serial");
  guest.peer.line();
  guest.peer.send(
      "{\"session\":1,\"type\":\"exec\",\"argv\":[\"cat\"]}\n"
      "{\"session\":2,\"type\":\"exec\",\"argv\":[\"sh\",\"-c\",\"exit 2\"]}\n");
  std::string seen;
  while (seen.find(R"("session":2,"type":"exit","exit_code":2)") == std::string::npos) {
    std::string line = guest.peer.line();
    ASSERT_FALSE(line.empty()) << seen;
    seen += line + "\n";
  }
  EXPECT_EQ(seen.find(R"("session":1,"type":"exit")"), std::string::npos);
  // A reset ends what an earlier host has left; what it had asked for is void.
  guest.peer.send("{\"type\":\"reset\",\"token\":\"abcd\"}\n");
  int skipped = 0;
  std::string line = guest.peer.line();
  while (line != R"({"type":"reset","token":"abcd"})") {
    ASSERT_LT(skipped++, 20) << line;
    line = guest.peer.line();
  }
  guest.peer.send("{\"session\":3,\"type\":\"info\"}\n");
  EXPECT_EQ(guest.peer.line(), R"({"session":3,"type":"done","version":"1","phase":"init"})");
}

// More than a window of output, of which nothing is acknowledged: the agent stops, and goes on when
// the host has taken it.
TEST(GuestAgent, KeepsToTheWindow) {
  Guest guest("--serial");
  guest.peer.line();
  guest.peer.send(
      "{\"session\":1,\"type\":\"exec\",\"argv\":[\"head\",\"-c\",\"4000000\",\"/dev/zero\"]}\n");
  std::size_t got = 0;
  std::size_t unreported = 0;
  bool over = false;
  while (!over) {
    std::string line = guest.peer.line(Milliseconds(got == 0 ? 20'000 : 1'000));
    if (line.empty()) {
      ASSERT_GT(unreported, 0U) << "stopped without a reason";
      EXPECT_LE(unreported, agent_wire::kWindowBytes + 2 * agent_wire::kDataPiece);
      std::string report;
      agent_wire::append_window(report, 1, unreported);
      unreported = 0;
      guest.peer.send(report);
      continue;
    }
    unreported += line.size() + 1;
    got += line.find("stdout") != std::string::npos ? line.size() : 0;
    over = line.find("\"exit\"") != std::string::npos;
  }
  EXPECT_GT(got, 5'300'000U);
}

}  // namespace
}  // namespace cocoon::agent::test
