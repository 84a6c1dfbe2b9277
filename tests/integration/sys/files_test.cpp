// SPDX-License-Identifier: Apache-2.0
#include "sys/files.h"

#include <sys/mount.h>
#include <sys/resource.h>

#include <gtest/gtest.h>

#include "sys/boot_file.h"

namespace cocoon::sys {
namespace {

class Files : public testing::Test {
 protected:
  void SetUp() override {
    auto dir = TempDir::create(fs::temp_directory_path(), "cocoon-files-");
    ASSERT_TRUE(dir) << dir.error().to_string();
    dir_.emplace(std::move(*dir));
  }
  fs::path at(const std::string& name) const { return dir_->path() / name; }
  std::optional<TempDir> dir_;
};

TEST_F(Files, AtomicWriteReplacesWholeAndLeavesNothingElse) {
  ASSERT_TRUE(write_file_atomic(at("f"), "one", 0600));
  ASSERT_TRUE(write_file_atomic(at("f"), "two", 0640));
  EXPECT_EQ(*read_file(at("f"), 100), "two");
  EXPECT_EQ(*list_dir(dir_->path()), std::vector<std::string>{"f"});
}

TEST_F(Files, BootFilesAreReplacedWholeToo) {
  ASSERT_TRUE(write_boot_file(at("f"), "one", 0600));
  ASSERT_TRUE(write_boot_file(at("f"), "two", 0440));
  EXPECT_EQ(*read_file(at("f"), 100), "two");
  EXPECT_EQ(*list_dir(dir_->path()), std::vector<std::string>{"f"});
  struct stat info {};
  ASSERT_EQ(stat(at("f").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0440U);
  ASSERT_TRUE(make_dirs(at("d"), 0700));
  EXPECT_FALSE(write_boot_file(at("d"), "no file can be there", 0600));
  EXPECT_EQ(*list_dir(dir_->path()), (std::vector<std::string>{"d", "f"}));
}

TEST_F(Files, ReadIsBounded) {
  ASSERT_TRUE(write_file_atomic(at("f"), std::string(1000, 'x'), 0600));
  EXPECT_FALSE(read_file(at("f"), 999));
  EXPECT_EQ(read_tail(at("f"), 10), std::string(10, 'x'));
}

TEST_F(Files, OpenBeneathFollowsNoLink) {
  ASSERT_TRUE(make_dirs(at("sock"), 0700));
  ASSERT_EQ(symlink("/etc/passwd", at("sock/api").c_str()), 0);
  ASSERT_EQ(symlink("/etc", at("etc").c_str()), 0);
  auto dir = open_dir(dir_->path());
  ASSERT_TRUE(dir);
  EXPECT_FALSE(open_beneath(dir->get(), "sock/api", O_RDONLY));
  EXPECT_FALSE(open_beneath(dir->get(), "etc/passwd", O_RDONLY));
  EXPECT_FALSE(open_beneath(dir->get(), "../x", O_RDONLY));
}

TEST_F(Files, RemoveTreeDoesNotLeaveThroughLinks) {
  ASSERT_TRUE(make_dirs(at("outside"), 0700));
  ASSERT_TRUE(write_file_atomic(at("outside/keep"), "x", 0600));
  ASSERT_TRUE(make_dirs(at("tree/a/b"), 0700));
  ASSERT_EQ(symlink(at("outside").c_str(), at("tree/a/link").c_str()), 0);
  ASSERT_TRUE(remove_tree(at("tree")));
  EXPECT_FALSE(sys::exists(at("tree")));
  EXPECT_TRUE(sys::exists(at("outside/keep")));
  EXPECT_TRUE(remove_tree(at("tree")));  // gone already
}

TEST_F(Files, RemoveTreeTakesAnyDepth) {
  ASSERT_TRUE(make_dirs(at("tree"), 0700));
  UniqueFd dir = *open_dir(at("tree"));
  for (int depth = 0; depth < 3000; ++depth) {
    ASSERT_EQ(mkdirat(dir.get(), "d", 0700), 0);
    ASSERT_TRUE(UniqueFd(openat(dir.get(), "f", O_WRONLY | O_CREAT | O_CLOEXEC, 0600)).valid());
    dir = UniqueFd(openat(dir.get(), "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    ASSERT_TRUE(dir.valid());
  }
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit few{256, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
  auto removed = remove_tree(at("tree"));
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_TRUE(removed) << removed.error().to_string();
  EXPECT_FALSE(sys::exists(at("tree")));
}

TEST_F(Files, RemoveTreeStopsAtAnotherFileSystem) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to mount";
  ASSERT_TRUE(make_dirs(at("tree/mounted"), 0700));
  ASSERT_EQ(mount("none", at("tree/mounted").c_str(), "tmpfs", 0, nullptr), 0);
  ASSERT_TRUE(write_file_atomic(at("tree/mounted/keep"), "x", 0600));
  EXPECT_FALSE(remove_tree(at("tree")));
  EXPECT_TRUE(sys::exists(at("tree/mounted/keep")));
  ASSERT_EQ(umount(at("tree/mounted").c_str()), 0);
}

TEST_F(Files, SetOwnerRefusesSharedInodes) {
  ASSERT_TRUE(write_file_atomic(at("f"), "x", 0600));
  EXPECT_TRUE(set_owner(at("f"), geteuid(), getegid(), 0640));
  ASSERT_TRUE(hard_link(at("f"), at("g")));
  EXPECT_FALSE(set_owner(at("f"), geteuid(), getegid(), 0600));
  ASSERT_EQ(symlink("/etc/passwd", at("l").c_str()), 0);
  EXPECT_FALSE(set_owner(at("l"), geteuid(), getegid(), 0600));
}

TEST_F(Files, SparseFilesTakeNoRoom) {
  ASSERT_TRUE(create_sparse_file(at("s"), 1 << 30, 0600));
  EXPECT_LT(allocated_bytes(at("s")), 64 * 1024);
  EXPECT_FALSE(create_sparse_file(at("s"), 1, 0600));  // never over another
}

TEST_F(Files, TempDirGoesWithItsContent) {
  fs::path path;
  {
    auto inner = TempDir::create(dir_->path(), "t-");
    ASSERT_TRUE(inner);
    path = inner->path();
    ASSERT_TRUE(make_dirs(path / "a/b", 0700));
  }
  EXPECT_FALSE(sys::exists(path));
}

}  // namespace
}  // namespace cocoon::sys
