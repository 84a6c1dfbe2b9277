// SPDX-License-Identifier: Apache-2.0
//
// The entrypoint, on a pseudo-terminal that plays the console. Each case runs in a child that plays
// PID 1 as a subreaper.
#include "guest/program.h"

#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <functional>

#include "guest/supervisor.h"
#include "integration/guest/temp_tree.h"

namespace cocoon::guest {
namespace {

using namespace std::chrono_literals;

constexpr Patience kShort{.entrypoint = 500ms, .leftovers = 200ms, .killed = 2s};

RunSpec shell(const std::string& script) {
  RunSpec run;
  run.argv = {"sh", "-c", script};
  return run;
}

class Entrypoint : public TempTree {
 protected:
  void TearDown() override {
    if (init_ > 0) ::kill(init_, SIGKILL);
    TempTree::TearDown();
  }

  /// Plays PID 1: supervises the program on a new terminal; its exit code becomes ours.
  void start(const RunSpec& run) {
    int master = -1;
    init_ = ::forkpty(&master, nullptr, nullptr, nullptr);
    ASSERT_GE(init_, 0);
    if (init_ == 0) ::_exit(play_init(run));
    terminal_ = UniqueFd(master);
  }

  static int play_init(const RunSpec& run) {
    ::close_range(STDERR_FILENO + 1, ~0U, 0);  // what the test runner left open
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    block_signals();
    const auto root = RootDir::open("/");
    auto program = prepare_program(run, "box", *root);
    if (!program) return program.error().exit_code;
    if (!lead_session()) return 1;
    PowerButton button("/nonexistent");
    const auto pid = start_program(*program);
    if (!pid) return pid.error().exit_code;
    return supervise(*pid, button, kShort);
  }

  /// The terminal's output up to `text`; false after ten seconds without it.
  bool wait_for(const std::string& text) {
    const Deadline deadline(10s);
    while (output_.find(text) == std::string::npos && !deadline.passed()) {
      pollfd ready{.fd = terminal_.get(), .events = POLLIN, .revents = 0};
      ::poll(&ready, 1, 100);
      std::string chunk(4096, '\0');
      const ssize_t got = ready.revents != 0 ? ::read(terminal_.get(), &chunk[0], 4096) : 0;
      if (got < 0) break;
      output_.append(chunk, 0, static_cast<std::size_t>(got));
    }
    return output_.find(text) != std::string::npos;
  }

  void type(const std::string& keys) { ASSERT_TRUE(write_all(terminal_.get(), keys)); }

  int wait_exit() {
    int status = 0;
    const Deadline deadline(20s);
    while (::waitpid(init_, &status, WNOHANG) == 0) {
      if (deadline.passed()) return -1;
      pause_for(5ms);
    }
    init_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -2;
  }

  pid_t init_ = -1;
  UniqueFd terminal_;
  std::string output_;
};

TEST_F(Entrypoint, ExitCodeIsHandedOn) {
  start(shell("exit 42"));
  EXPECT_EQ(wait_exit(), 42);
}

TEST_F(Entrypoint, SignalBecomesAnExitCode) {
  start(shell("kill -KILL $$"));
  EXPECT_EQ(wait_exit(), 137);
}

TEST_F(Entrypoint, IsNotFound) {
  RunSpec run;
  run.argv = {"no-such-program"};
  start(run);
  EXPECT_EQ(wait_exit(), kExitNotFound);
}

TEST_F(Entrypoint, IsNotExecutable) {
  write(path("program"), "text");
  RunSpec run;
  run.argv = {path("program").string()};
  start(run);
  EXPECT_EQ(wait_exit(), kExitNotExecutable);
}

TEST_F(Entrypoint, IsLookedUpInTheGivenPath) {
  RunSpec run = shell("exit 0");
  run.env = {"PATH=/nonexistent"};
  start(run);
  EXPECT_EQ(wait_exit(), kExitNotFound);
}

TEST_F(Entrypoint, HasItsEnvironmentAndDirectory) {
  RunSpec run = shell("echo \"<$A|$TERM|$HOSTNAME|$(pwd -P)>\"");
  run.env = {"A=b c"};
  run.workdir = (std::filesystem::canonical(path("")) / "made/here").string();
  start(run);
  EXPECT_TRUE(wait_for("<b c|xterm|box|" + run.workdir + ">")) << output_;
  EXPECT_EQ(wait_exit(), 0);
}

TEST_F(Entrypoint, RunsAsTheUser) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  RunSpec run = shell("echo \"<$(id -u):$(id -g):$(id -G)>\"; : >/dev/stdout && exit 3");
  run.user = "12345:54321";
  start(run);
  EXPECT_TRUE(wait_for("<12345:54321:54321>")) << output_;
  EXPECT_EQ(wait_exit(), 3);  // 2 if the console could not be opened anew
}

TEST_F(Entrypoint, InheritsNoDescriptor) {
  start(shell("ls /proc/self/fd | tr '\\n' ' '; echo end"));
  EXPECT_TRUE(wait_for("0 1 2 3 end")) << output_;  // 3 is ls reading the directory
  EXPECT_EQ(wait_exit(), 0);
}

TEST_F(Entrypoint, GetsCtrlC) {
  start(shell("trap 'echo got INT; exit 9' INT; echo ready; while :; do sleep 0.1; done"));
  ASSERT_TRUE(wait_for("ready"));
  type("\x03");
  EXPECT_EQ(wait_exit(), 9);
}

TEST_F(Entrypoint, IsNotStoppedByCtrlZ) {
  start(shell("echo ready; read line; echo \"<$line>\"; exit 4"));
  ASSERT_TRUE(wait_for("ready"));
  type("\x1a");
  pause_for(100ms);
  type("word\n");
  EXPECT_TRUE(wait_for("<word>")) << output_;
  EXPECT_EQ(wait_exit(), 4);
}

TEST_F(Entrypoint, LastOutputIsNotLost) {
  start(shell("i=0; while [ $i -lt 500 ]; do echo line $i; i=$((i+1)); done; printf end"));
  EXPECT_TRUE(wait_for("line 499\r\nend")) << output_.size();
  EXPECT_EQ(wait_exit(), 0);
}

TEST_F(Entrypoint, IsAskedToStop) {
  start(shell("trap 'exit 7' TERM; echo ready; while :; do sleep 0.1; done"));
  ASSERT_TRUE(wait_for("ready"));
  ::kill(init_, SIGTERM);
  EXPECT_EQ(wait_exit(), 7);
}

TEST_F(Entrypoint, IsKilledWhenItDoesNotListen) {
  start(shell("trap '' TERM; echo ready; while :; do sleep 0.1; done"));
  ASSERT_TRUE(wait_for("ready"));
  ::kill(init_, SIGTERM);
  EXPECT_EQ(wait_exit(), 137);
}

TEST_F(Entrypoint, OrphansAreReaped) {
  start(shell("(sleep 0.2 & echo orphan $! pid) ; sleep 1; exit 5"));
  ASSERT_TRUE(wait_for("pid"));
  const std::string pid = output_.substr(output_.find("orphan ") + 7);
  pause_for(600ms);
  EXPECT_FALSE(std::filesystem::exists("/proc/" + pid.substr(0, pid.find(' '))));
  EXPECT_EQ(wait_exit(), 5);
}

}  // namespace
}  // namespace cocoon::guest
