// SPDX-License-Identifier: Apache-2.0
#include "store/db.h"

#include <sys/stat.h>

#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "sys/files.h"

namespace cocoon::store {
namespace {

class Store : public testing::Test {
 protected:
  void SetUp() override {
    auto dir = sys::TempDir::create(sys::fs::temp_directory_path(), "cocoon-db-");
    ASSERT_TRUE(dir);
    dir_.emplace(std::move(*dir));
    path_ = dir_->path() / "sub" / "cocoon.db";
  }
  std::optional<sys::TempDir> dir_;
  sys::fs::path path_;
};

TEST_F(Store, ReadersCreateNothing) {
  auto none = Db::open_existing(path_);
  ASSERT_TRUE(none);
  EXPECT_FALSE(none->has_value());
  EXPECT_FALSE(sys::exists(path_));
}

TEST_F(Store, IsPrivateAndMigrated) {
  ASSERT_TRUE(Db::open(path_));
  struct stat info {};
  ASSERT_EQ(stat(path_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600U);
  auto again = Db::open(path_);
  ASSERT_TRUE(again);
  EXPECT_TRUE(again->execute("SELECT 1 FROM vms, images, blobs, kernels"));
}

TEST_F(Store, RefusesANewerSchema) {
  {
    auto db = Db::open(path_);
    ASSERT_TRUE(db);
    ASSERT_TRUE(db->execute("PRAGMA user_version = 1000"));
  }
  auto db = Db::open(path_);
  ASSERT_FALSE(db);
  EXPECT_EQ(db.error().kind, ErrorKind::kUnsupported);
}

TEST_F(Store, RefusesWhatIsNoDatabase) {
  ASSERT_TRUE(sys::make_dirs(path_.parent_path(), 0700));
  ASSERT_TRUE(sys::write_file_atomic(path_, std::string(4096, 'x'), 0600));
  auto db = Db::open(path_);
  ASSERT_FALSE(db);
  EXPECT_EQ(db.error().kind, ErrorKind::kCorrupt);
}

TEST_F(Store, TransactionsRollBackUnlessCommitted) {
  auto db = Db::open(path_);
  ASSERT_TRUE(db);
  {
    auto tx = db->begin();
    ASSERT_TRUE(tx);
    ASSERT_TRUE(db->execute("INSERT INTO meta VALUES ('a', '1')"));
  }
  auto query = db->prepare("SELECT count(*) FROM meta");
  ASSERT_TRUE(query);
  ASSERT_TRUE(*query->step());
  EXPECT_EQ(query->number(0), 0);
}

TEST_F(Store, WritersInParallelLoseNothing) {
  ASSERT_TRUE(Db::open(path_));
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      auto db = Db::open(path_);
      ASSERT_TRUE(db);
      for (int n = 0; n < 25; ++n) {
        auto tx = db->begin();
        ASSERT_TRUE(tx) << tx.error().to_string();
        ASSERT_TRUE(db->execute(fmt::format("INSERT INTO meta VALUES ('{}-{}', '')", i, n)));
        ASSERT_TRUE(tx->commit());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  auto db = Db::open(path_);
  auto query = db->prepare("SELECT count(*) FROM meta");
  ASSERT_TRUE(*query->step());
  EXPECT_EQ(query->number(0), 100);
}

}  // namespace
}  // namespace cocoon::store
