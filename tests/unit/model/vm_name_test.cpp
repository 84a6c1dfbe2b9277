// SPDX-License-Identifier: Apache-2.0
#include "model/vm_name.h"

#include <gtest/gtest.h>

namespace cocoon::model {
namespace {

TEST(DefaultVmName, FollowsTheTable) {
  const std::string hex(64, 'a');
  EXPECT_EQ(default_vm_name("ubuntu:24.04"), "cocoon-ubuntu-24.04");
  EXPECT_EQ(default_vm_name("ubuntu"), "cocoon-ubuntu");
  EXPECT_EQ(default_vm_name("library/ubuntu:latest"), "cocoon-ubuntu");
  EXPECT_EQ(default_vm_name("ghcr.io/foo/ubuntu:24.04"), "cocoon-foo-ubuntu-24.04");
  EXPECT_EQ(default_vm_name("localhost:5000/myimg:latest"), "cocoon-myimg");
  EXPECT_EQ(default_vm_name("ghcr.io/ns/img@sha256:" + hex), "cocoon-ns-img");
  EXPECT_EQ(default_vm_name("https://cloud-images.ubuntu.com/releases/22.04/release/"
                            "ubuntu-22.04-server-cloudimg-amd64.img"),
            "cocoon--cloud-images.ubuntu.com-releases-22.04-release-ubuntu-2");
}

}  // namespace
}  // namespace cocoon::model
