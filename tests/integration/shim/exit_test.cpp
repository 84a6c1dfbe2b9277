// SPDX-License-Identifier: Apache-2.0
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include <fstream>

#include <nlohmann/json.hpp>

#include "integration/shim/shim_fixture.h"

namespace cocoon::shim_test {
namespace {
namespace fs = std::filesystem;
using nlohmann::json;

class ExitTest : public ShimTest {
 protected:
  // Launches, waits for the record, and checks that the shim has tidied up.
  json run_to_end(const std::vector<std::string>& steps, const Values& changes = {}) {
    const Running shim = launch(steps, changes);
    EXPECT_TRUE(shim.report.starts_with("started ")) << shim.report;
    const json record = json::parse(exit_record(), nullptr, false);
    EXPECT_FALSE(record.is_discarded());
    EXPECT_EQ(exit_code(shim.pid), 0);
    for (const char* name : {"vmm", "console.sock", "shim.sock"})
      EXPECT_FALSE(fs::exists(vm_dir_ / name)) << name;
    return record;
  }

  static std::string marker(const std::string& code) {
    return "say:cocoon-exit " + std::string(kNonce) + " " + code;
  }
};

TEST_F(ExitTest, RecordNamesTheProcessAndIsPrivate) {
  const json record = run_to_end({"exit:0"});
  EXPECT_EQ(record.at("boot_id"), boot_id());
  EXPECT_EQ(record.at("pid"), vmm());
  EXPECT_EQ(record.at("start_time"), vmm_start());
  EXPECT_EQ(record.at("ended_at").get<std::string>().size(), 20U);
  EXPECT_EQ(record.size(), 7U);
  EXPECT_EQ(fs::status(exits_ / "vm0.json").permissions(), fs::perms(0600));
  EXPECT_EQ(std::distance(fs::directory_iterator(exits_), fs::directory_iterator()), 1);
}

TEST_F(ExitTest, StatusZeroIsAGuestPowerOff) {
  const json record = run_to_end({"exit:0"});
  EXPECT_EQ(record.at("wait_status"), 0);
  EXPECT_TRUE(record.at("guest_exit").is_null());
  EXPECT_EQ(record.at("reason"), "guest power-off");
}

TEST_F(ExitTest, OtherStatusQuotesTheLastLogLine) {
  std::ofstream(log_dir_ / "vmm.log") << "of an earlier run\n";
  ASSERT_EQ(::chown((log_dir_ / "vmm.log").c_str(), uid_, uid_), 0);
  const json record =
      run_to_end({"log:first", "log:disk \"x\" \\ is\x1b[2J locked", "log:  ", "exit:3"});
  EXPECT_EQ(record.at("wait_status"), 3 << 8);
  EXPECT_EQ(record.at("reason"), "VMM exited with status 3: disk \"x\" \\ is?[2J locked");
  EXPECT_TRUE(read_text(log_dir_ / "vmm.log").starts_with("of an earlier run\nfirst\n"));
}

TEST_F(ExitTest, LinesOfAnEarlierRunAreNotQuoted) {
  std::ofstream(log_dir_ / "vmm.log") << "of an earlier run\n";
  ASSERT_EQ(::chown((log_dir_ / "vmm.log").c_str(), uid_, uid_), 0);
  EXPECT_EQ(run_to_end({"exit:3"}).at("reason"), "VMM exited with status 3");
}

TEST_F(ExitTest, SignalIsNamed) {
  const json record = run_to_end({"kill:11"});
  EXPECT_EQ(record.at("reason"), "VMM killed by signal 11 (SIGSEGV)");
  EXPECT_TRUE(WIFSIGNALED(record.at("wait_status").get<int>()));
}

TEST_F(ExitTest, KillNineIsRecordedWithinASecond) {
  launch({"idle"});
  ::kill(vmm(), SIGKILL);
  const json record = json::parse(exit_record(milliseconds(1000)));
  EXPECT_EQ(record.at("wait_status"), 9);
  EXPECT_EQ(record.at("reason"), "VMM killed by signal 9 (SIGKILL)");
}

TEST_F(ExitTest, MarkerGivesTheGuestsCode) {
  const json record = run_to_end({marker("1"), marker("42"), "say:cocoon-exit 00 7", "exit:1"});
  EXPECT_EQ(record.at("guest_exit"), 42);
  EXPECT_EQ(record.at("wait_status"), 1 << 8);
  EXPECT_EQ(record.at("reason"), "guest exited with code 42");
}

TEST_F(ExitTest, KernelsPowerOffLineCounts) {
  const json record = run_to_end({"say:[   12.345678] reboot: Power down", "exit:1"});
  EXPECT_EQ(record.at("reason"), "guest power-off");
  EXPECT_TRUE(record.at("guest_exit").is_null());
}

TEST_F(ExitTest, StatusZeroIsARebootWhereThatEndsTheVmm) {
  const json record = run_to_end({"say:bye", "exit:0"}, {{"ends_by", "reboot"}});
  EXPECT_EQ(record.at("reason"), "guest reboot");
}

TEST_F(ExitTest, HaltedGuestsVmmIsEnded) {
  launch({"say:[    9.000000] reboot: System halted", "idle"}, {{"ends_by", "reboot"}});
  const auto start = std::chrono::steady_clock::now();
  const json record = json::parse(exit_record(milliseconds(15'000)), nullptr, false);
  ASSERT_FALSE(record.is_discarded());
  EXPECT_EQ(record.at("reason"), "guest power-off");
  EXPECT_EQ(record.at("wait_status"), SIGKILL);
  EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::seconds(4));
}

TEST_F(ExitTest, OneThatOnlySaysSoIsLeftAlone) {
  launch({"say:reboot: Power down", "tick"}, {{"ends_by", "reboot"}});
  EXPECT_EQ(exit_record(milliseconds(8000)), "");
  EXPECT_TRUE(status().starts_with("vmm "));
}

TEST_F(ExitTest, HaltedGuestsVmmStaysWhereItEndsByItself) {
  launch({"say:reboot: Power down", "idle"});
  EXPECT_EQ(exit_record(milliseconds(7500)), "");
}

TEST_F(ExitTest, GuestThatPanicsAtEveryBootIsEnded) {
  const std::string panic =
      "say:[    1.597577] Kernel panic - not syncing: VFS: no \x1b root\r\n"
      "[    1.597600] Call Trace:";
  // More than are needed: a busy machine may let the shim read two of them at once.
  std::vector<std::string> steps;
  for (int i = 0; i < 15; ++i) steps.insert(steps.end(), {panic, "sleep:200"});
  steps.emplace_back("idle");
  launch(steps);
  const json record = json::parse(exit_record(milliseconds(20'000)), nullptr, false);
  ASSERT_FALSE(record.is_discarded());
  EXPECT_EQ(record.at("reason"), "guest kernel panics at every boot: VFS: no ? root");
  EXPECT_EQ(record.at("wait_status"), SIGKILL);
}

TEST_F(ExitTest, GuestThatGetsFurtherBetweenPanicsIsLeftAlone) {
  const std::string panic = "say:[    9.500000] Kernel panic - not syncing: sysrq triggered crash";
  std::vector<std::string> steps;
  for (int i = 0; i < 4; ++i) steps.insert(steps.end(), {panic, "sleep:150"});
  steps.emplace_back("say:login:");
  for (int i = 0; i < 4; ++i) steps.insert(steps.end(), {panic, "sleep:150"});
  steps.emplace_back("idle");
  launch(steps);
  EXPECT_EQ(exit_record(milliseconds(2500)), "");
}

TEST_F(ExitTest, ConsoleIsReadToItsEnd) {
  // Far more than the terminal's buffers hold, and nothing between the last byte and the end.
  const json record = run_to_end({"flood:20000", marker("5"), "exit:0"});
  EXPECT_EQ(record.at("guest_exit"), 5);
  const std::string log = read_text(log_dir_ / "console.log");
  EXPECT_EQ(log.size(), 20000U * 64 + std::string(kNonce).size() + 16);
  EXPECT_NE(log.find("line 19999 "), std::string::npos);
}

TEST_F(ExitTest, ClosedConsoleIsNoEndAndNoBusyLoop) {
  const Running shim = launch({"say:bye", "close", "idle"});
  Peer reader = console("console read");
  EXPECT_TRUE(reader.wait_for("bye"));
  const auto ticks = [&] { return status_field(shim.pid, "voluntary_ctxt_switches"); };
  const int before = std::stoi(ticks());
  EXPECT_FALSE(reader.wait_for_notice('e', milliseconds(1500)));
  EXPECT_LT(std::stoi(ticks()) - before, 10);
  ::kill(vmm(), SIGTERM);
  EXPECT_EQ(reader.wait_for_notice('e'), "VMM killed by signal 15 (SIGTERM)");
}

TEST_F(ExitTest, RecordIsWrittenThoughTheLogDirectoryVanished) {
  launch({"echo", "flood:100", marker("6"), "exit:0"}, {{"console_log_bytes", "4096"}});
  fs::remove_all(log_dir_);
  console("console write").send("iq");
  EXPECT_EQ(json::parse(exit_record()).at("guest_exit"), 6);
}

TEST_F(ExitTest, RecordIsWrittenThoughTheLogDiskIsFull) {
  ASSERT_EQ(::mount("log", log_dir_.c_str(), "tmpfs", 0, "size=64k"), 0);
  launch({"flood:4000", "say:full", "echo", "say:", marker("7"), "exit:0"});
  Peer writer = console("console write");
  EXPECT_TRUE(writer.wait_for("full\r\n"));
  EXPECT_LE(fs::file_size(log_dir_ / "console.log"), 64U * 1024);
  // Space returns: the log goes on, and says what is missing.
  ASSERT_EQ(::mount("log", log_dir_.c_str(), "tmpfs", MS_REMOUNT, "size=1m"), 0);
  writer.send("ihello");
  EXPECT_TRUE(writer.wait_for("hello"));
  EXPECT_TRUE(eventually([&] {
    return read_text(log_dir_ / "console.log").ends_with("could not be logged]\r\nhello");
  }));
  writer.send("iq");
  EXPECT_EQ(json::parse(exit_record()).at("guest_exit"), 7);
  EXPECT_EQ(::umount2(log_dir_.c_str(), MNT_DETACH), 0);
}

TEST_F(ExitTest, RecordIsTriedAgainUntilThereIsSpace) {
  ASSERT_EQ(::mount("exits", exits_.c_str(), "tmpfs", 0, "size=8k"), 0);
  std::ofstream(exits_ / "ballast") << std::string(16384, 'x');
  const Running shim = launch({"exit:0"});
  EXPECT_EQ(exit_code(shim.pid, milliseconds(300)), -1);
  EXPECT_EQ(exit_record(milliseconds(0)), "");
  EXPECT_TRUE(status().starts_with("vmm "));
  fs::remove(exits_ / "ballast");
  EXPECT_EQ(json::parse(exit_record()).at("wait_status"), 0);
  EXPECT_EQ(exit_code(shim.pid), 0);
  EXPECT_EQ(::umount2(exits_.c_str(), MNT_DETACH), 0);
}

TEST_F(ExitTest, ShimEndsWhenTheExitDirectoryIsGone) {
  const Running shim = launch({"idle"});
  fs::remove_all(exits_);
  ::kill(vmm(), SIGKILL);
  EXPECT_EQ(exit_code(shim.pid), 0);
}

}  // namespace
}  // namespace cocoon::shim_test
