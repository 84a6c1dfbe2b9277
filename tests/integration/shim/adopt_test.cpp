// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <thread>

#include <nlohmann/json.hpp>

#include "integration/shim/shim_fixture.h"

namespace cocoon::shim_test {
namespace {
namespace fs = std::filesystem;
using nlohmann::json;

class AdoptTest : public ShimTest {
 protected:
  void end_vmm() const {
    ::kill(vmm(), SIGKILL);
    ::waitpid(vmm(), nullptr, 0);
  }
};

TEST_F(AdoptTest, VmmLivesOnIdleWithoutItsShim) {
  kill_shim(launch({"echo"}));
  const long before = cpu_ticks(vmm());
  std::this_thread::sleep_for(milliseconds(500));
  EXPECT_EQ(::kill(vmm(), 0), 0);
  EXPECT_LE(cpu_ticks(vmm()) - before, 1);
}

TEST_F(AdoptTest, ConsoleWorksAgain) {
  const Running first = launch({"say:early", "echo"});
  EXPECT_TRUE(console("console read").wait_for("early\r\n"));
  kill_shim(first);
  const Running second = start("adopt");
  EXPECT_EQ(second.report, "adopted " + std::to_string(vmm()) + " " + std::to_string(vmm_start()));
  EXPECT_TRUE(status().starts_with("vmm " + std::to_string(vmm())));
  Peer writer = console("console write");
  writer.send("iagain");
  EXPECT_TRUE(writer.wait_for("again"));
  EXPECT_EQ(writer.output(), "early\r\nagain");  // the scroll-back survives, from the log
  writer.send("w40 100");
  EXPECT_TRUE(writer.wait_for("[size 40 100]"));
}

TEST_F(AdoptTest, OutputOfTheTimeBetweenIsNotLost) {
  kill_shim(launch({"sleep:300", "flood:1000", "say:done", "idle"}));
  std::this_thread::sleep_for(milliseconds(500));  // it now waits for room on its console
  start("adopt");
  Peer reader = console("console read");
  EXPECT_TRUE(reader.wait_for("done\r\n"));
  EXPECT_TRUE(
      eventually([&] { return fs::file_size(log_dir_ / "console.log") == 1000U * 64 + 6; }));
}

TEST_F(AdoptTest, AdopterKeepsOnlyTheRightToKill) {
  kill_shim(launch({"idle"}));
  const Running second = start("adopt");
  for (const char* set : {"CapPrm", "CapEff", "CapBnd"})
    EXPECT_EQ(status_field(second.pid, set), "0000000000000020") << set;
}

TEST_F(AdoptTest, EndIsRecordedWithoutWaitStatus) {
  kill_shim(launch({"echo", "exit:3"}));
  const Running second = start("adopt");
  console("console write").send("iq");
  const json record = json::parse(exit_record());
  EXPECT_TRUE(record.at("wait_status").is_null());
  EXPECT_EQ(record.at("pid"), vmm());
  EXPECT_EQ(record.at("start_time"), vmm_start());
  EXPECT_EQ(record.at("reason"), "VMM ended, end not seen");
  EXPECT_EQ(exit_code(second.pid), 0);
  EXPECT_FALSE(fs::exists(vm_dir_ / "vmm"));
}

TEST_F(AdoptTest, MarkerCountsBeforeAndAfterAdoption) {
  const std::string line = "say:cocoon-exit " + std::string(kNonce);
  const Running first = launch({line + " 8", "echo", line + " 9", "exit:0"});
  EXPECT_TRUE(console("console read").wait_for(" 8\r\n"));
  kill_shim(first);
  const Running second = start("adopt");
  kill_shim(second);
  start("adopt");
  console("console write").send("iq");
  EXPECT_EQ(json::parse(exit_record()).at("reason"), "guest exited with code 9");
}

TEST_F(AdoptTest, MarkerThatTheDeadShimLoggedCounts) {
  const Running first = launch({"say:cocoon-exit " + std::string(kNonce) + " 8", "idle"});
  EXPECT_TRUE(console("console read").wait_for(" 8\r\n"));
  kill_shim(first);
  start("adopt");
  ::kill(vmm(), SIGKILL);
  EXPECT_EQ(json::parse(exit_record()).at("guest_exit"), 8);
}

TEST_F(AdoptTest, OneAdopterOnly) {
  kill_shim(launch({"idle"}));
  start("adopt");
  const Running second = start("adopt");
  EXPECT_EQ(second.report, "error busy");
  EXPECT_EQ(exit_code(second.pid), 3);
  EXPECT_TRUE(status().starts_with("vmm "));
}

TEST_F(AdoptTest, BusyWhileTheLauncherLives) {
  launch({"idle"});
  EXPECT_EQ(start("adopt").report, "error busy");
}

TEST_F(AdoptTest, AMomentaryProbeOfTheLockIsNotTakenForAShim) {
  kill_shim(launch({"idle"}));
  const int probe = ::open((vm_dir_ / "shim.lock").c_str(), O_RDONLY | O_CLOEXEC);
  ASSERT_EQ(::flock(probe, LOCK_SH | LOCK_NB), 0);
  std::thread release([&] {
    std::this_thread::sleep_for(milliseconds(15));
    ::close(probe);
  });
  EXPECT_TRUE(start("adopt").report.starts_with("adopted "));
  release.join();
}

TEST_F(AdoptTest, GoneWritesNothing) {
  kill_shim(launch({"idle"}));
  end_vmm();
  const std::string identity = read_text(vm_dir_ / "vmm");
  const Running second = start("adopt");
  EXPECT_EQ(second.report, "error gone");
  EXPECT_EQ(exit_code(second.pid), 4);
  EXPECT_TRUE(fs::is_empty(exits_));
  EXPECT_EQ(read_text(vm_dir_ / "vmm"), identity);
  fs::remove(vm_dir_ / "vmm");
  EXPECT_EQ(start("adopt").report, "error gone");
}

TEST_F(AdoptTest, ZombieIsGone) {
  kill_shim(launch({"idle"}));
  ::kill(vmm(), SIGKILL);
  ASSERT_TRUE(eventually([&] { return status_field(vmm(), "State").starts_with("Z"); }));
  EXPECT_EQ(start("adopt").report, "error gone");
}

TEST_F(AdoptTest, OtherProcessOfThatPidOrOtherBootIsGone) {
  kill_shim(launch({"idle"}));
  const fs::path path = vm_dir_ / "vmm";
  const std::string identity = read_text(path);
  const auto replaced = [&](const std::string& from, const std::string& to) {
    std::string text = identity;
    text.replace(text.find(from), from.size(), to);
    std::ofstream(path) << text;
    return start("adopt").report;
  };
  EXPECT_EQ(replaced("start_time=", "start_time=1"), "error gone");
  EXPECT_EQ(replaced("boot_id=", "boot_id=x"), "error gone");
  const std::string broken = replaced("pts=", "xyz=");
  EXPECT_EQ(broken, "error vmm: bad line 'pts'");
  std::ofstream(path) << identity;
  EXPECT_TRUE(start("adopt").report.starts_with("adopted "));
}

TEST_F(AdoptTest, VmmThatHidesItsConsoleIsNotServed) {
  kill_shim(launch({"steal-master", "idle"}));
  EXPECT_TRUE(eventually([&] {
    std::error_code error;
    const fs::path link = "/proc/" + std::to_string(vmm()) + "/fd/3";
    return fs::read_symlink(link, error).string().starts_with("pipe:");
  }));
  const Running second = start("adopt");
  EXPECT_EQ(second.report, "error the VMM's descriptor 3 is not its console");
  EXPECT_EQ(exit_code(second.pid), 1);
  EXPECT_FALSE(fs::exists(vm_dir_ / "shim.sock"));
  EXPECT_TRUE(fs::exists(vm_dir_ / "vmm"));
}

TEST_F(AdoptTest, LinkPlantedAsVmmLogIsNotTouched) {
  kill_shim(launch({"echo"}, {{"vmm_log_bytes", "4096"}}));
  const fs::path victim = top_ / "victim";
  std::ofstream(victim) << std::string(10000, 'v');
  ASSERT_EQ(::chown(victim.c_str(), uid_, uid_), 0);
  fs::remove(log_dir_ / "vmm.log");
  fs::create_hard_link(victim, log_dir_ / "vmm.log");
  start("adopt");
  EXPECT_TRUE(status().starts_with("vmm "));
  EXPECT_EQ(fs::file_size(victim), 10000U);
}

TEST_F(AdoptTest, SigtermEndsTheShimAndAnAdopterContinues) {
  const Running first = launch({"say:one", "echo", "exit:0"});
  EXPECT_TRUE(console("console read").wait_for("one\r\n"));
  for (const int harmless : {SIGHUP, SIGINT, SIGPIPE, SIGALRM}) ::kill(first.pid, harmless);
  EXPECT_TRUE(status().starts_with("vmm "));
  ::kill(first.pid, SIGTERM);
  EXPECT_EQ(exit_code(first.pid), 0);
  EXPECT_EQ(::kill(vmm(), 0), 0);
  EXPECT_FALSE(fs::exists(vm_dir_ / "shim.sock"));
  EXPECT_TRUE(fs::exists(vm_dir_ / "vmm"));
  EXPECT_TRUE(fs::is_empty(exits_));
  EXPECT_TRUE(start("adopt").report.starts_with("adopted "));
  Peer writer = console("console write");
  writer.send("itwo");
  EXPECT_TRUE(writer.wait_for("two"));
}

}  // namespace
}  // namespace cocoon::shim_test
