// SPDX-License-Identifier: Apache-2.0
// Two commands that want the same: the second one says what it waits for, once.
#include <sys/file.h>

#include <thread>

#include <gtest/gtest.h>

#include "image/acquire/blob_store.h"
#include "image/acquire/digest.h"
#include "image/acquire/remote/downloads.h"
#include "image/acquire/remote/url_download.h"
#include "image/catalog/collect.h"
#include "store/db.h"
#include "sys/files.h"

namespace cocoon::image {
namespace {

constexpr const char* kUrl = "http://host.example/disk.img";

class Waits : public testing::Test {
 protected:
  void SetUp() override {
    auto dir = sys::TempDir::create(testing::TempDir(), "cocoon-wait-");
    ASSERT_TRUE(dir);
    dir_.emplace(std::move(*dir));
    config_.root_dir = dir_->path();
  }

  store::Paths paths() const { return store::Paths(config_); }

  // What the first command does once the second one has said that it waits.
  std::function<void()> then_ = [] {};
  std::vector<std::string> said_;
  WaitNotice notice_{[this](std::string text) {
    said_.push_back(std::move(text));
    then_();
  }};
  std::optional<sys::TempDir> dir_;
  model::Config config_;
};

TEST_F(Waits, ForAUrl) {
  auto first = UrlDownload::claim(paths(), kUrl, notice_);
  ASSERT_TRUE(first) << first.error().to_string();
  EXPECT_TRUE(said_.empty());
  std::optional<UrlDownload> held(std::move(*first));
  then_ = [&] { held.reset(); };
  EXPECT_TRUE(UrlDownload::claim(paths(), kUrl, notice_));
  EXPECT_EQ(said_,
            std::vector<std::string>{std::string("for another command, which downloads ") + kUrl});
}

TEST_F(Waits, ForLayers) {
  auto fetch = [](const std::string&, std::int64_t, const BodySink& sink,
                  const std::function<bool()>&) {
    Attempt attempt;
    auto put = sink({}, "layer");
    if (!put) attempt.error = put.error();
    return attempt;
  };
  store::Paths where = paths();
  std::string digest = sha256_hex("layer");
  ASSERT_TRUE(sys::make_dirs(where.downloads(), 0700));
  auto writer = sys::open_file(where.downloads() / digest, O_RDWR | O_CREAT, 0600);
  ASSERT_TRUE(writer);
  ASSERT_EQ(flock(writer->get(), LOCK_EX), 0);
  then_ = [&] { writer->reset(); };
  Downloads downloads(where, fetch, 1, {}, notice_);
  auto source = downloads.open({digest, 5, "layer 1 of 2"});
  ASSERT_TRUE(source) << source.error().to_string();
  std::string bytes(16, '\0');
  EXPECT_EQ((*source)->read(bytes.data(), bytes.size()).value(), 5U);
  EXPECT_EQ(said_, std::vector<std::string>{"for another command, which downloads layer 1 of 2"});
}

TEST_F(Waits, ForABlob) {
  store::Paths where = paths();
  auto db = store::Db::open(where.database());
  ASSERT_TRUE(db);
  BlobStore blobs(*db, where, &notice_);
  model::Blob blob;
  blob.id = "0123-x";
  blob.kind = "layer";
  auto path = where.lock("blob", blob.id);
  ASSERT_TRUE(sys::make_dirs(path.parent_path(), 0700));
  auto lock =
      sys::FileLock::take(path, sys::FileLock::Mode::kExclusive, "image pull", Milliseconds(0));
  ASSERT_TRUE(lock);
  std::optional<sys::FileLock> held(std::move(*lock));
  then_ = [&] { held.reset(); };
  auto lease = blobs.ensure(blob, where.root(), [](const auto& order, model::Blob&) {
    return sys::write_file_atomic(order.file, "content", 0600);
  });
  ASSERT_TRUE(lease) << lease.error().to_string();
  EXPECT_TRUE(lease->made);
  EXPECT_EQ(said_, std::vector<std::string>{"for another command, which makes layer 0123-x"});
}

}  // namespace
}  // namespace cocoon::image
