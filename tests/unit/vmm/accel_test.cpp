// SPDX-License-Identifier: Apache-2.0
#include "vmm/accel.h"

#include <gtest/gtest.h>

#include "sys/files.h"
#include "vmm/fact_file.h"

namespace cocoon::vmm {
namespace {

class ChooseAccel : public testing::Test {
 protected:
  void SetUp() override {
    auto dir = sys::TempDir::create(std::filesystem::temp_directory_path(), "accel-");
    ASSERT_TRUE(dir) << dir.error().to_string();
    dir_.emplace(std::move(*dir));
    request_.run_dir = dir_->path();
    request_.uid = 65534;
    request_.device = dir_->path() / "no-such-device";
  }
  std::optional<sys::TempDir> dir_;
  AccelRequest request_;
};

TEST_F(ChooseAccel, EmulatesWithANoteWhenThereIsNoDevice) {
  auto choice = choose_accel(request_);
  ASSERT_TRUE(choice) << choice.error().to_string();
  EXPECT_EQ(choice->accel, Accel::kTcg);
  EXPECT_NE(choice->note.find("there is no "), std::string::npos) << choice->note;
  EXPECT_TRUE(choice->fresh);
}

TEST_F(ChooseAccel, RemembersTheAnswerOfThisBoot) {
  ASSERT_TRUE(choose_accel(request_));
  auto again = choose_accel(request_);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->accel, Accel::kTcg);
  EXPECT_FALSE(again->fresh);
}

TEST_F(ChooseAccel, MeasuresAgainWhenTheDeviceChanged) {
  ASSERT_TRUE(choose_accel(request_));
  // The probe runs with other rights than ours: let it reach the file.
  ASSERT_TRUE(sys::write_file_atomic(request_.device, "no device", 0644));
  std::filesystem::permissions(request_.device, std::filesystem::perms(0666));
  std::filesystem::permissions(dir_->path(), std::filesystem::perms(0711));
  auto again = choose_accel(request_);
  ASSERT_TRUE(again) << again.error().to_string();
  EXPECT_TRUE(again->fresh);
  EXPECT_NE(again->note.find("API version"), std::string::npos) << again->note;
}

TEST_F(ChooseAccel, RefusesADemandForKvmThatIsNotUsable) {
  request_.override_text = "kvm";
  auto choice = choose_accel(request_);
  ASSERT_FALSE(choice);
  EXPECT_EQ(choice.error().kind, ErrorKind::kUnsupported);
  EXPECT_NE(choice.error().cause.find("there is no "), std::string::npos);
}

TEST_F(ChooseAccel, AsksNothingWhenEmulationIsDemanded) {
  request_.override_text = "tcg";
  auto choice = choose_accel(request_);
  ASSERT_TRUE(choice);
  EXPECT_EQ(choice->accel, Accel::kTcg);
  EXPECT_TRUE(choice->note.empty());
  EXPECT_TRUE(sys::list_dir(dir_->path())->empty());
}

TEST_F(ChooseAccel, RefusesAnUnknownOverride) {
  request_.override_text = "fast";
  auto choice = choose_accel(request_);
  ASSERT_FALSE(choice);
  EXPECT_EQ(choice.error().kind, ErrorKind::kInvalid);
}

TEST_F(ChooseAccel, WorksWithoutAPlaceToRemember) {
  request_.run_dir = dir_->path() / "missing";
  auto choice = choose_accel(request_);
  ASSERT_TRUE(choice) << choice.error().to_string();
  EXPECT_TRUE(choice->fresh);
}

TEST_F(ChooseAccel, IgnoresADamagedMemory) {
  ASSERT_TRUE(choose_accel(request_));
  ASSERT_TRUE(sys::write_file_atomic(dir_->path() / "kvm-probe", "usable\n", 0600));
  auto choice = choose_accel(request_);
  ASSERT_TRUE(choice);
  EXPECT_EQ(choice->accel, Accel::kTcg);
  EXPECT_TRUE(choice->fresh);
}

TEST(FactFile, GivesTheAnswerForItsCircumstancesOnly) {
  auto dir = sys::TempDir::create(std::filesystem::temp_directory_path(), "fact-");
  ASSERT_TRUE(dir);
  auto path = dir->path() / "fact";
  EXPECT_FALSE(read_fact(path, "key"));
  write_fact(path, "key", "two\nlines");
  EXPECT_EQ(read_fact(path, "key"), "two\\nlines");
  EXPECT_FALSE(read_fact(path, "other"));
}

}  // namespace
}  // namespace cocoon::vmm
