// SPDX-License-Identifier: Apache-2.0
// Which layers mkfs.erofs may read by itself: everything unusual must be staged.
#include <gtest/gtest.h>

#include "image/acquire/digest.h"
#include "image/acquire/tar_scan.h"
#include "integration/image/tar_builder.h"
#include "sys/files.h"

namespace cocoon::test {
namespace {

image::TarScan scan(const std::vector<TarItem>& items) {
  std::string bytes = tar(items);
  image::LayerInput layer;
  layer.diff_id = image::sha256_hex(bytes);
  layer.open = [bytes]() -> Result<image::SourcePtr> {
    return image::SourcePtr(std::make_unique<image::MemorySource>(bytes));
  };
  auto stash = sys::TempDir::create(sys::fs::temp_directory_path(), "cocoon-scan-");
  EXPECT_TRUE(stash);
  auto result = image::scan_layer_tar(layer, {1 << 20, 100}, stash->path());
  EXPECT_TRUE(result) << result.error().to_string();
  return *result;
}

TarItem with_pax(TarItem item, const std::string& key, const std::string& value) {
  item.pax[key] = value;
  return item;
}

TEST(TarScan, OrdinaryLayersGoDirectly) {
  auto result = scan({directory("d"), file("d/f"), hardlink("d/h", "d/f"), symlink("l", "../x"),
                      device("n", 1, 3), whiteout("d/.wh.gone"), directory("o"),
                      whiteout("o/.wh..wh..opq"), with_pax(file("x"), "SCHILY.xattr.user.a", "b")});
  EXPECT_EQ(result.obstacle, "");
  EXPECT_EQ(result.inodes, 8);  // root, d, f, l, n, the whiteout, o, x
  EXPECT_EQ(result.newest, 1'700'000'000);
  EXPECT_FALSE(result.root_opaque);
}

TEST(TarScan, BootFilesAreFound) {
  auto result = scan({directory("boot"), file("boot/vmlinuz-6", "kernel"),
                      symlink("vmlinuz", "boot/vmlinuz-6"), whiteout("boot/.wh.initrd.img-5")});
  ASSERT_EQ(result.obstacle, "");
  ASSERT_EQ(result.boot.size(), 3U);
  EXPECT_EQ(result.boot[0].sha256, image::sha256_hex("kernel"));
}

TEST(TarScan, UnusualLayersAreStaged) {
  TarItem old = file("old");
  old.mtime = 5'000'000'000;  // beyond what every reader takes
  TarItem root = directory("./");
  root.pax["SCHILY.xattr.trusted.x"] = "y";
  const std::vector<std::vector<TarItem>> layers = {
      {file("implied/f")},
      {file("f"), file("f")},
      {symlink("lib", "usr/lib"), file("lib/x")},
      {hardlink("h", "later"), file("later")},
      {file("../x")},
      {device("w", 0, 0)},
      {device("w", 1 << 12, 0)},
      {file("f"), whiteout(".wh.f")},
      {directory("d"), whiteout("d/.wh..wh..opq"), whiteout("d/.wh.x")},
      {directory("d"), directory("d/e"), whiteout("d/e/.wh.x"), whiteout("d/.wh..wh..opq")},
      {whiteout("d/.wh.x")},
      {file(".wh..wh.aufs")},
      {with_pax(file("f"), "SCHILY.xattr.trusted.overlay.redirect", "/x")},
      {with_pax(file("f"), "SCHILY.xattr.security.selinux", "x")},
      {with_pax(file("f"), "SCHILY.acl.access",
                "user::rw-,user:1:r--,group::r--,mask::r--,other::---")},
      {directory("boot"), file("boot/vmlinuz"), hardlink("boot/vmlinuz-6", "boot/vmlinuz")},
      {old},
      {root},
  };
  for (std::size_t i = 0; i < layers.size(); ++i) EXPECT_NE(scan(layers[i]).obstacle, "") << i;
  std::vector<TarItem> many;
  for (int i = 0; i < 101; ++i) many.push_back(file(std::to_string(i)));
  EXPECT_NE(scan(many).obstacle, "");
}

}  // namespace
}  // namespace cocoon::test
