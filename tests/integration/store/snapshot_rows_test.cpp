// SPDX-License-Identifier: Apache-2.0
#include "store/snapshot_rows.h"

#include <gtest/gtest.h>

#include "store/blob_rows.h"
#include "store/vm_rows.h"
#include "sys/files.h"

namespace cocoon::store {
namespace {

class SnapshotRows : public testing::Test {
 protected:
  void SetUp() override {
    auto dir = sys::TempDir::create(sys::fs::temp_directory_path(), "cocoon-rows-");
    ASSERT_TRUE(dir);
    dir_.emplace(std::move(*dir));
    auto db = Db::open(dir_->path() / "cocoon.db");
    ASSERT_TRUE(db);
    db_.emplace(std::move(*db));
    ASSERT_TRUE(
        db_->execute("INSERT INTO blobs (id, kind, state, file, created_at) VALUES "
                     "('ready', 'layer', 'ready', 'f', ''),"
                     "('going', 'layer', 'deleting', 'g', '')"));
  }

  static model::Snapshot snapshot(const std::string& id, const std::string& name) {
    model::Snapshot out;
    out.id = id;
    out.name = name;
    out.source_vm = "VVVVVVVVVVVVVVVVVVVVVVVVVV";
    out.created_at = "2026-01-01T00:00:00Z";
    return out;
  }

  std::optional<sys::TempDir> dir_;
  std::optional<Db> db_;
};

TEST_F(SnapshotRows, ComeBackAsTheyWere) {
  model::Snapshot in = snapshot("AAAAAAAAAAAAAAAAAAAAAAAAAA", "team/base:1");
  ASSERT_TRUE(insert_snapshot(*db_, in, {"ready"}));
  in.state = model::SnapshotState::kReady;
  ASSERT_TRUE(update_snapshot(*db_, in));
  auto out = get_snapshot(*db_, in.id);
  ASSERT_TRUE(out && *out);
  EXPECT_EQ(to_stored_json(**out), to_stored_json(in));
  EXPECT_EQ(*resolve_snapshot(*db_, "team/base:1"), in.id);
  EXPECT_EQ(*resolve_snapshot(*db_, "AAAA"), in.id);
  EXPECT_EQ(*snapshot_blobs(*db_, in.id), std::vector<std::string>{"ready"});
  EXPECT_EQ(list_snapshots(*db_)->size(), 1U);
}

TEST_F(SnapshotRows, WithAParentPinIt) {
  model::Snapshot parent = snapshot("AAAAAAAAAAAAAAAAAAAAAAAAAA", "base");
  model::Snapshot child = snapshot("BBBBBBBBBBBBBBBBBBBBBBBBBB", "more");
  child.parent = parent.id;
  EXPECT_EQ(insert_snapshot(*db_, child, {}).error().kind, ErrorKind::kNotFound);
  ASSERT_TRUE(insert_snapshot(*db_, parent, {}));
  EXPECT_EQ(insert_snapshot(*db_, child, {}).error().kind, ErrorKind::kNotFound)
      << "it is not ready";
  parent.state = model::SnapshotState::kReady;
  ASSERT_TRUE(update_snapshot(*db_, parent));
  EXPECT_TRUE(snapshot_children(*db_, parent.id)->empty());
  ASSERT_TRUE(insert_snapshot(*db_, child, {}));
  auto children = snapshot_children(*db_, parent.id);
  ASSERT_TRUE(children);
  ASSERT_EQ(children->size(), 1U);
  EXPECT_EQ(children->front().id, child.id);
  EXPECT_EQ(children->front().parent, parent.id);
  EXPECT_FALSE(delete_snapshot(*db_, parent.id)) << "whatever the engine believes";
  ASSERT_TRUE(delete_snapshot(*db_, child.id));
  EXPECT_TRUE(delete_snapshot(*db_, parent.id));
}

TEST_F(SnapshotRows, PinTheirBlobs) {
  ASSERT_TRUE(insert_snapshot(*db_, snapshot("AAAAAAAAAAAAAAAAAAAAAAAAAA", ""), {"ready"}));
  EXPECT_TRUE(*blob_in_use(*db_, "ready"));
  EXPECT_FALSE(*claim_unused_blob(*db_, "ready"));
  ASSERT_TRUE(delete_snapshot(*db_, "AAAAAAAAAAAAAAAAAAAAAAAAAA"));
  EXPECT_TRUE(*claim_unused_blob(*db_, "ready"));
  auto pinned = insert_snapshot(*db_, snapshot("BAAAAAAAAAAAAAAAAAAAAAAAAA", ""), {"going"});
  ASSERT_FALSE(pinned);
  EXPECT_EQ(pinned.error().kind, ErrorKind::kNotFound);
}

TEST_F(SnapshotRows, NamesAreUniqueAndMayBeMissing) {
  ASSERT_TRUE(insert_snapshot(*db_, snapshot("AAAAAAAAAAAAAAAAAAAAAAAAAA", ""), {}));
  ASSERT_TRUE(insert_snapshot(*db_, snapshot("BAAAAAAAAAAAAAAAAAAAAAAAAA", ""), {}));
  ASSERT_TRUE(insert_snapshot(*db_, snapshot("CAAAAAAAAAAAAAAAAAAAAAAAAA", "x"), {}));
  auto again = insert_snapshot(*db_, snapshot("DAAAAAAAAAAAAAAAAAAAAAAAAA", "x"), {});
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().kind, ErrorKind::kConflict);
  EXPECT_NE(again.error().cause.find("already exists"), std::string::npos);
  auto missing = resolve_snapshot(*db_, "nosuch");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(missing.error().cause, "snapshot not found: nosuch");
}

}  // namespace
}  // namespace cocoon::store
