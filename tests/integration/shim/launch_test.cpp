// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <set>
#include <sstream>

#include "integration/shim/shim_fixture.h"

namespace cocoon::shim_test {
namespace {
namespace fs = std::filesystem;

using LaunchTest = ShimTest;

fs::path proc(pid_t pid, const std::string& name) {
  return fs::path("/proc") / std::to_string(pid) / name;
}

std::vector<std::string> stat_fields(pid_t pid) {
  std::string text = read_text(proc(pid, "stat"));
  std::istringstream words(text.substr(text.rfind(')') + 2));
  std::vector<std::string> fields(3);  // [3] is field 3
  for (std::string word; words >> word;) fields.push_back(word);
  return fields;
}

std::string read_link(const fs::path& path) {
  std::error_code error;
  return fs::read_symlink(path, error).string();
}

TEST_F(LaunchTest, ReportsPidAndStartTime) {
  const Running shim = launch({"idle"});
  EXPECT_EQ(shim.report, "started " + std::to_string(vmm()) + " " + std::to_string(vmm_start()));
  EXPECT_EQ(stat_fields(vmm())[22], std::to_string(vmm_start()));
  EXPECT_EQ(stat_fields(vmm())[4], std::to_string(shim.pid));
  EXPECT_EQ(status(), "vmm " + std::to_string(vmm()) + " " + std::to_string(vmm_start()) +
                          " writer - readers 0");
}

TEST_F(LaunchTest, WritesIdentityAndPrivateFiles) {
  launch({"idle"});
  const std::string identity = read_text(vm_dir_ / "vmm");
  const std::string tty = read_link(proc(vmm(), "fd/0"));
  ASSERT_TRUE(tty.starts_with("/dev/pts/"));
  const std::string expected = "boot_id=" + boot_id() + "\npid=" + std::to_string(vmm()) +
                               "\nstart_time=" + std::to_string(vmm_start()) +
                               "\npts=" + tty.substr(9) + "\nstarted_at=20";
  EXPECT_TRUE(identity.starts_with(expected)) << identity;
  EXPECT_TRUE(identity.ends_with("Z\n"));
  for (const char* name : {"vmm", "shim.lock", "console.sock", "shim.sock"}) {
    struct stat facts {};
    ASSERT_EQ(::lstat((vm_dir_ / name).c_str(), &facts), 0) << name;
    EXPECT_EQ(facts.st_uid, 0U) << name;
    EXPECT_EQ(facts.st_mode & 07777, 0600U) << name;
  }
  struct stat log {};
  ASSERT_EQ(::lstat((log_dir_ / "vmm.log").c_str(), &log), 0);
  EXPECT_EQ(log.st_uid, uid_);
  EXPECT_EQ(log.st_mode & 07777, 0600U);
}

TEST_F(LaunchTest, VmmIsNobody) {
  launch({"idle"});
  const std::string id = std::to_string(uid_);
  const std::string four = id + "\t" + id + "\t" + id + "\t" + id;
  EXPECT_EQ(status_field(vmm(), "Uid"), four);
  EXPECT_EQ(status_field(vmm(), "Gid"), four);
  EXPECT_EQ(status_field(vmm(), "Groups"), "");
  for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"})
    EXPECT_EQ(status_field(vmm(), set), "0000000000000000") << set;
  EXPECT_EQ(status_field(vmm(), "NoNewPrivs"), "1");
  EXPECT_EQ(status_field(vmm(), "Umask"), "0077");
  EXPECT_NE(read_text(proc(vmm(), "limits")).find("Max core file size        0  "),
            std::string::npos);
}

TEST_F(LaunchTest, VmmHasSupplementaryGroups) {
  launch({"idle"}, {{"groups", "12345,54321"}});
  EXPECT_EQ(status_field(vmm(), "Groups"), "12345 54321 ");
}

TEST_F(LaunchTest, VmmSeesItsDirectoryConsoleAndLogOnly) {
  launch({"idle"});
  EXPECT_EQ(read_link(proc(vmm(), "cwd")), fs::canonical(vm_dir_).string());
  const auto descriptors = [&] {
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(proc(vmm(), "fd")))
      names.insert(entry.path().filename());
    return names;
  };
  // Its dynamic loader may have a library open for a moment.
  EXPECT_TRUE(eventually([&] {
    return descriptors() == std::set<std::string>{"0", "1", "2", "3"};
  }));
  const std::string tty = read_link(proc(vmm(), "fd/0"));
  EXPECT_TRUE(tty.starts_with("/dev/pts/"));
  EXPECT_EQ(read_link(proc(vmm(), "fd/1")), tty);
  EXPECT_EQ(read_link(proc(vmm(), "fd/2")), (log_dir_ / "vmm.log").string());
  EXPECT_TRUE(read_link(proc(vmm(), "fd/3")).ends_with("/ptmx"));
  EXPECT_EQ(read_text(proc(vmm(), "environ")), std::string("FAKE=yes\0", 9));
  EXPECT_EQ(read_text(proc(vmm(), "cmdline")), program_.string() + std::string("\0idle\0", 6));
}

TEST_F(LaunchTest, VmmLeadsItsSessionOnTheConsole) {
  launch({"idle"});
  const std::vector<std::string> fields = stat_fields(vmm());
  struct stat tty {};
  ASSERT_EQ(::stat(proc(vmm(), "fd/0").c_str(), &tty), 0);
  EXPECT_EQ(fields[5], std::to_string(vmm()));                   // process group
  EXPECT_EQ(fields[6], std::to_string(vmm()));                   // session
  EXPECT_EQ(fields[7], std::to_string(tty.st_rdev));             // controlling terminal
  EXPECT_EQ(fields[8], std::to_string(vmm()));                   // its foreground group
  EXPECT_EQ(status_field(vmm(), "SigIgn"), "0000000000000001");  // SIGHUP and nothing else
  EXPECT_EQ(status_field(vmm(), "SigBlk"), "0000000000000000");
}

TEST_F(LaunchTest, ShimKeepsOnlyTheRightToKill) {
  const Running shim = launch({"idle"});
  for (const char* set : {"CapPrm", "CapEff", "CapBnd"})
    EXPECT_EQ(status_field(shim.pid, set), "0000000000000020") << set;  // CAP_KILL is 5
  EXPECT_EQ(status_field(shim.pid, "NoNewPrivs"), "1");
  EXPECT_EQ(status_field(shim.pid, "Name"), "cocoon-shim");
  EXPECT_NE(read_text(proc(shim.pid, "cmdline")).find("/vm0"), std::string::npos);
  EXPECT_EQ(stat_fields(shim.pid)[6], std::to_string(shim.pid));
  for (const char* fd : {"fd/0", "fd/1", "fd/2"})
    EXPECT_EQ(read_link(proc(shim.pid, fd)), "/dev/null") << fd;
}

TEST_F(LaunchTest, NewNetworkNamespaceIsEmptyAndForeign) {
  launch({"idle"}, {{"netns", "new"}});
  EXPECT_NE(read_link(proc(vmm(), "ns/net")), read_link("/proc/self/ns/net"));
  std::istringstream devices(read_text(proc(vmm(), "net/dev")));
  int count = 0;
  for (std::string line; std::getline(devices, line);) ++count;
  EXPECT_EQ(count, 3);  // two head lines and lo
}

TEST_F(LaunchTest, EntersNetworkNamespaceByPath) {
  const pid_t holder = ::fork();
  if (holder == 0) {
    if (::unshare(CLONE_NEWNET) != 0) ::_exit(1);
    while (true) ::pause();
  }
  const fs::path path = proc(holder, "ns/net");
  ASSERT_TRUE(eventually([&] { return read_link(path) != read_link("/proc/self/ns/net"); }));
  const Running shim = launch({"idle"}, {{"netns", path}});
  EXPECT_EQ(read_link(proc(vmm(), "ns/net")), read_link(path)) << shim.report;
  EXPECT_EQ(read_link(proc(shim.pid, "ns/net")), read_link("/proc/self/ns/net"));
  ::kill(holder, SIGKILL);
  ::waitpid(holder, nullptr, 0);
}

TEST_F(LaunchTest, JoinsCgroups) {
  fs::path base;
  for (const char* candidate : {"/sys/fs/cgroup/unified", "/sys/fs/cgroup"}) {
    if (fs::exists(fs::path(candidate) / "cgroup.procs")) base = candidate;
    if (!base.empty()) break;
  }
  const std::string name = "cocoon-shim-test-" + std::to_string(::getpid());
  const fs::path outer = base / name;
  std::error_code error;
  if (base.empty() || !fs::create_directory(outer, error))
    GTEST_SKIP() << "NOT RUN: no cgroup can be made here";
  fs::create_directory(outer / "vmm");
  fs::create_directory(outer / "shim");
  const Running shim =
      launch({"idle"}, {{"cgroup", outer / "vmm"}, {"shim_cgroup", outer / "shim"}});
  EXPECT_EQ(read_text(outer / "vmm/cgroup.procs"), std::to_string(vmm()) + "\n") << shim.report;
  EXPECT_EQ(read_text(outer / "shim/cgroup.procs"), std::to_string(shim.pid) + "\n");
  ::kill(vmm(), SIGKILL);
  EXPECT_EQ(exit_code(shim.pid), 0);
  for (const fs::path& path : {outer / "vmm", outer / "shim", outer})
    EXPECT_TRUE(eventually([&] { return fs::remove(path, error); })) << path;
}

TEST_F(LaunchTest, MissingProgramIsToldAndNothingIsLeft) {
  const Running shim = launch({}, {{"program", "/nonexistent/vmm"}});
  EXPECT_EQ(shim.report, "error exec /nonexistent/vmm: No such file or directory");
  EXPECT_EQ(exit_code(shim.pid), 1);
  for (const char* name : {"vmm", "vmm.tmp", "console.sock", "shim.sock"})
    EXPECT_FALSE(fs::exists(vm_dir_ / name)) << name;
  EXPECT_TRUE(fs::is_empty(exits_));
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);  // no orphan came to us
}

