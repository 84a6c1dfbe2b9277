// SPDX-License-Identifier: Apache-2.0
// `vm logs` and the reader below it: rotation, truncation, tails, the end of a VM.
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "base/clock.h"
#include "engine/log_files.h"
#include "integration/cli/cli_fixture.h"

namespace cocoon::cli::test {
namespace {

class Logs : public CliTest {
 protected:
  void SetUp() override {
    CliTest::SetUp();
    fs::create_directories(dir());
  }
  fs::path dir() const { return base() / "logs"; }
  void append(const std::string& name, const std::string& text) const {
    std::ofstream(dir() / name, std::ios::app) << text;
  }
  // As the shim rotates: the oldest goes.
  void rotate() const {
    fs::rename(dir() / "log.1", dir() / "log.2", ignored_);
    fs::rename(dir() / "log", dir() / "log.1", ignored_);
  }
  std::string read_on(engine::LogReader& reader) const {
    std::string out;
    auto read = reader.read_on([&out](std::string_view bytes) -> Result<void> {
      out += bytes;
      return {};
    });
    EXPECT_TRUE(read) << read.error().to_string();
    return out;
  }
  engine::LogReader open() const {
    auto reader = engine::LogReader::open(dir(), "log");
    EXPECT_TRUE(reader) << reader.error().to_string();
    return std::move(*reader);
  }
  std::string tail(std::size_t lines) const {
    auto reader = open();
    EXPECT_TRUE(reader.skip_to_tail(lines));
    return read_on(reader);
  }

