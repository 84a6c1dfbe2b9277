// SPDX-License-Identifier: Apache-2.0
// What a VMM with a root directory of its own can name, and that the host sees nothing of it.
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <set>

#include "integration/shim/shim_fixture.h"

namespace cocoon::shim_test {
namespace {
namespace fs = std::filesystem;

class PrivateRootTest : public ShimTest {
 protected:
  void SetUp() override {
    ShimTest::SetUp();
    if (IsSkipped()) return;
    const fs::path disk = vm_dir_ / "cow.raw";
    std::ofstream(disk) << "disk";
    ASSERT_EQ(::mkdir((vm_dir_ / "sock").c_str(), 0700), 0);
    for (const fs::path& path : {disk, vm_dir_ / "sock"})
      ASSERT_EQ(::chown(path.c_str(), uid_, uid_), 0);
  }

  Running launch_private(const std::vector<std::string>& steps, Values changes = {}) {
    changes["root"] = "private";
    return launch(steps, changes);
  }

  // Waits until the console has said so, and returns all that it has said.
  std::string said(const std::string& text) {
    eventually([&] { return read_text(log_dir_ / "console.log").find(text) != std::string::npos; });
    return read_text(log_dir_ / "console.log");
  }

  [[nodiscard]] fs::path root() const { return "/proc/" + std::to_string(vmm()) + "/root"; }
};

// With all directories on the way to it, relative to the root.
void add_with_parents(std::set<std::string>& names, const fs::path& path) {
  for (fs::path part = path.relative_path(); !part.empty(); part = part.parent_path())
    names.insert(part);
}

std::set<std::string> names_in(const fs::path& root) {
  std::set<std::string> names;
  for (const auto& entry : fs::recursive_directory_iterator(root / ""))
    names.insert(entry.path().lexically_relative(root));
  return names;
}

bool is_same_file(const fs::path& one, const fs::path& other) {
  struct stat a {};
  struct stat b {};
  return ::stat(one.c_str(), &a) == 0 && ::stat(other.c_str(), &b) == 0 && a.st_dev == b.st_dev &&
         a.st_ino == b.st_ino;
}

std::string mount_table() { return read_text("/proc/thread-self/mountinfo"); }

TEST_F(PrivateRootTest, HoldsTheDirectoryTheProgramAndWhatIsShown) {
  const fs::path shown = top_ / "shown";
  fs::create_directory(shown);
  std::ofstream(shown / "library") << "x";
  std::ofstream(top_ / "hidden") << "x";
  shown_ = {"/dev/null", "/dev/there-is-none", shown};
  const Running shim = launch_private({"idle"});
  ASSERT_TRUE(shim.report.starts_with("started ")) << shim.report;
  std::set<std::string> expected;
  for (const fs::path& path : {program_, fs::path("/dev/null"), fs::path("/proc/self/fd/2")})
    add_with_parents(expected, path);
  add_with_parents(expected, shown / "library");
  for (const auto& entry : fs::recursive_directory_iterator(vm_dir_))
    add_with_parents(expected, entry.path());
  EXPECT_EQ(names_in(root()), expected);
  EXPECT_TRUE(is_same_file(root() / "proc/self/fd/2", log_dir_ / "vmm.log"));
  EXPECT_TRUE(is_same_file(root() / program_.relative_path(), program_));
  EXPECT_TRUE(is_same_file("/proc/" + std::to_string(vmm()) + "/cwd", vm_dir_));
  EXPECT_EQ(fs::read_symlink("/proc/" + std::to_string(vmm()) + "/cwd"), fs::canonical(vm_dir_));
  EXPECT_EQ(fs::read_symlink("/proc/" + std::to_string(vmm()) + "/exe"), fs::canonical(program_));
  // What is made later on either side is there on both: a save's directory, a socket.
  std::ofstream(vm_dir_ / "later") << "x";
  EXPECT_TRUE(fs::exists(root() / (vm_dir_ / "later").relative_path()));
}

TEST_F(PrivateRootTest, NothingOfTheHostCanBeOpened) {
  const fs::path other = vm_dir_.parent_path() / "vm1";
  fs::create_directory(other);
  // Readable by all, would it have a name.
  std::ofstream(other / "cow.raw") << "another's disk";
  ::chmod(other.c_str(), 0777);
  ::chmod(vm_dir_.parent_path().c_str(), 0777);
  const std::string up(other.string().size() * 3, '/');
  const std::vector<std::string> names = {
      "/etc/passwd",
      "../../../../../../../../etc/passwd",
      up + "etc/passwd",
      other / "cow.raw",
      "../vm1/cow.raw",
      "/proc/1/root/etc/passwd",
      "/proc/" + std::to_string(::getpid()) + "/root/etc/passwd",
      "/proc/self/root/etc/passwd",
      "/proc/self/fd/3",
      "/sys/kernel",
      "/dev/null",
      "/dev/pts",
      log_dir_ / "console.log",
  };
  std::vector<std::string> steps;
  for (const std::string& name : names) steps.push_back("open:" + name);
  steps.insert(steps.end(),
               {"open:cow.raw", "open:shim.conf", "open:" + (vm_dir_ / "cow.raw").string(),
                "open:/proc/self/fd/2", "say:looked", "idle"});
  const Running shim = launch_private(steps);
  const std::string text = said("looked");
  for (const std::string& name : names)
    EXPECT_NE(text.find("open " + name + ": No such file or directory"), std::string::npos) << name;
  for (const std::string& name :
       {std::string("cow.raw"), (vm_dir_ / "cow.raw").string(), std::string("/proc/self/fd/2")})
    EXPECT_NE(text.find("open " + name + ": ok"), std::string::npos) << name;
  EXPECT_NE(text.find("open shim.conf: Permission denied"), std::string::npos);
  EXPECT_NE(text.find("looked"), std::string::npos) << shim.report << text;
}

TEST_F(PrivateRootTest, WithoutItTheSameNamesAreThere) {
  launch({"open:/etc/passwd", "say:looked", "idle"});
  EXPECT_NE(said("looked").find("open /etc/passwd: ok"), std::string::npos);
}

TEST_F(PrivateRootTest, SocketsAndLocksAreTheHosts) {
  const Running shim = launch_private({"listen:sock/api", "idle"}, {{"lock", "cow.raw"}});
  ASSERT_TRUE(shim.report.starts_with("started ")) << shim.report;
  said("listening");
  EXPECT_TRUE(Peer(vm_dir_ / "sock/api", SOCK_STREAM).connected());
  const int fd = ::open((vm_dir_ / "cow.raw").c_str(), O_RDWR | O_CLOEXEC);
  struct flock whole {};
  whole.l_type = F_WRLCK;
  whole.l_whence = SEEK_SET;
  EXPECT_NE(::fcntl(fd, F_OFD_SETLK, &whole), 0);
  ::close(fd);
}

TEST_F(PrivateRootTest, TheVmmIsNobodyInItsNetwork) {
  launch_private({"idle"}, {{"netns", "new"}, {"groups", "12345"}});
  for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"})
    EXPECT_EQ(status_field(vmm(), set), "0000000000000000") << set;
  EXPECT_EQ(status_field(vmm(), "NoNewPrivs"), "1");
  EXPECT_EQ(status_field(vmm(), "Umask"), "0077");
  EXPECT_EQ(status_field(vmm(), "Groups"), "12345 ");
  const std::string own = "/proc/" + std::to_string(vmm()) + "/ns/";
  for (const char* kind : {"net", "mnt"})
    EXPECT_NE(fs::read_symlink(own + kind), fs::read_symlink(std::string("/proc/self/ns/") + kind));
}

// The usual host shares its mounts: what is mounted in one namespace appears in the others.
TEST_F(PrivateRootTest, TheHostsMountsStayAsTheyAre) {
  ASSERT_EQ(::unshare(CLONE_NEWNS), 0);
  ASSERT_EQ(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
  ASSERT_EQ(::mount(nullptr, "/", nullptr, MS_REC | MS_SHARED, nullptr), 0);
  const std::string before = mount_table();
  ASSERT_NE(before.find("shared:"), std::string::npos);
  const Running shim = launch_private({"idle"});
  ASSERT_TRUE(shim.report.starts_with("started ")) << shim.report;
  EXPECT_EQ(mount_table(), before);
  // And the other way round.
  const fs::path later = vm_dir_ / "later";
  fs::create_directory(later);
  ASSERT_EQ(::mount("test", later.c_str(), "tmpfs", 0, nullptr), 0);
  std::ofstream(later / "file") << "x";
  EXPECT_FALSE(fs::exists(root() / (later / "file").relative_path()));
  ASSERT_EQ(::umount(later.c_str()), 0);
  EXPECT_EQ(mount_table(), before);
  ::kill(vmm(), SIGKILL);
  EXPECT_EQ(exit_code(shim.pid), 0);
  EXPECT_EQ(mount_table(), before);
}

// The kernel says so when a file system is really gone.
TEST_F(PrivateRootTest, GoesWithTheVmmAndNotWithTheShim) {
  const Running shim = launch_private({"open:/etc/passwd", "tick"});
  ASSERT_TRUE(shim.report.starts_with("started ")) << shim.report;
  const int watch = ::inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  ASSERT_GE(::inotify_add_watch(watch, (root() / "").c_str(), IN_ATTRIB), 0);
  pollfd entry{watch, POLLIN, 0};
  kill_shim(shim);
  EXPECT_EQ(::poll(&entry, 1, 200), 0);
  EXPECT_TRUE(fs::exists(root() / (vm_dir_ / "cow.raw").relative_path()));
  ::kill(vmm(), SIGKILL);
  ::waitpid(vmm(), nullptr, 0);
  ASSERT_EQ(::poll(&entry, 1, 5000), 1);
  inotify_event event{};
  ASSERT_EQ(::read(watch, &event, sizeof event), static_cast<ssize_t>(sizeof event));
  EXPECT_NE(event.mask & IN_UNMOUNT, 0U);
  ::close(watch);
  // Nothing holds the directory.
  EXPECT_GT(fs::remove_all(vm_dir_), 0U);
}

TEST_F(PrivateRootTest, ADeadShimIsReplaced) {
  kill_shim(launch_private({"tick"}));
  EXPECT_EQ(start("adopt").report,
            "adopted " + std::to_string(vmm()) + " " + std::to_string(vmm_start()));
  EXPECT_TRUE(status().starts_with("vmm " + std::to_string(vmm())));
}

TEST_F(PrivateRootTest, DynamicProgramsFindLibrariesThatAreShown) {
  const std::string program = fs::canonical("/bin/true");
  shown_ = {"/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache"};
  const Running shim = launch_private({}, {{"program", program}});
  ASSERT_TRUE(shim.report.starts_with("started ")) << shim.report;
  EXPECT_NE(exit_record().find("\"wait_status\":0"), std::string::npos) << exit_record();
}

TEST_F(PrivateRootTest, FailedStepsAreSaidAndNothingIsLeft) {
  EXPECT_EQ(launch_private({}, {{"program", "/nonexistent/vmm"}}).report,
            "error exec /nonexistent/vmm in a root of its own: No such file or directory");
  EXPECT_EQ(launch_private({}, {{"program", fs::canonical("/bin/true")}}).report,
            "error exec " + fs::canonical("/bin/true").string() +
                " in a root of its own: No such file or directory");
  shown_ = {program_ / "below"};
  EXPECT_EQ(launch_private({"idle"}).report,
            "error private root: find " + (program_ / "below").string() + ": Not a directory");
  EXPECT_EQ(launch({}, {{"root", "none"}}).report,
            "error shim.conf: bad, repeated or too many values for 'root'");
  EXPECT_FALSE(fs::exists(vm_dir_ / "vmm"));
  EXPECT_EQ(mount_table().find(top_.string()), std::string::npos);
}

}  // namespace
}  // namespace cocoon::shim_test
