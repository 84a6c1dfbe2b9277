// SPDX-License-Identifier: Apache-2.0
#include "integration/shim/shim_fixture.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <sstream>
#include <thread>

namespace cocoon::shim_test {
namespace fs = std::filesystem;
namespace {

constexpr uid_t kFirstUid = 1879048192;

std::string read_report(int fd) {
  std::string text;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (std::chrono::steady_clock::now() < deadline) {
    pollfd entry{fd, POLLIN, 0};
    if (::poll(&entry, 1, 100) <= 0) continue;
    std::array<char, 256> buffer{};
    const ssize_t size = ::read(fd, buffer.data(), buffer.size());
    if (size <= 0) break;
    text.append(buffer.data(), static_cast<std::size_t>(size));
  }
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

[[noreturn]] void exec_shim(const char* program, const char* verb, const char* vm_dir, int report) {
  const int null = ::open("/dev/null", O_RDONLY);
  ::dup2(null, STDIN_FILENO);
  ::dup2(report, STDOUT_FILENO);
  ::execl(program, "cocoon-shim", verb, vm_dir, nullptr);
  ::_exit(126);
}

}  // namespace

bool eventually(const std::function<bool()>& condition, milliseconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(milliseconds(5));
  }
  return true;
}

std::string read_text(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string status_field(pid_t pid, std::string_view name) {
  std::istringstream lines(read_text("/proc/" + std::to_string(pid) + "/status"));
  const std::string prefix = std::string(name) + ":";
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(prefix)) continue;
    const std::size_t start = line.find_first_not_of(" \t", prefix.size());
    return start == std::string::npos ? "" : line.substr(start);
  }
  return "?";
}

long cpu_ticks(pid_t pid) {
  const std::string text = read_text("/proc/" + std::to_string(pid) + "/stat");
  std::istringstream words(text.substr(text.rfind(')') + 2));
  std::string skipped;
  for (int field = 3; field < 14; ++field) words >> skipped;
  long user = 0;
  long system = 0;
  words >> user >> system;
  return user + system;
}

void ShimTest::SetUp() {
  if (::geteuid() != 0)
    GTEST_SKIP() << "NOT RUN: the tests of cocoon-shim need root (they change uid and namespaces)";
  // Orphaned VMMs come to this process, so that nothing is left behind.
  ::prctl(PR_SET_CHILD_SUBREAPER, 1UL, 0UL, 0UL, 0UL);
  std::string name = fs::temp_directory_path() / "cocoon-shim-test-XXXXXX";
  ASSERT_NE(::mkdtemp(name.data()), nullptr);
  top_ = name;
  ASSERT_EQ(::chmod(top_.c_str(), 0711), 0);
  uid_ = kFirstUid + static_cast<uid_t>(::getpid() % 65536);
  program_ = top_ / "fake-vmm";
  fs::copy_file(COCOON_FAKE_VMM, program_);
  ::chmod(program_.c_str(), 0755);
  const fs::path closed = top_ / "run";
  vm_dir_ = closed / "vm0";
  log_dir_ = top_ / "log";
  exits_ = top_ / "exits";
  for (const fs::path& directory : {closed, vm_dir_, log_dir_, exits_})
    ASSERT_EQ(::mkdir(directory.c_str(), 0700), 0);
  ASSERT_EQ(::chown(vm_dir_.c_str(), 0, uid_), 0);
  ASSERT_EQ(::chmod(vm_dir_.c_str(), 0750), 0);
}

void ShimTest::TearDown() {
  if (top_.empty()) return;
  for (const pid_t pid : started_) {
    // All are children: forked by this test, or left to it as subreaper. Others are not touched.
    if (::waitpid(pid, nullptr, WNOHANG) != 0) continue;
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
  }
  // VMMs whose shim has just been killed above.
  if (vmm_ > 0 && ::waitpid(vmm_, nullptr, WNOHANG) == 0) {
    ::kill(vmm_, SIGKILL);
    ::waitpid(vmm_, nullptr, 0);
  }
  std::error_code ignored;
  fs::remove_all(top_, ignored);
}

std::string ShimTest::boot_id() {
  std::string text = read_text("/proc/sys/kernel/random/boot_id");
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

void ShimTest::configure(const std::vector<std::string>& steps, const Values& changes) {
  Values values = {{"version", "1"},
                   {"id", "vm0"},
                   {"vm_dir", vm_dir_},
                   {"log_dir", log_dir_},
                   {"exit_file", exits_ / "vm0.json"},
                   {"boot_id", boot_id()},
                   {"uid", std::to_string(uid_)},
                   {"gid", std::to_string(uid_)},
                   {"nonce", kNonce},
                   {"netns", "none"},
                   {"program", program_}};
  for (const auto& [key, value] : changes) values[key] = value;
  std::string text;
  for (const auto& [key, value] : values) text += key + "=" + value + '\0';
  for (const std::string& path : shown_) text += "show=" + path + '\0';
  for (const std::string& step : steps) text += "arg=" + step + '\0';
  text += std::string("env=FAKE=yes") + '\0';
  const fs::path path = vm_dir_ / "shim.conf";
  std::ofstream(path, std::ios::binary) << text;
  ::chmod(path.c_str(), 0600);
}

Running ShimTest::start(const char* verb) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return {};
  Running running;
  running.pid = ::fork();
  if (running.pid == 0) exec_shim(shim_program_, verb, vm_dir_.c_str(), ends[1]);
  ::close(ends[1]);
  started_.push_back(running.pid);
  running.report = read_report(ends[0]);
  ::close(ends[0]);
  std::istringstream words(running.report);
  std::string word;
  if (words >> word && word != "error") words >> vmm_ >> vmm_start_;
  return running;
}

Running ShimTest::launch(const std::vector<std::string>& steps, const Values& changes) {
  configure(steps, changes);
  return start("launch");
}

int ShimTest::exit_code(pid_t shim, milliseconds limit) {
  int status = 0;
  if (!eventually([&] { return ::waitpid(shim, &status, WNOHANG) == shim; }, limit)) return -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

void ShimTest::kill_shim(const Running& shim) {
  ::kill(shim.pid, SIGKILL);
  ::waitpid(shim.pid, nullptr, 0);
}

Peer ShimTest::console(std::string_view request, std::string* answer) const {
  Peer peer(vm_dir_ / "shim.sock", SOCK_SEQPACKET);
  peer.send(request);
  const std::string first = peer.receive().value_or("(nothing)");
  if (answer != nullptr) *answer = first;
  return peer;
}

Peer ShimTest::raw_console() const { return {vm_dir_ / "console.sock", SOCK_STREAM}; }

std::string ShimTest::status() const {
  std::string answer;
  console("status", &answer);
  return answer;
}

std::string ShimTest::exit_record(milliseconds limit) const {
  const fs::path path = exits_ / "vm0.json";
  eventually([&] { return fs::exists(path); }, limit);
  return read_text(path);
}

}  // namespace cocoon::shim_test