  mutable std::error_code ignored_;
};

TEST_F(Logs, NoLogIsAnEmptyLog) {
  auto reader = open();
  EXPECT_EQ(read_on(reader), "");
  auto absent = engine::LogReader::open(base() / "absent", "log");
  ASSERT_TRUE(absent);
  EXPECT_EQ(read_on(*absent), "");
}

TEST_F(Logs, AppearsLater) {
  auto reader = open();
  EXPECT_EQ(read_on(reader), "");
  append("log", "first\n");
  EXPECT_EQ(read_on(reader), "first\n");
}

TEST_F(Logs, ReadsGenerationsOldestFirst) {
  append("log.2", "a\n");
  append("log.1", "b\n");
  append("log", "c\n");
  auto reader = open();
  EXPECT_EQ(read_on(reader), "a\nb\nc\n");
  EXPECT_EQ(read_on(reader), "");
}

TEST_F(Logs, AHoleOfARotationUnderWayIsSkipped) {
  append("log.2", "a\n");
  append("log", "c\n");
  auto reader = open();
  EXPECT_EQ(read_on(reader), "a\nc\n");
  fs::rename(dir() / "log", dir() / "log.1");
  auto second = open();
  EXPECT_EQ(read_on(second), "a\nc\n");
}

TEST_F(Logs, FollowsRotation) {
  append("log", "one\n");
  auto reader = open();
  EXPECT_EQ(read_on(reader), "one\n");
  append("log", "two\n");
  rotate();
  append("log", "three\n");
  EXPECT_EQ(read_on(reader), "two\nthree\n");
  append("log", "four\n");
  rotate();
  append("log", "five\n");
  rotate();
  append("log", "six\n");
  EXPECT_EQ(read_on(reader), "four\nfive\nsix\n");
}

TEST_F(Logs, StartsAgainAfterTruncation) {
  append("log", "a long line before\n");
  auto reader = open();
  EXPECT_EQ(read_on(reader), "a long line before\n");
  ASSERT_EQ(truncate((dir() / "log").c_str(), 0), 0);
  append("log", "after\n");
  EXPECT_EQ(read_on(reader), "after\n");
}

TEST_F(Logs, TailCountsLinesAcrossGenerations) {
  append("log.1", "a\nb\nc\n");
  append("log", "d\ne\n");
  EXPECT_EQ(tail(0), "");
  EXPECT_EQ(tail(1), "e\n");
  EXPECT_EQ(tail(2), "d\ne\n");
  EXPECT_EQ(tail(3), "c\nd\ne\n");
  EXPECT_EQ(tail(5), "a\nb\nc\nd\ne\n");
  EXPECT_EQ(tail(99), "a\nb\nc\nd\ne\n");
}

TEST_F(Logs, AnUnfinishedLineIsALine) {
  append("log", "a\nb\nunfinished");
  EXPECT_EQ(tail(1), "unfinished");
  EXPECT_EQ(tail(2), "b\nunfinished");
}

TEST_F(Logs, TailOfALongLog) {
  std::string text;
  for (int i = 0; i < 50'000; ++i) text += fmt::format("line {}\n", i);
  append("log", text);
  EXPECT_EQ(tail(2), "line 49998\nline 49999\n");
  std::string many = tail(20'000);
  EXPECT_EQ(many.substr(0, 11), "line 30000\n");
}

TEST_F(Logs, AFullRotatedFileAndAnEmptyNewOne) {
  append("log.1", "a\nb\n");
  append("log", "");
  EXPECT_EQ(tail(1), "b\n");
}

TEST_F(Logs, LinksAreNotFollowed) {
  append("secret", "secret\n");
  fs::create_symlink(dir() / "secret", dir() / "log");
  EXPECT_FALSE(engine::LogReader::open(dir(), "log"));
}

constexpr const char* kId = "K3QZ7WJ5M2XA4TBN6RCVYDHEPL";

class VmLogs : public CliTest {};

TEST_F(VmLogs, ShowsConsoleOrHypervisorLog) {
  add_vm(kId, "web");
  fs::path dir = log_dir() / "qemu" / kId;
  fs::create_directories(dir);
  EXPECT_EQ(cocoon({"vm", "logs", "web"}).out, "");
  std::ofstream(dir / "console.log") << "one\ntwo\n";
  std::ofstream(dir / "vmm.log") << "qemu says\n";
  EXPECT_EQ(cocoon({"vm", "logs", "web"}).out, "one\ntwo\n");
  EXPECT_EQ(cocoon({"vm", "logs", "--tail", "1", "web"}).out, "two\n");
  EXPECT_EQ(cocoon({"vm", "logs", "--vmm", "web"}).out, "qemu says\n");
  // It does not run: a follow ends at once.
  RunResult result = cocoon({"vm", "logs", "-f", "web"});
  EXPECT_EQ(result.code, 0);
  EXPECT_EQ(result.out, "one\ntwo\n");
}

TEST_F(VmLogs, AReaderThatHasSeenEnoughIsNoNews) {
  add_vm(kId, "web");
  fs::create_directories(log_dir() / "qemu" / kId);
  std::ofstream(log_dir() / "qemu" / kId / "console.log") << "one\n";
  auto pipe = sys::make_pipe();
  pipe->read_end.reset();
  Words all = argv({"vm", "logs", "web"});
  RunResult result = run(all[0], {all.begin() + 1, all.end()}, {}, pipe->write_end.get());
  EXPECT_EQ(result.code, 1);
  EXPECT_EQ(result.err, "");
}

// Has the process a descriptor of inotify(7)?
bool has_inotify(pid_t pid) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(fmt::format("/proc/{}/fd", pid), error)) {
    std::error_code gone;
    if (fs::read_symlink(entry.path(), gone).native() == "anon_inode:inotify") return true;
  }
  return false;
}

class FollowVmLogs : public CliTest {
 protected:
  void SetUp() override {
    CliTest::SetUp();
    live_.emplace(run_dir(), log_dir(), add_vm(kId, "web"));
    store_vm(live_->vm(), false);
  }
  std::string seen() const { return *sys::read_file(base() / "followed", 1 << 20); }
  sys::Child follow(const Words& words) const {
    auto out = sys::open_file(base() / "followed", O_RDWR | O_CREAT | O_TRUNC, 0600);
    Words all = argv(words);
    sys::SpawnSpec spec;
    spec.program = all[0];
    spec.args.assign(all.begin() + 1, all.end());
    spec.env = environment_of({});
    spec.fds = {{out->get(), 1}, {STDERR_FILENO, 2}};
    auto child = sys::spawn(spec);
    EXPECT_TRUE(child) << child.error().to_string();
    return std::move(*child);
  }
  void append(const std::string& text) const {
    std::ofstream(live_->log_dir() / "console.log", std::ios::app) << text;
  }
  std::optional<LiveVm> live_;
};

TEST_F(FollowVmLogs, UntilTheVmEndsWithItsLastWords) {
  append("before\n");
  sys::Child child = follow({"vm", "logs", "--follow", "--tail=0", "web"});
  // --tail=0: nothing of before; wait until it watches.
  EXPECT_TRUE(eventually([&] { return has_inotify(child.pid()); }));
  append("one\n");
  EXPECT_TRUE(eventually([&] { return seen() == "one\n"; })) << seen();
  fs::rename(live_->log_dir() / "console.log", live_->log_dir() / "console.log.1");
  append("two\n");
  EXPECT_TRUE(eventually([&] { return seen() == "one\ntwo\n"; })) << seen();
  live_->end_vmm();
  std::this_thread::sleep_for(Milliseconds(50));
  append("last\n");  // the shim drains the console after its VMM's end
  live_->end_shim();
  auto status = child.wait(deadline_in(Milliseconds(10'000)));
  ASSERT_TRUE(status) << status.error().to_string();
  EXPECT_EQ(*status, 0);
  EXPECT_EQ(seen(), "one\ntwo\nlast\n");
}

TEST_F(FollowVmLogs, CanBeInterrupted) {
  append("one\n");
  sys::Child child = follow({"vm", "logs", "-f", "web"});
  EXPECT_TRUE(eventually([&] { return seen() == "one\n"; })) << seen();
  kill(child.pid(), SIGINT);
  auto status = child.wait(deadline_in(Milliseconds(10'000)));
  ASSERT_TRUE(status);
  ASSERT_TRUE(WIFEXITED(*status));
  EXPECT_EQ(WEXITSTATUS(*status), 130);
}

}  // namespace
}  // namespace cocoon::cli::test
