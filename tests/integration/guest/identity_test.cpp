// SPDX-License-Identifier: Apache-2.0
#include "guest/identity.h"

#include "integration/guest/temp_tree.h"

namespace cocoon::guest {
namespace {

namespace fs = std::filesystem;

class MachineId : public TempTree {
 protected:
  void SetUp() override {
    TempTree::SetUp();
    fs::create_directory(top_ / "cow");
    config_.id = "vm-one";
    config_.run.mode = RunMode::kExec;
  }

  void boot() {
    const auto stamp_dir = RootDir::open((top_ / "cow").c_str());
    ASSERT_TRUE(stamp_dir);
    const auto result = reset_machine_id(config_, root(), *stamp_dir);
    ASSERT_TRUE(result) << result.error().text();
  }

  BootConfig config_;
};

TEST_F(MachineId, IsClearedOncePerVm) {
  write(path("etc/machine-id"), "from the image\n");
  boot();
  EXPECT_EQ(read(path("etc/machine-id")), "");

  fs::permissions(path("etc/machine-id"), fs::perms(0644));
  write(path("etc/machine-id"), "chosen by the guest\n");
  boot();
  EXPECT_EQ(read(path("etc/machine-id")), "chosen by the guest\n");

  config_.id = "vm-two";
  boot();
  EXPECT_EQ(read(path("etc/machine-id")), "");
}

TEST_F(MachineId, IsNotForcedUponAnImageWithoutInit) {
  boot();
  EXPECT_FALSE(fs::exists(path("etc/machine-id")));
  EXPECT_EQ(read(top_ / "cow" / "vm-id"), "vm-one\n");
}

TEST_F(MachineId, IsMadeForAnInit) {
  config_.run.mode = RunMode::kInit;
  boot();
  EXPECT_TRUE(fs::is_empty(path("etc/machine-id")));
}

TEST_F(MachineId, TakesTheCopyOfDbusAlong) {
  write(path("etc/machine-id"), "x");
  write(path("var/lib/dbus/machine-id"), "x");
  boot();
  EXPECT_FALSE(fs::exists(path("var/lib/dbus/machine-id")));
}

TEST_F(MachineId, LeavesTheLinkOfDbus) {
  write(path("etc/machine-id"), "x");
  fs::create_directories(path("var/lib/dbus"));
  fs::create_symlink("/etc/machine-id", path("var/lib/dbus/machine-id"));
  boot();
  EXPECT_TRUE(fs::is_symlink(path("var/lib/dbus/machine-id")));
}

}  // namespace
}  // namespace cocoon::guest
