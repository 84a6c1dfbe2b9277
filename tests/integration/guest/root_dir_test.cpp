// SPDX-License-Identifier: Apache-2.0
#include "guest/root_dir.h"

#include <sys/stat.h>

#include "integration/guest/temp_tree.h"

namespace cocoon::guest {
namespace {

namespace fs = std::filesystem;

using MakeDirs = TempTree;
using ReplaceFile = TempTree;
using ReadFile = TempTree;

TEST_F(MakeDirs, MakesWhatIsMissing) {
  ASSERT_TRUE(root().make_dirs("/a/b//c/./d/"));
  EXPECT_TRUE(fs::is_directory(path("a/b/c/d")));
  ASSERT_TRUE(root().make_dirs("a/b"));
  ASSERT_TRUE(root().make_dirs("/"));
  ASSERT_TRUE(root().make_dirs(""));
}

TEST_F(MakeDirs, FollowsLinksInsideTheRoot) {
  fs::create_directories(path("usr/lib"));
  fs::create_symlink("usr/lib", path("lib"));
  fs::create_symlink("/usr/lib", path("lib64"));
  ASSERT_TRUE(root().make_dirs("/lib/modules/6.1"));
  ASSERT_TRUE(root().make_dirs("/lib64/absolute"));
  EXPECT_TRUE(fs::is_directory(path("usr/lib/modules/6.1")));
  EXPECT_TRUE(fs::is_directory(path("usr/lib/absolute")));
}

TEST_F(MakeDirs, NeverLeavesTheRoot) {
  fs::create_directory(top_ / "outside");
  fs::create_symlink("../outside", path("up"));
  fs::create_symlink(top_ / "outside", path("absolute"));
  (void)root().make_dirs("/up/x");
  (void)root().make_dirs("/absolute/x");
  ASSERT_TRUE(root().make_dirs("/../../x"));
  EXPECT_TRUE(fs::is_empty(top_ / "outside"));
  EXPECT_FALSE(fs::exists(top_ / "x"));
  EXPECT_TRUE(fs::is_directory(path("x")));
}

TEST_F(MakeDirs, FailsOnWhatIsNoDirectory) {
  write(path("file"), "");
  fs::create_symlink("nowhere", path("dangling"));
  fs::create_symlink("loop", path("loop"));
  for (const char* bad : {"/file", "/file/x", "/dangling", "/dangling/x", "/loop/x"})
    EXPECT_FALSE(root().make_dirs(bad)) << bad;
  EXPECT_FALSE(root().make_dirs("/" + std::string(300, 'n')));
}

TEST_F(ReplaceFile, WritesWithItsMode) {
  ASSERT_TRUE(root().replace_file("/etc/hostname", "box\n"));
  EXPECT_EQ(read(path("etc/hostname")), "box\n");
  ASSERT_TRUE(root().replace_file("/etc/machine-id", "", 0444));
  EXPECT_EQ(static_cast<unsigned>(fs::status(path("etc/machine-id")).permissions()), 0444U);
  EXPECT_FALSE(fs::exists(path("etc/.cocoon-new")));
}

TEST_F(ReplaceFile, ReplacesALinkInsteadOfWritingThroughIt) {
  write(path("run/stub.conf"), "kept");
  fs::create_directories(path("etc"));
  fs::create_symlink("../run/stub.conf", path("etc/resolv.conf"));
  ASSERT_TRUE(root().replace_file("/etc/resolv.conf", "nameserver ::1\n"));
  EXPECT_EQ(read(path("run/stub.conf")), "kept");
  EXPECT_FALSE(fs::is_symlink(path("etc/resolv.conf")));
  EXPECT_EQ(read(path("etc/resolv.conf")), "nameserver ::1\n");
}

TEST_F(ReplaceFile, LeavesAnEqualFileAlone) {
  ASSERT_TRUE(root().replace_file("/f", "same"));
  struct stat before {};
  ASSERT_EQ(::stat(path("f").c_str(), &before), 0);
  ASSERT_TRUE(root().replace_file("/f", "same"));
  struct stat after {};
  ASSERT_EQ(::stat(path("f").c_str(), &after), 0);
  EXPECT_EQ(before.st_ino, after.st_ino);
  ASSERT_TRUE(root().replace_file("/f", "sam"));
  EXPECT_EQ(read(path("f")), "sam");
}

TEST_F(ReplaceFile, FailsCleanlyOnADirectory) {
  fs::create_directories(path("etc/hosts/x"));
  EXPECT_FALSE(root().replace_file("/etc/hosts", "text"));
  EXPECT_FALSE(fs::exists(path("etc/.cocoon-new")));
}

TEST_F(ReadFile, IsBoundedAndNeverBlocks) {
  write(path("f"), "12345");
  const std::string file = path("f").string();
  EXPECT_EQ(*read_file(file.c_str(), 5), "12345");
  EXPECT_FALSE(read_file(file.c_str(), 4));
  ASSERT_EQ(::mkfifo(path("fifo").c_str(), 0600), 0);
  EXPECT_FALSE(read_file(path("fifo").c_str(), 100));
  EXPECT_FALSE(read_file("/dev/zero", 100));
  EXPECT_FALSE(read_file(path("").c_str(), 100));
}

}  // namespace
}  // namespace cocoon::guest