TEST_F(LaunchTest, FailedStepsComeBackInTheChildsWords) {
  EXPECT_EQ(launch({}, {{"netns", "/nonexistent/ns"}}).report,
            "error enter network namespace /nonexistent/ns: No such file or directory");
  EXPECT_EQ(launch({}, {{"cgroup", "/nonexistent"}}).report,
            "error join cgroup /nonexistent: No such file or directory");
  EXPECT_EQ(launch({}, {{"program", vm_dir_ / "shim.conf"}}).report,
            "error exec " + (vm_dir_ / "shim.conf").string() + ": Permission denied");
  EXPECT_EQ(launch({}, {{"uid", "0"}}).report,
            "error shim.conf: bad, repeated or too many values for 'uid'");
  EXPECT_EQ(launch({}, {{"boot_id", "another"}}).report,
            "error shim.conf: boot_id is not this host's");
  EXPECT_EQ(launch({}, {{"vm_dir", "/"}}).report, "error shim.conf: vm_dir is another directory");
}

// A file in the VM's directory that belongs to the VMM, as a disk does.
void make_disk(const fs::path& path, uid_t uid) {
  std::ofstream(path) << "disk";
  ASSERT_EQ(::chown(path.c_str(), uid, uid), 0);
  ASSERT_EQ(::chmod(path.c_str(), 0600), 0);
}

