// SPDX-License-Identifier: Apache-2.0
// The acceptance checks of spec 02 §13.6: converted layers, mounted with the guest's own options.
#include <dirent.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include <fstream>
#include <set>

#include "image/acquire/digest.h"
#include "integration/image/fixture.h"
#include "integration/image/tar_builder.h"
#include "sys/spawn.h"

namespace cocoon::test {
namespace {

class Layers : public ImageStore {
 protected:
  // Imports the layers as an image and mounts it.
  void build(const std::vector<std::vector<TarItem>>& layers) {
    std::vector<fs::path> files;
    for (const auto& layer : layers) {
      files.push_back(write(fmt::format("l{}.tar", files.size()), tar(layer)));
    }
    auto report = import("test", files);
    ASSERT_TRUE(report) << report.error().to_string();
    image_ = report->image;
    std::string why;
    auto mounted = MountedImage::mount(disks(image_), dir_->path() / "mounts", &why);
    if (!mounted) GTEST_SKIP() << "no mounts here: " << why;
    mounted_.emplace(std::move(*mounted));
  }

  void TearDown() override { mounted_.reset(); }

  fs::path at(const std::string& name) const { return mounted_->root() / name; }

  std::set<std::string> names(const std::string& dir) const {
    std::set<std::string> out;
    for (const auto& entry : fs::directory_iterator(at(dir))) {
      out.insert(entry.path().filename());
    }
    return out;
  }

  static struct stat info(const fs::path& path) {
    struct stat out {};
    EXPECT_EQ(lstat(path.c_str(), &out), 0) << path;
    return out;
  }

  std::string content(const std::string& name) const {
    std::ifstream in(at(name));
    return {std::istreambuf_iterator<char>(in), {}};
  }

