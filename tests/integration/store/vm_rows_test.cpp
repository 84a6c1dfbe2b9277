// SPDX-License-Identifier: Apache-2.0
#include "store/vm_rows.h"

#include <gtest/gtest.h>

#include "sys/files.h"

namespace cocoon::store {
namespace {

class VmRows : public testing::Test {
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

  static model::Vm vm(const std::string& id, const std::string& name, std::uint32_t uid) {
    model::Vm out;
    out.id = id;
    out.config.name = name;
    out.uid = uid;
    out.created_at = "2026-01-01T00:00:00Z";
    return out;
  }

  std::optional<sys::TempDir> dir_;
  std::optional<Db> db_;
};

TEST_F(VmRows, ComeBackAsTheyWere) {
  model::Vm in = vm("AAAAAAAAAAAAAAAAAAAAAAAAAA", "a", 1);
  ASSERT_TRUE(insert_vm(*db_, in, {"ready"}));
  in.state = model::VmState::kRunning;
  ASSERT_TRUE(update_vm(*db_, in));
  auto out = get_vm(*db_, in.id);
  ASSERT_TRUE(out && *out);
  EXPECT_EQ(to_stored_json(**out), to_stored_json(in));
  EXPECT_EQ(vm_ids_in_state(*db_, model::VmState::kRunning)->size(), 1U);
}

TEST_F(VmRows, WordsOfOthersNeedNotBeUtf8) {
  model::Vm in = vm("AAAAAAAAAAAAAAAAAAAAAAAAAA", "a", 1);
  ASSERT_TRUE(insert_vm(*db_, in, {}));
  in.exit_reason =
      "start: plugin said: Stra\xdf"
      "e";
  ASSERT_TRUE(update_vm(*db_, in));
  auto out = get_vm(*db_, in.id);
  ASSERT_TRUE(out && *out);
  EXPECT_EQ((*out)->exit_reason,
            "start: plugin said: Stra\xef\xbf\xbd"
            "e");
}

TEST_F(VmRows, NamesAndUidsAreUnique) {
  ASSERT_TRUE(insert_vm(*db_, vm("AAAAAAAAAAAAAAAAAAAAAAAAAA", "a", 1), {}));
  auto same_name = insert_vm(*db_, vm("BAAAAAAAAAAAAAAAAAAAAAAAAA", "a", 2), {});
  ASSERT_FALSE(same_name);
  EXPECT_EQ(same_name.error().kind, ErrorKind::kConflict);
  EXPECT_NE(same_name.error().cause.find("already exists"), std::string::npos);
  auto same_uid = insert_vm(*db_, vm("CAAAAAAAAAAAAAAAAAAAAAAAAA", "c", 1), {});
  ASSERT_FALSE(same_uid);
  EXPECT_EQ(same_uid.error().kind, ErrorKind::kConflict);
}

TEST_F(VmRows, PinsHoldBlobsAndOnlyReadyOnes) {
  auto going = insert_vm(*db_, vm("AAAAAAAAAAAAAAAAAAAAAAAAAA", "a", 1), {"going"});
  ASSERT_FALSE(going);
  EXPECT_EQ(going.error().kind, ErrorKind::kNotFound);
  ASSERT_TRUE(insert_vm(*db_, vm("BAAAAAAAAAAAAAAAAAAAAAAAAA", "b", 2), {"ready"}));
  EXPECT_FALSE(db_->execute("DELETE FROM blobs WHERE id = 'ready'"));
  ASSERT_TRUE(delete_vm(*db_, "BAAAAAAAAAAAAAAAAAAAAAAAAA"));
  EXPECT_TRUE(db_->execute("DELETE FROM blobs WHERE id = 'ready'"));
}

TEST_F(VmRows, ResolveRanksIdThenNameThenPrefix) {
  const std::string first = "ABCAAAAAAAAAAAAAAAAAAAAAAA";
  const std::string second = "ABCBAAAAAAAAAAAAAAAAAAAAAA";
  ASSERT_TRUE(insert_vm(*db_, vm(first, "web", 1), {}));
  ASSERT_TRUE(insert_vm(*db_, vm(second, "ABCA", 2), {}));
  EXPECT_EQ(*resolve_vm(*db_, first), first);
  EXPECT_EQ(*resolve_vm(*db_, "web"), first);
  EXPECT_EQ(*resolve_vm(*db_, "ABCA"), second);  // a name beats a prefix
  EXPECT_EQ(*resolve_vm(*db_, "ABCB"), second);
  auto ambiguous = resolve_vm(*db_, "ABC");
  ASSERT_FALSE(ambiguous);
  EXPECT_EQ(ambiguous.error().kind, ErrorKind::kConflict);
  EXPECT_NE(ambiguous.error().cause.find("ambiguous"), std::string::npos);
  for (const char* none : {"AB", "abc", "we", "", "ABCZ", "%", "ABC%"}) {
    auto missing = resolve_vm(*db_, none);
    ASSERT_FALSE(missing) << none;
    EXPECT_EQ(missing.error().kind, ErrorKind::kNotFound);
    EXPECT_NE(missing.error().cause.find("vm not found"), std::string::npos);
  }
}

}  // namespace
}  // namespace cocoon::store
