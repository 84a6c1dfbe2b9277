// SPDX-License-Identifier: Apache-2.0
//
// Against real file systems: the superblock that mkfs.ext4 writes, and a tmpfs that is emptied.
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

#include "guest/ext4.h"
#include "guest/switch_root.h"
#include "integration/guest/temp_tree.h"

namespace cocoon::guest {
namespace {

namespace fs = std::filesystem;

using Ext4 = TempTree;
using RemoveRamTree = TempTree;

int run(const std::vector<const char*>& words) {
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (const char* word : words) argv.push_back(const_cast<char*>(word));
  argv.push_back(nullptr);
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::execvp(argv[0], argv.data());
    ::_exit(127);
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST_F(Ext4, SuperblockOfMkfsIsUnderstood) {
  const std::string image = (top_ / "image").string();
  for (const char* features : {"64bit", "^64bit,^metadata_csum"}) {
    UniqueFd file(::open(image.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    ASSERT_EQ(::ftruncate(file.get(), 32 * 1024 * 1024), 0);
    const int status =
        run({"mkfs.ext4", "-q", "-F", "-b", "4096", "-O", features, image.c_str(), "5000"});
    if (status == 127) GTEST_SKIP() << "mkfs.ext4 is not installed";
    ASSERT_EQ(status, 0);
    std::array<unsigned char, kExt4SuperblockBytes> bytes{};
    ASSERT_EQ(::pread(file.get(), bytes.data(), bytes.size(), kExt4SuperblockOffset), 1024);
    EXPECT_EQ(parse_ext4_superblock(bytes), (Ext4Size{.blocks = 5000, .block_bytes = 4096}));
  }
}

TEST_F(RemoveRamTree, RefusesADiskFileSystem) {
  const RootDir proc = *RootDir::open("/proc");
  EXPECT_FALSE(remove_ram_tree(proc.fd()));
}

/// Runs in a mount namespace of its own; 0 when all is as it should be.
int empty_a_tmpfs(const fs::path& top) {
  const std::string ram = (top / "ram").string();
  fs::create_directory(ram);
  if (::unshare(CLONE_NEWNS) != 0 || ::mount("", "/", "", MS_REC | MS_PRIVATE, "") != 0 ||
      ::mount("tmpfs", ram.c_str(), "tmpfs", 0, "") != 0)
    return 77;
  fs::create_directories(ram + "/a/b/c");
  fs::create_symlink(top / "root", ram + "/link");
  fs::create_directories(ram + "/point/inside");
  if (::mount("tmpfs", (ram + "/point").c_str(), "tmpfs", 0, "") != 0) return 2;
  fs::create_directory(ram + "/point/kept");

  const auto tree = RootDir::open(ram.c_str());
  if (!tree || !remove_ram_tree(tree->fd())) return 3;
  if (!fs::exists(ram + "/point/kept")) return 4;  // another file system
  ::umount2((ram + "/point").c_str(), 0);
  if (!fs::exists(top / "root" / "file")) return 5;  // behind a link
  // A mount point cannot be removed, nor is what lies below a mount seen.
  for (const auto& entry : fs::directory_iterator(ram))
    if (entry.path().filename() != "point") return 6;
  return 0;
}

TEST_F(RemoveRamTree, StaysOnItsFileSystem) {
  write(path("file"), "kept");
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(empty_a_tmpfs(top_));
  int status = 0;
  ASSERT_EQ(::waitpid(pid, &status, 0), pid);
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == 77) GTEST_SKIP() << "needs the right to mount";
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace cocoon::guest
