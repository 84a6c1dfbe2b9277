// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "guest/identity.h"
#include "guest/root_assembly.h"

namespace cocoon::guest {
namespace {

const std::string kRest =
    ",upperdir=/.cocoon/cow/upper,workdir=/.cocoon/cow/work,index=on,redirect_dir=on,metacopy=on,"
    "xino=on";

TEST(RenderOverlayOptions, PutsTheTopmostLayerLeft) {
  EXPECT_EQ(render_overlay_options(1), "lowerdir=0" + kRest);
  EXPECT_EQ(render_overlay_options(3), "lowerdir=2:1:0" + kRest);
  EXPECT_EQ(render_overlay_options(12), "lowerdir=11:10:9:8:7:6:5:4:3:2:1:0" + kRest);
}

TEST(RenderOverlayOptions, FitsIntoThePageThatMountTakes) {
  EXPECT_LT(render_overlay_options(500).size(), 4096U);
}

TEST(RenderHosts, NamesTheVm) {
  EXPECT_EQ(render_hosts("box"),
            "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n127.0.1.1\tbox\n");
  EXPECT_EQ(render_hosts("").find("127.0.1.1"), std::string::npos);
}

TEST(RenderResolvConf, HasALineForEachServer) {
  EXPECT_EQ(render_resolv_conf({"8.8.8.8", "::1"}), "nameserver 8.8.8.8\nnameserver ::1\n");
}

}  // namespace
}  // namespace cocoon::guest
