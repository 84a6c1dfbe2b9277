// SPDX-License-Identifier: Apache-2.0
// `vm console` on a real pseudo-terminal, with this test as the shim.
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <thread>

#include "base/clock.h"
#include "integration/cli/cli_fixture.h"

namespace cocoon::cli::test {
namespace {

constexpr const char* kId = "K3QZ7WJ5M2XA4TBN6RCVYDHEPL";

// A terminal with the program in it.
class Terminal {
 public:
  explicit Terminal(const Words& argv, const std::vector<std::string>& environment) {
    winsize size{.ws_row = 24, .ws_col = 80, .ws_xpixel = 0, .ws_ypixel = 0};
    int master = -1;
    int slave = -1;
    EXPECT_EQ(openpty(&master, &slave, nullptr, nullptr, &size), 0);
    master_.reset(master);
    slave_.reset(slave);
    tcgetattr(slave, &before_);
    std::vector<std::string> words = argv;
    std::vector<std::string> variables = environment;
    auto arguments = pointers(words);
    auto pointers_to_variables = pointers(variables);
    pid_ = fork();
    if (pid_ == 0) {
      setsid();
      ioctl(slave, TIOCSCTTY, 0);
      for (int fd : {0, 1, 2}) dup2(slave, fd);
      close(master);
      close(slave);
      execve(arguments[0], arguments.data(), pointers_to_variables.data());
      _exit(127);
    }
  }
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;
  ~Terminal() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
  }

  pid_t pid() const { return pid_; }
  void type(const std::string& keys) {
    EXPECT_EQ(write(master_.get(), keys.data(), keys.size()), static_cast<ssize_t>(keys.size()));
  }
  void resize(unsigned short rows, unsigned short columns) {
    winsize size{.ws_row = rows, .ws_col = columns, .ws_xpixel = 0, .ws_ypixel = 0};
    ioctl(master_.get(), TIOCSWINSZ, &size);
  }
  // Waits for a text in what the program has printed.
  bool shows(const std::string& text) {
    return eventually([&] {
      pump();
      return output_.find(text) != std::string::npos;
    });
  }
  const std::string& output() {
    pump();
    return output_;
  }
  // The wait status, or -1 when it does not end.
  int wait() {
    int status = -1;
    bool ended = eventually([&] {
      pump();
      return waitpid(pid_, &status, WNOHANG) == pid_;
    });
    if (!ended) return -1;
    pid_ = -1;
    pump();
    return status;
  }
  bool is_raw() const {
    termios now{};
    tcgetattr(slave_.get(), &now);
    return (now.c_lflag & static_cast<tcflag_t>(ICANON | ECHO | ISIG)) == 0;
  }
  bool is_restored() const {
    termios now{};
    tcgetattr(slave_.get(), &now);
    return now.c_lflag == before_.c_lflag && now.c_iflag == before_.c_iflag &&
           now.c_oflag == before_.c_oflag;
  }

 private:
  static std::vector<char*> pointers(std::vector<std::string>& words) {
    std::vector<char*> out;
    for (std::string& word : words) out.push_back(word.data());
    out.push_back(nullptr);
    return out;
  }
  void pump() {
    std::array<char, 4096> bytes{};
    while (true) {
      auto ready = sys::wait_readable(master_.get(), 0);
      if (!ready || !*ready) return;
      ssize_t got = read(master_.get(), bytes.data(), bytes.size());
      if (got <= 0) return;
      output_.append(bytes.data(), static_cast<std::size_t>(got));
    }
  }

  sys::UniqueFd master_;
  sys::UniqueFd slave_;
  termios before_{};
  pid_t pid_ = -1;
  std::string output_;
};

class Console : public CliTest {
 protected:
  void SetUp() override {
    CliTest::SetUp();
    live_.emplace(run_dir(), log_dir(), add_vm(kId, "web"));
    store_vm(live_->vm(), false);
  }
  Terminal open(const Words& flags = {}) {
    Words words{"vm", "console", "web"};
    words.insert(words.end(), flags.begin(), flags.end());
    return Terminal(argv(words), environment_of({}));
  }
  // Takes the client's request and answers it.
  sys::UniqueFd attach(const std::string& request, const std::string& answer) {
    sys::UniqueFd socket = live_->accept();
    EXPECT_EQ(receive_packet(socket.get()), request);
    send_packet(socket.get(), answer);
    return socket;
  }
  // The next packet that is not about the window size.
  static std::optional<std::string> input(int socket) {
    while (auto packet = receive_packet(socket)) {
      if (packet->empty() || (*packet)[0] != 'w') return packet;
    }
    return std::nullopt;
  }
  std::optional<LiveVm> live_;
};

TEST_F(Console, ShowsOutputAndSendsEveryKey) {
  Terminal terminal = open();
  auto socket = attach("console write", "ok write");
  send_packet(socket.get(), "oscroll-back\r\n");
  EXPECT_TRUE(terminal.shows("Connected to web (escape sequence: ^].)\r\n"));
  EXPECT_TRUE(terminal.shows("scroll-back\r\n"));
  EXPECT_EQ(receive_packet(socket.get()), "w24 80");
  EXPECT_TRUE(terminal.is_raw());
  terminal.type("ls\x03\r");  // Ctrl-C is the guest's
  std::string got;
  while (got.size() < 4) got += input(socket.get()).value_or("i????").substr(1);
  EXPECT_EQ(got, "ls\x03\r");
  terminal.type("\x1d");  // held back until it is known what follows
  terminal.type(".");
  int status = terminal.wait();
  EXPECT_EQ(status, 0) << terminal.output();
  EXPECT_NE(terminal.output().find("Disconnected from web.\r\n"), std::string::npos);
  EXPECT_TRUE(terminal.is_restored());
}

TEST_F(Console, TellsWindowSizes) {
  Terminal terminal = open();
  auto socket = attach("console write", "ok write");
  EXPECT_EQ(receive_packet(socket.get()), "w24 80");
  ASSERT_TRUE(terminal.shows("Connected"));
  terminal.resize(50, 132);
  EXPECT_EQ(receive_packet(socket.get()), "w50 132");
}

TEST_F(Console, NamesWhoHasTheRightToWrite) {
  Terminal terminal = open();
  auto socket = attach("console write", "ok read 4711");
  int status = terminal.wait();
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 4);
  EXPECT_NE(terminal.output().find("4711"), std::string::npos);
  EXPECT_NE(terminal.output().find("--steal"), std::string::npos);
  EXPECT_NE(terminal.output().find("--read-only"), std::string::npos);
  EXPECT_TRUE(terminal.is_restored());
}

