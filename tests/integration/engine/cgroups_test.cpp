// SPDX-License-Identifier: Apache-2.0
#include "engine/cgroups.h"

#include <algorithm>

#include "engine/gc.h"
#include "engine/locks.h"
#include "integration/engine/installation.h"
#include "sys/cgroup.h"

namespace cocoon::engine::test {
namespace {

class Cgroups : public testing::Test {
 protected:
  void SetUp() override {
    auto leaf = make_vm_cgroup(mine_.ports(), kVm);
    ASSERT_TRUE(leaf) << leaf.error().to_string();
    if (leaf->empty()) GTEST_SKIP() << "NOT RUN: no cgroup can be made here";
    leaf_ = *leaf;
  }
  void TearDown() override {
    EXPECT_TRUE(remove_vm_cgroup(mine_.ports(), kVm));
    EXPECT_TRUE(remove_vm_cgroup(other_.ports(), kVm));
  }

  Installation mine_, other_;
  sys::fs::path leaf_;
};

TEST_F(Cgroups, AreCollectedByTheirOwnRootDirectoryOnly) {
  ASSERT_TRUE(collect_garbage(other_.ports(), false));
  EXPECT_TRUE(sys::exists(leaf_)) << "taken from a VM that was about to join it";
  ASSERT_TRUE(collect_garbage(mine_.ports(), true));
  EXPECT_TRUE(sys::exists(leaf_));
  ASSERT_TRUE(collect_garbage(mine_.ports(), false));
  EXPECT_FALSE(sys::exists(leaf_));
}

TEST_F(Cgroups, StayWhileTheirVmIsThereOrBeingMade) {
  {
    auto lock = lock_vm(mine_.ports(), kVm, "create");
    ASSERT_TRUE(lock);
    ASSERT_TRUE(collect_garbage(mine_.ports(), false));
    EXPECT_TRUE(sys::exists(leaf_));
  }
  mine_.add_vm(kVm, model::VmState::kStopped);
  ASSERT_TRUE(collect_garbage(mine_.ports(), false));
  EXPECT_TRUE(sys::exists(leaf_));
}

TEST_F(Cgroups, OfOneVmAreToldApartByTheirRootDirectory) {
  auto theirs = make_vm_cgroup(other_.ports(), kVm);
  ASSERT_TRUE(theirs);
  EXPECT_NE(*theirs, leaf_);
  auto ids = list_vm_cgroups(mine_.ports()).value();  // with what old versions have left here
  EXPECT_EQ(std::count(ids.begin(), ids.end(), kVm), 1);
  ASSERT_TRUE(remove_vm_cgroup(mine_.ports(), kVm));
  EXPECT_TRUE(sys::exists(*theirs));
}

// What an earlier version has made bears no mark.
TEST_F(Cgroups, WithoutAMarkGoWithTheirVmOrWhenTheyAreOld) {
  auto unmarked = sys::make_cgroup(kOtherVm);
  ASSERT_TRUE(unmarked);
  ASSERT_TRUE(collect_garbage(mine_.ports(), false));
  EXPECT_TRUE(sys::exists(*unmarked));
  ASSERT_TRUE(remove_vm_cgroup(mine_.ports(), kOtherVm));
  EXPECT_FALSE(sys::exists(*unmarked));
}

}  // namespace
}  // namespace cocoon::engine::test
