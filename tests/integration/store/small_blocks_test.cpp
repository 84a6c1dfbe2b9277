// SPDX-License-Identifier: Apache-2.0
// A store on a file system of small blocks (mkfs.ext4 chooses 1 KiB for every small disk).
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cstdlib>

#include <gtest/gtest.h>

#include "store/db.h"
#include "sys/files.h"
#include "sys/spawn.h"

namespace cocoon::store {
namespace {

class SmallBlocks : public testing::Test {
 protected:
  void SetUp() override {
    auto dir = sys::TempDir::create(sys::fs::temp_directory_path(), "cocoon-blocks-");
    ASSERT_TRUE(dir);
    dir_.emplace(std::move(*dir));
    mount_ = dir_->path() / "mount";
    path_ = mount_ / "cocoon.db";
    ASSERT_TRUE(sys::make_dirs(mount_, 0700));
    auto image = dir_->path() / "image";
    ASSERT_TRUE(sys::create_sparse_file(image, 8 << 20, 0600));
    ASSERT_TRUE(run("mkfs.ext4", {"-q", "-F", "-m", "0", "-b", "1024", image.native()}));
    // In a namespace of this program's own the mount goes with it.
    if (unshare(CLONE_NEWNS) != 0 ||
        mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
      GTEST_SKIP() << "NOT RUN: no mounts of our own here";
    }
    auto mounted = run("mount", {"-o", "loop", image.native(), mount_.native()});
    if (!mounted) GTEST_SKIP() << "NOT RUN: no loop mounts here: " << mounted.error().to_string();
    is_mounted_ = true;
  }

  void TearDown() override {
    if (is_mounted_) {
      EXPECT_EQ(umount2(mount_.c_str(), MNT_DETACH), 0);
    }
  }

  static Result<std::string> run(const std::string& program, std::vector<std::string> args) {
    sys::SpawnSpec spec;
    spec.program = program;
    spec.args = std::move(args);
    return sys::run_program(std::move(spec), Milliseconds(60'000));
  }

  // Fills the file system up to `leave` bytes, a multiple of 1 KiB.
  void fill(off_t leave) const {
    auto file = sys::open_file(mount_ / "filler", O_RDWR | O_CREAT | O_TRUNC, 0600);
    ASSERT_TRUE(file);
    off_t size = 0;
    for (off_t step : {off_t{1} << 20, off_t{64} << 10, off_t{1} << 10}) {
      while (posix_fallocate(file->get(), size, step) == 0) size += step;
    }
    ASSERT_GT(size, leave);
    ASSERT_EQ(ftruncate(file->get(), size - leave), 0);
  }

  // In a child: its death is what this is about.
  [[noreturn]] void use_store() const {
    auto db = Db::open_existing(path_);
    if (db && *db) {
      auto query = (*db)->prepare("SELECT count(*) FROM meta");
      if (query && !query->step()) std::exit(2);
      ignore((*db)->execute("INSERT INTO meta VALUES ('key', 'value')"), "there is no room");
    }
    std::exit(db ? 0 : 1);
  }

  std::optional<sys::TempDir> dir_;
  sys::fs::path mount_, path_;
  bool is_mounted_ = false;
};

using SmallBlocksDeathTest = SmallBlocks;

TEST_F(SmallBlocksDeathTest, CanBeReadOnAFullDisk) {
  ASSERT_TRUE(Db::open(path_));
  for (off_t kib : {0, 4, 8, 12, 20, 28, 40}) {
    ASSERT_NO_FATAL_FAILURE(fill(kib << 10));
    EXPECT_EXIT(use_store(), testing::ExitedWithCode(0), "") << kib;
  }
}

// It keeps what an earlier version has put into it.
TEST_F(SmallBlocksDeathTest, LeavesTheWriteAheadLogBehind) {
  {
    auto db = Db::open(path_);
    ASSERT_TRUE(db);
    ASSERT_TRUE(db->execute("PRAGMA journal_mode = WAL"));
    ASSERT_TRUE(db->execute("INSERT INTO meta VALUES ('kept', '1')"));
  }
  auto db = Db::open(path_);
  ASSERT_TRUE(db);
  auto mode = db->prepare("PRAGMA journal_mode");
  ASSERT_TRUE(mode && *mode->step());
  EXPECT_EQ(mode->text(0), "delete");
  auto kept = db->prepare("SELECT value FROM meta WHERE key = 'kept'");
  ASSERT_TRUE(kept && *kept->step());
  EXPECT_EQ(kept->text(0), "1");
}

}  // namespace
}  // namespace cocoon::store