TEST_F(Console, ReadsOnlyOrSteals) {
  {
    Terminal terminal = open({"--read-only"});
    auto socket = attach("console read", "ok read -");
    EXPECT_TRUE(terminal.shows("Connected"));
    terminal.type("\x1d.");
    EXPECT_EQ(terminal.wait(), 0);
  }
  Terminal terminal = open({"--steal"});
  auto socket = attach("console steal", "ok write");
  EXPECT_TRUE(terminal.shows("Connected"));
  send_packet(socket.get(), "l");
  EXPECT_TRUE(terminal.shows("took the console over"));
  send_packet(socket.get(), "d1234");
  EXPECT_TRUE(terminal.shows("1234 bytes of output were lost"));
}

TEST_F(Console, EndsWithTheVm) {
  Terminal terminal = open();
  auto socket = attach("console write", "ok write");
  send_packet(socket.get(), "olast words\r\n");
  send_packet(socket.get(), "eguest power-off");
  socket.reset();
  EXPECT_EQ(terminal.wait(), 0);
  EXPECT_NE(terminal.output().find("last words"), std::string::npos);
  EXPECT_NE(terminal.output().find("guest power-off"), std::string::npos);
  EXPECT_TRUE(terminal.is_restored());
}

TEST_F(Console, AnEndWithoutAWordIsClean) {
  Terminal terminal = open();
  auto socket = attach("console write", "ok write");
  EXPECT_TRUE(terminal.shows("Connected"));
  socket.reset();
  EXPECT_EQ(terminal.wait(), 0);
  EXPECT_TRUE(terminal.is_restored());
}

TEST_F(Console, AGuestThatDoesNotReadCannotHoldTheUser) {
  Terminal terminal = open();
  auto socket = attach("console write", "ok write");
  ASSERT_TRUE(terminal.shows("Connected"));
  // Nobody takes packets from here on; the terminal is typed full.
  for (int i = 0; i < 200; ++i) {
    terminal.type(std::string(2000, 'x'));
    std::this_thread::sleep_for(Milliseconds(1));
  }
  terminal.type("\x1d.");
  EXPECT_EQ(terminal.wait(), 0);
  EXPECT_TRUE(terminal.is_restored());
}

struct Signal {
  const char* label;
  int number;
};
class ConsoleSignals : public Console, public testing::WithParamInterface<Signal> {};
TEST_P(ConsoleSignals, RestoreTheTerminal) {
  Terminal terminal = open();
  auto socket = attach("console write", "ok write");
  ASSERT_TRUE(terminal.shows("Connected"));
  ASSERT_TRUE(eventually([&] { return terminal.is_raw(); }));
  ::kill(terminal.pid(), GetParam().number);
  int status = terminal.wait();
  ASSERT_NE(status, -1);
  bool by_cancel = WIFEXITED(status) && WEXITSTATUS(status) == 130;
  bool by_signal = WIFSIGNALED(status) && WTERMSIG(status) == GetParam().number;
  EXPECT_TRUE(by_cancel || by_signal) << status;
  EXPECT_TRUE(terminal.is_restored());
}
INSTANTIATE_TEST_SUITE_P(All, ConsoleSignals,
                         testing::Values(Signal{"Hangup", SIGHUP}, Signal{"Interrupt", SIGINT},
                                         Signal{"Terminate", SIGTERM}, Signal{"Quit", SIGQUIT}),
                         [](const auto& one) { return std::string(one.param.label); });

TEST_F(Console, NeedsARunningVm) {
  model::Vm vm = live_->vm();
  vm.state = model::VmState::kStopped;
  store_vm(vm, false);
  Terminal terminal = open();
  int status = terminal.wait();
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 4);
  EXPECT_NE(terminal.output().find("stopped, not running"), std::string::npos);
}

TEST_F(Console, WatchingNeedsNoTerminal) {
  auto out = sys::open_file(base() / "watched", O_RDWR | O_CREAT | O_TRUNC, 0600);
  Words all = argv({"vm", "console", "--read-only", "web"});
  sys::SpawnSpec spec;
  spec.program = all[0];
  spec.args.assign(all.begin() + 1, all.end());
  spec.env = environment_of({});
  spec.fds = {{out->get(), 1}};
  auto child = sys::spawn(spec);
  ASSERT_TRUE(child) << child.error().to_string();
  auto socket = attach("console read", "ok read -");
  send_packet(socket.get(), "ohello\n");
  send_packet(socket.get(), "eguest power-off");
  auto status = child->wait(deadline_in(Milliseconds(10'000)));
  ASSERT_TRUE(status);
  EXPECT_EQ(*status, 0);
  EXPECT_EQ(*sys::read_file(base() / "watched", 100), "hello\n");
}

}  // namespace
}  // namespace cocoon::cli::test
