// SPDX-License-Identifier: Apache-2.0
#include <sys/stat.h>

#include <iostream>
#include <sstream>
#include <thread>

#include "integration/shim/shim_fixture.h"

namespace cocoon::shim_test {
namespace {
namespace fs = std::filesystem;

class LogsTest : public ShimTest {
 protected:
  // Sum of Private_Clean, Private_Dirty and Private_Hugetlb in KiB.
  static long private_kib(pid_t pid) {
    std::istringstream lines(read_text("/proc/" + std::to_string(pid) + "/smaps_rollup"));
    long total = 0;
    for (std::string line; std::getline(lines, line);) {
      if (!line.starts_with("Private_")) continue;
      total += std::stol(line.substr(line.find(':') + 1));
    }
    return total;
  }
};

TEST_F(LogsTest, ConsoleLogRotates) {
  const Running shim =
      launch({"flood:1000", "exit:0"}, {{"console_log_bytes", "8192"}, {"console_log_files", "3"}});
  EXPECT_EQ(exit_code(shim.pid), 0);
  EXPECT_EQ(std::distance(fs::directory_iterator(log_dir_), fs::directory_iterator()), 4);
  const std::string kept = read_text(log_dir_ / "console.log.2") +
                           read_text(log_dir_ / "console.log.1") +
                           read_text(log_dir_ / "console.log");
  EXPECT_EQ(fs::file_size(log_dir_ / "console.log.1"), 8192U);
  EXPECT_EQ(fs::file_size(log_dir_ / "console.log.2"), 8192U);
  EXPECT_LE(fs::file_size(log_dir_ / "console.log"), 8192U);
  // The end of the output, without a gap.
  EXPECT_TRUE(kept.ends_with("line 999 " + std::string(53, '.') + "\r\n"));
  EXPECT_EQ(kept.size() % 64, 0U);
  const std::string first = "line " + std::to_string(1000 - kept.size() / 64) + " ";
  EXPECT_TRUE(kept.starts_with(first)) << kept.substr(0, 64);
  EXPECT_EQ(fs::status(log_dir_ / "console.log").permissions(), fs::perms(0600));
}

TEST_F(LogsTest, NextRunAppends) {
  EXPECT_EQ(exit_code(launch({"say:one", "exit:0"}).pid), 0);
  EXPECT_EQ(exit_code(launch({"say:two", "exit:0"}).pid), 0);
  EXPECT_EQ(read_text(log_dir_ / "console.log"), "one\r\ntwo\r\n");
}

TEST_F(LogsTest, VmmLogIsTruncatedAtItsLimit) {
  launch({"flood-log:2000", "say:done", "echo", "log:afterwards", "echo"},
         {{"vmm_log_bytes", "65536"}});
  Peer writer = console("console write");
  ASSERT_TRUE(writer.wait_for("done"));
  // Of the 128 000 bytes written, it has cut off some by now or does at the next check, which it
  // makes when it is awake, once in a second.
  std::this_thread::sleep_for(milliseconds(1100));
  writer.send("ix");
  EXPECT_TRUE(eventually([&] { return fs::file_size(log_dir_ / "vmm.log") <= 65536; }));
  writer.send("iq");
  EXPECT_TRUE(
      eventually([&] { return read_text(log_dir_ / "vmm.log").ends_with("afterwards\n"); }));
}

TEST_F(LogsTest, PrivateMemoryStaysBelowOneMebibyte) {
  shim_program_ = COCOON_SHIM_STATIC_PROGRAM;
  const Running shim = launch({"flood:40000", "say:done", "echo"});
  std::vector<Peer> peers;
  for (int i = 0; i < 15; ++i) peers.push_back(console("console read"));
  Peer writer = console("console write");
  EXPECT_TRUE(writer.wait_for("done"));
  writer.send("i" + std::string(16000, 'x'));
  EXPECT_TRUE(writer.wait_for("xxx"));
  const long busy = private_kib(shim.pid);
  RecordProperty("private_kib", static_cast<int>(busy));
  std::cout << "cocoon-shim: " << busy << " KiB of private memory\n";
  EXPECT_GT(busy, 0);
  EXPECT_LE(busy, 1024);
  std::this_thread::sleep_for(milliseconds(300));
  EXPECT_LE(private_kib(shim.pid), busy);
}

TEST_F(LogsTest, IdleShimSleeps) {
  const Running shim = launch({"idle"});
  std::this_thread::sleep_for(milliseconds(100));
  const int before = std::stoi(status_field(shim.pid, "voluntary_ctxt_switches"));
  std::this_thread::sleep_for(milliseconds(1000));
  EXPECT_LE(std::stoi(status_field(shim.pid, "voluntary_ctxt_switches")) - before, 1);
}

}  // namespace
}  // namespace cocoon::shim_test