  model::Image image_;
  std::optional<MountedImage> mounted_;
};

using Names = std::set<std::string>;

TEST_F(Layers, WhiteoutsHideLowerFilesOnly) {
  build({{directory("d"), file("d/gone"), file("d/kept", "low"), file("top-gone")},
         {directory("d"), whiteout("d/.wh.gone"), whiteout(".wh.top-gone"), file("d/new")},
         {directory("d"), file("d/kept", "high")}});
  if (IsSkipped() || HasFailure()) return;
  EXPECT_EQ(names("d"), (Names{"kept", "new"}));
  EXPECT_EQ(content("d/kept"), "high");
  EXPECT_FALSE(sys::exists(at("top-gone")));
}

TEST_F(Layers, OpaqueDirectoriesShowOnlyTheirOwn) {
  // The marker stands after the entries: order must not matter.
  build({{directory("d"), file("d/old"), directory("d/sub"), file("d/sub/old")},
         {directory("d"), file("d/new"), directory("d/sub"), file("d/sub/new"),
          whiteout("d/.wh..wh..opq")}});
  if (IsSkipped() || HasFailure()) return;
  EXPECT_EQ(names("d"), (Names{"new", "sub"}));
  EXPECT_EQ(names("d/sub"), Names{"new"});
}

TEST_F(Layers, RecreatedDirectoriesShowNoOldChild) {
  build({{directory("d"), file("d/old")}, {whiteout(".wh.d"), directory("d"), file("d/new")}});
  if (IsSkipped() || HasFailure()) return;
  EXPECT_EQ(names("d"), Names{"new"});
}

TEST_F(Layers, AWhiteoutAndAFileOfOneNameIsTheFile) {
  build({{file("f", "old")}, {file("f", "new"), whiteout(".wh.f")}});
  if (IsSkipped() || HasFailure()) return;
  EXPECT_EQ(content("f"), "new");
  EXPECT_EQ(names("."), Names{"f"});
}

TEST_F(Layers, WhiteoutsInDirectoriesOfOneLayerAreNoGhosts) {
  build({{file("other")}, {directory("only"), whiteout("only/.wh.never"), file("only/real")}});
  if (IsSkipped() || HasFailure()) return;
  EXPECT_EQ(names("only"), Names{"real"});
}

TEST_F(Layers, WhiteoutsOfOverlayBasedEnginesAreWhiteouts) {
  build({{file("gone"), file("kept")}, {device("gone", 0, 0)}});
  if (IsSkipped() || HasFailure()) return;
  EXPECT_EQ(names("."), Names{"kept"});
}

TEST_F(Layers, ARootThatIsOpaqueIsTheLowestLayer) {
  build({{file("low")}, {file("middle"), whiteout(".wh..wh..opq")}, {file("top")}});
  if (IsSkipped() || HasFailure()) return;
  EXPECT_EQ(image_.layers.size(), 3U);
  EXPECT_EQ(image_.disks.size(), 2U);
  EXPECT_EQ(names("."), (Names{"middle", "top"}));
}

TEST_F(Layers, AufsBookkeepingIsDropped) {
  build({{file("f"), directory(".wh..wh.plnk"), file(".wh..wh.plnk/1.2"), file(".wh..wh.aufs")}});
  if (IsSkipped() || HasFailure()) return;
  EXPECT_EQ(names("."), Names{"f"});
}

TEST_F(Layers, KeepsWhatTarCanSay) {
  TarItem owned = file("big-owner", "x");
  owned.uid = 3'000'000'000;
  owned.gid = 70'000;
  TarItem capable = file("ping", "x", 04755);
  capable.pax["SCHILY.xattr.security.capability"] =
      std::string("\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
  capable.pax["SCHILY.xattr.user.note"] = "hello";
  TarItem acl = file("acl", "x");
  acl.pax["SCHILY.acl.access"] = "user::rw-,user:1234:r--,group::r--,mask::r--,other::---";
  TarItem fine = file("fine-time", "x");
  fine.pax["mtime"] = "1500000000.25";
  TarItem sticky = directory("tmp", 01777);
  sticky.mtime = 1'600'000'000;
  build({{sticky, file("a", "linked"), hardlink("b", "a"), symlink("l", "/../etc/passwd"), owned,
          capable, acl, fine, device("null", 1, 3), device("disk", 254, 77, '4'),
          device("pipe", 0, 0, '6'), file("tmp/inside", "")}});
  if (IsSkipped() || HasFailure()) return;
  EXPECT_EQ(info(at("a")).st_ino, info(at("b")).st_ino);
  EXPECT_EQ(info(at("a")).st_nlink, 2U);
  EXPECT_EQ(fs::read_symlink(at("l")), "/../etc/passwd");
  EXPECT_EQ(info(at("big-owner")).st_uid, 3'000'000'000U);
  EXPECT_EQ(info(at("big-owner")).st_gid, 70'000U);
  EXPECT_EQ(info(at("ping")).st_mode & 07777, 04755U);
  char value[64];
  EXPECT_EQ(getxattr(at("ping").c_str(), "security.capability", value, sizeof value), 20);
  EXPECT_EQ(getxattr(at("ping").c_str(), "user.note", value, sizeof value), 5);
  EXPECT_EQ(getxattr(at("acl").c_str(), "system.posix_acl_access", value, sizeof value), 44);
  EXPECT_TRUE(S_ISCHR(info(at("null")).st_mode));
  EXPECT_EQ(info(at("null")).st_rdev, makedev(1, 3));
  EXPECT_TRUE(S_ISBLK(info(at("disk")).st_mode));
  EXPECT_EQ(info(at("disk")).st_rdev, makedev(254, 77));
  EXPECT_TRUE(S_ISFIFO(info(at("pipe")).st_mode));
  EXPECT_EQ(info(at("tmp")).st_mode & 07777, 01777U);
  EXPECT_EQ(info(at("tmp")).st_mtim.tv_sec, 1'600'000'000);
  EXPECT_EQ(info(at("a")).st_mtim.tv_sec, 1'700'000'000);
  EXPECT_EQ(info(at("fine-time")).st_mtim.tv_sec, 1'500'000'000);
  EXPECT_EQ(info(at("fine-time")).st_mtim.tv_nsec, 250'000'000);
}

TEST_F(Layers, AttributesOfOverlayfsCannotBeSmuggledIn) {
  TarItem redirect = directory("d");
  redirect.pax["SCHILY.xattr.trusted.overlay.redirect"] = "/secret";
  redirect.pax["SCHILY.xattr.trusted.overlay.opaque"] = "y";
  build({{directory("d"), file("d/low")}, {redirect, file("d/high")}});
  if (IsSkipped() || HasFailure()) return;
  EXPECT_EQ(names("d"), (Names{"high", "low"}));
}

TEST_F(Layers, LinksInsideTheLayerAreFollowedInside) {
  build({{directory("usr"), directory("usr/lib"), symlink("lib", "usr/lib"), file("lib/a", "a"),
          symlink("abs", "/usr"), file("abs/b", "b")}});
  if (IsSkipped() || HasFailure()) return;
  EXPECT_EQ(content("usr/lib/a"), "a");
  EXPECT_EQ(content("usr/b"), "b");
}

TEST_F(Layers, TheLastEntryOfANameWins) {
  build({{file("f", "one"), file("f", "two"), directory("d"), file("d/x"), file("d", "now a file"),
          file("g"), directory("g"), file("g/inside")}});
  if (IsSkipped() || HasFailure()) return;
  EXPECT_EQ(content("f"), "two");
  EXPECT_EQ(content("d"), "now a file");
  EXPECT_EQ(names("g"), Names{"inside"});
}

TEST_F(Layers, TheSameTreeMergedLooksTheSame) {
  std::vector<std::vector<TarItem>> layers = {
      {directory("d"), file("d/gone"), file("d/kept"), directory("o"), file("o/old"),
       file("f", "1"), directory("was-dir"), file("was-dir/x")},
      {whiteout("d/.wh.gone"), whiteout("o/.wh..wh..opq"), directory("o"), file("o/new"),
       file("was-dir", "file")}};
  for (int i = 2; i < 12; ++i)
    layers.push_back({file(fmt::format("n{}", i)), file("f", fmt::format("{}", i))});
  build(layers);
  if (IsSkipped() || HasFailure()) return;
  EXPECT_EQ(image_.layers.size(), 12U);
  ASSERT_EQ(image_.disks.size(), 1U);
  EXPECT_NE(image_.disks[0].find("-m-"), std::string::npos);
  EXPECT_EQ(names("d"), Names{"kept"});
  EXPECT_EQ(names("o"), Names{"new"});
  EXPECT_EQ(content("f"), "11");
  EXPECT_EQ(content("was-dir"), "file");
  EXPECT_EQ(names("."), (Names{"d", "f", "n10", "n11", "n2", "n3", "n4", "n5", "n6", "n7", "n8",
                               "n9", "o", "was-dir"}));
}

TEST_F(Layers, BytesDependOnTheLayerOnly) {
  TarItem attributed = file("x", "data");
  for (const char* name : {"user.b", "user.a", "user.c"}) {
    attributed.pax[std::string("SCHILY.xattr.") + name] = name;
  }
  std::string layer =
      tar({directory("d"), file("d/z"), file("d/a", std::string(9000, 'q')), attributed});
  auto first = import_bytes("one", layer);
  ASSERT_TRUE(first) << first.error().to_string();
  std::string before = *image::sha256_file(disks(first->image)[0]);
  // Again, in another store.
  fs::path other = dir_->path() / "other";
  config_.root_dir = other;
  auto db = store::Db::open(other / "cocoon.db");
  ASSERT_TRUE(db);
  engine::Ports ports{config_, store::Paths(config_), *db};
  auto second = engine::import_image(ports, {"two", {dir_->path() / "input"}}, [](const auto&) {});
  ASSERT_TRUE(second) << second.error().to_string();
  EXPECT_EQ(second->image.disks, first->image.disks);
  EXPECT_EQ(*image::sha256_file(disks(second->image)[0]), before);
}

}  // namespace
}  // namespace cocoon::test