// Takes the lock as another VMM would; the descriptor, or -1 when somebody has it.
int take_disk_lock(const fs::path& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  struct flock whole {};
  whole.l_type = F_WRLCK;
  whole.l_whence = SEEK_SET;
  if (::fcntl(fd, F_OFD_SETLK, &whole) == 0) return fd;
  ::close(fd);
  return -1;
}

TEST_F(LaunchTest, DiskLocksEndExactlyWithTheVmm) {
  const fs::path disk = vm_dir_ / "cow.raw";
  make_disk(disk, uid_);
  const Running shim = launch({"idle"}, {{"lock", "cow.raw"}});
  ASSERT_TRUE(shim.report.starts_with("started ")) << shim.report;
  EXPECT_EQ(take_disk_lock(disk), -1);
  kill_shim(shim);
  EXPECT_EQ(take_disk_lock(disk), -1);
  ::kill(vmm(), SIGKILL);
  ::waitpid(vmm(), nullptr, 0);
  const int lock = take_disk_lock(disk);
  EXPECT_GE(lock, 0);
  ::close(lock);
}

TEST_F(LaunchTest, LockedOrMissingDiskIsNamed) {
  const fs::path disk = vm_dir_ / "cow.raw";
  make_disk(disk, uid_);
  const int lock = take_disk_lock(disk);
  ASSERT_GE(lock, 0);
  EXPECT_EQ(launch({"idle"}, {{"lock", "cow.raw"}}).report,
            "error lock cow.raw: locked by another process");
  EXPECT_FALSE(fs::exists(vm_dir_ / "vmm"));
  ::close(lock);
  EXPECT_TRUE(launch({"exit:0"}, {{"lock", "cow.raw"}}).report.starts_with("started "));
  exit_record();
  EXPECT_EQ(launch({"idle"}, {{"lock", "none.raw"}}).report,
            "error lock none.raw: No such file or directory");
  // The VMM has no right to this one, so neither has its launcher by then.
  EXPECT_EQ(launch({"idle"}, {{"lock", "shim.conf"}}).report,
            "error lock shim.conf: Permission denied");
}

