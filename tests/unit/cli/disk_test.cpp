// SPDX-License-Identifier: Apache-2.0
// What `vm disk` prints, and that completion knows its group.
#include "cli/vm/disk/disk.h"

#include <gtest/gtest.h>

#include "cli/commands.h"
#include "cli/completion/complete.h"

namespace cocoon::cli {
namespace {

engine::DiskView view(const std::string& name, model::DiskRole role) {
  engine::DiskView view;
  view.name = name;
  view.disk.serial = name;
  view.disk.role = role;
  view.size = std::int64_t{1} << 30;
  view.used = 3 << 20;
  return view;
}

TEST(DiskTable, SaysWhatIsWhere) {
  engine::DiskView data = view("db", model::DiskRole::kData);
  data.disk.fstype = "ext4";
  data.disk.mount_point = "/srv/db";
  data.attached = true;
  EXPECT_EQ(disk_table({view("cocoon-cow", model::DiskRole::kCow), data}),
            "NAME        SIZE  USED  FSTYPE  MOUNT    ROLE  ATTACHED\n"
            "cocoon-cow  1GiB  3MiB  -       -        cow   next start\n"
            "db          1GiB  3MiB  ext4    /srv/db  data  now\n");
}

TEST(MountHint, TellsWhatTheGuestDoesAndWhatTheUserHasTo) {
  engine::AttachedDisk done;
  done.vm.boot.boot_kit = true;
  done.disk = view("db", model::DiskRole::kData).disk;
  done.disk.mount_point = "/srv/db";
  EXPECT_EQ(mount_hint(done), "The guest mounts it at /srv/db when it starts.");
  done.hot = true;
  std::string hot = mount_hint(done);
  EXPECT_NE(hot.find("grep -qx db $d/serial"), std::string::npos) << hot;
  EXPECT_NE(hot.find("mount /dev/${d##*/} /srv/db"), std::string::npos) << hot;
  EXPECT_NE(hot.find("from the next start on the guest does"), std::string::npos) << hot;
  done.mounted = true;
  EXPECT_EQ(mount_hint(done), "The guest has mounted it at /srv/db.");
  done.vm.boot.boot_kit = false;
  EXPECT_EQ(mount_hint(done), "The guest has mounted it at /srv/db, until it restarts.");
  done.mounted = false;
  EXPECT_EQ(mount_hint(done).find("next start"), std::string::npos);
  done.hot = false;
  EXPECT_EQ(mount_hint(done), "The guest finds it by its serial, \"db\", when it starts.");
  done.hot = true;
  done.disk.mount_point.clear();
  EXPECT_EQ(mount_hint(done), "In the guest it is the disk with the serial \"db\".");
}

TEST(DiskCommands, SayWhatBecomesOfTheData) {
  Command detach = vm_disk_detach_command();
  EXPECT_EQ(detach.check().error().kind, ErrorKind::kInvalid);
  for (const Flag& flag : detach.flags) {
    if (flag.name == "delete") *std::get<bool*>(flag.target) = true;
  }
  EXPECT_TRUE(detach.check());
  for (const Flag& flag : detach.flags) {
    if (flag.name == "keep") *std::get<std::string*>(flag.target) = "x";
  }
  EXPECT_FALSE(detach.check());
}

TEST(DiskCommands, AreCompleted) {
  auto none = [](Names, const GlobalFlags&) { return std::vector<Candidate>{{"web", ""}}; };
  std::vector<std::string> words;
  for (const auto& one : complete(cocoon_program(), {"vm", "disk", ""}, none).candidates) {
    words.push_back(one.value);
  }
  EXPECT_EQ(words, (std::vector<std::string>{"attach", "detach", "list", "resize"}));
  auto di = complete(cocoon_program(), {"vm", "di"}, none).candidates;
  ASSERT_EQ(di.size(), 1U);
  EXPECT_EQ(di[0].value, "disk");
  auto vms = complete(cocoon_program(), {"vm", "disk", "list", ""}, none).candidates;
  ASSERT_EQ(vms.size(), 1U);
  EXPECT_EQ(vms[0].value, "web");
}

}  // namespace
}  // namespace cocoon::cli
