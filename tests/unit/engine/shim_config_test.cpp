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
  config.launch.private_root = true;
  config.launch.shown = {"/dev/kvm", "/lib"};
  auto rendered = render_shim_config(config);
  ASSERT_TRUE(rendered);
  std::string text = *rendered;
  std::replace(text.begin(), text.end(), '\0', '|');
  EXPECT_EQ(text,
            "version=1|id=ID|vm_dir=/run/vm|log_dir=|exit_file=|boot_id=|uid=1000|gid=1000|"
            "groups=36,104|nonce=|netns=new|cgroup=|shim_cgroup=|"
            "ends_by=poweroff|lock=cow.raw|lock=data-db.raw|root=private|show=/dev/kvm|show=/lib|"
            "program=/usr/bin/qemu|arg=-name|arg=a b\nc|");
}

// What a snapshot from elsewhere says must not become an entry of its own.
TEST(ShimConfig, ValuesWithNulAreRefused) {
  ShimConfig config;
  config.launch.args = {"-append", std::string("quiet\0arg=-daemonize", 20)};
  EXPECT_EQ(render_shim_config(config).error().kind, ErrorKind::kInvalid);
  config.launch.args.clear();
  config.nonce = std::string("00\0env=A=1", 10);
  EXPECT_EQ(render_shim_config(config).error().kind, ErrorKind::kInvalid);
}

}  // namespace
}  // namespace cocoon::engine
