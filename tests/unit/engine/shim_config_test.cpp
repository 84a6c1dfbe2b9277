// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include <gtest/gtest.h>

#include "engine/shim_control.h"

namespace cocoon::engine {
namespace {

TEST(ShimConfig, IsKeyValueStringsEndedByNul) {
  ShimConfig config;
  config.id = "ID";
  config.vm_dir = "/run/vm";
  config.uid = 1000;
  config.groups = {36, 104};
  config.launch.program = "/usr/bin/qemu";
  config.launch.args = {"-name", "a b\nc"};
  config.launch.lock_files = {"cow.raw", "data-db.raw"};
  std::string text = render_shim_config(config);
  std::replace(text.begin(), text.end(), '\0', '|');
  EXPECT_EQ(text,
            "version=1|id=ID|vm_dir=/run/vm|log_dir=|exit_file=|boot_id=|uid=1000|gid=1000|"
            "groups=36,104|nonce=|netns=new|cgroup=|shim_cgroup=|"
            "ends_by=poweroff|lock=cow.raw|lock=data-db.raw|"
            "program=/usr/bin/qemu|arg=-name|arg=a b\nc|");
}

}  // namespace
}  // namespace cocoon::engine