TEST_F(LaunchTest, ConfigurationThatOthersCouldReadIsRefused) {
  configure({"idle"});
  ::chmod((vm_dir_ / "shim.conf").c_str(), 0640);
  EXPECT_EQ(start("launch").report, "error shim.conf: not a private regular file of root");
}

TEST_F(LaunchTest, SecondLaunchIsBusy) {
  launch({"idle"});
  const Running second = start("launch");
  EXPECT_EQ(second.report, "error busy");
  EXPECT_EQ(exit_code(second.pid), 3);
  EXPECT_TRUE(status().starts_with("vmm " + std::to_string(vmm())));
}

TEST_F(LaunchTest, NeverStartsASecondVmmBesideALiveOne) {
  kill_shim(launch({"idle"}));
  const std::string identity = read_text(vm_dir_ / "vmm");
  const Running second = start("launch");
  EXPECT_EQ(second.report, "error a VMM of this VM still runs as process " + std::to_string(vmm()));
  EXPECT_EQ(read_text(vm_dir_ / "vmm"), identity);
  EXPECT_EQ(::kill(vmm(), 0), 0);
}

TEST_F(LaunchTest, StaleFilesOfADeadRunAreReplaced) {
  const Running first = launch({"idle"});
  const pid_t old = vmm();
  kill_shim(first);
  ::kill(old, SIGKILL);
  ::waitpid(old, nullptr, 0);
  ASSERT_TRUE(fs::exists(vm_dir_ / "shim.sock"));
  ASSERT_TRUE(fs::exists(vm_dir_ / "vmm"));
  EXPECT_TRUE(start("launch").report.starts_with("started "));
  EXPECT_NE(vmm(), old);
  EXPECT_TRUE(status().starts_with("vmm " + std::to_string(vmm())));
}

}  // namespace
}  // namespace cocoon::shim_test
