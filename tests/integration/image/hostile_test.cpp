// SPDX-License-Identifier: Apache-2.0
// `image import` of what is damaged, hostile or too large: one clear error, nothing left behind.
#include <sys/mount.h>

#include "engine/image_import.h"
#include "image/catalog/catalog.h"
#include "integration/image/fixture.h"
#include "integration/image/tar_builder.h"

namespace cocoon::test {
namespace {

using HostileInput = ImageStore;

TEST_F(HostileInput, RefusesNamesThatCouldNotBeUsed) {
  for (const char* name : {"", "http://x/y", "sha256:0123", "0123456789abcdef", "a b", "a\nb",
                           "x@sha256:0000", "-x", "/x"}) {
    auto report = import_bytes(name, small_layer("a"));
    ASSERT_FALSE(report) << name;
    EXPECT_EQ(report.error().kind, ErrorKind::kInvalid);
  }
}

TEST_F(HostileInput, RefusesWhatIsNoImage) {
  expect_failure("", ErrorKind::kInvalid, "empty");
  expect_failure("hello, world", ErrorKind::kInvalid, "neither a tar archive");
  expect_failure(std::string(10240, '\0'), ErrorKind::kInvalid, "empty tar");
  expect_failure("QFI\xfb 1234", ErrorKind::kCorrupt, "qcow2 header");
  expect_failure(gzip("hello"), ErrorKind::kInvalid, "neither a tar archive");
  expect_failure(std::string("\xfd"
                             "7zXZ\0 more",
                             11),
                 ErrorKind::kUnsupported, "xz");
}

TEST_F(HostileInput, RefusesDamage) {
  std::string whole = tar({file("f", std::string(100'000, 'x')), file("g")});
  expect_failure(whole.substr(0, 700), ErrorKind::kCorrupt, "runcated");
  expect_failure(whole.substr(0, 50'000), ErrorKind::kCorrupt, "runcated");
  expect_failure(whole.substr(0, whole.size() - 1024), ErrorKind::kCorrupt, "end-of-archive");
  std::string packed = gzip(whole);
  expect_failure(packed.substr(0, packed.size() - 5), ErrorKind::kCorrupt, "truncated");
  packed[packed.size() - 6] = static_cast<char>(packed[packed.size() - 6] ^ 1);
  expect_failure(packed, ErrorKind::kCorrupt, "damaged");
}

TEST_F(HostileInput, RefusesLies) {
  std::string good = docker_archive({small_layer("a"), small_layer("b")});
  auto at = good.find("d/b");
  good[at + 512] = 'X';  // content of the second layer's file
  expect_failure(good, ErrorKind::kCorrupt, "not that of sha256");
  auto layout = oci_layout({small_layer("a")});
  for (auto& [name, bytes] : layout) {
    if (bytes.find("d/a") != std::string::npos) bytes += std::string(512, '\0');
  }
  expect_failure(tar_of(layout), ErrorKind::kCorrupt, "not those of sha256");
  DockerOptions foreign;
  foreign.architecture = "s390x";
  expect_failure(docker_archive({small_layer("a")}, foreign), ErrorKind::kUnsupported,
                 "linux/s390x");
  OciOptions helm;
  helm.layer_type = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";
  expect_failure(tar_of(oci_layout({small_layer("a")}, helm)), ErrorKind::kUnsupported, "helm");
}

TEST_F(HostileInput, RefusesHostileLayers) {
  auto dot_dot = [](const std::string& name) { return tar({directory("a"), file(name)}); };
  for (const char* name : {"../x", "a/../../x", "a/..", ".."}) {
    expect_failure(dot_dot(name), ErrorKind::kCorrupt, "..");
  }
  expect_failure(tar({symlink("way", "loop"), symlink("loop", "way"), file("way/x")}),
                 ErrorKind::kCorrupt, "not a directory");
  expect_failure(tar({symlink("way", "/nowhere"), file("way/x")}), ErrorKind::kCorrupt,
                 "not a directory");
  expect_failure(tar({file("plain"), file("plain/x")}), ErrorKind::kCorrupt, "not a directory");
  expect_failure(tar({hardlink("stolen", "../../etc/passwd")}), ErrorKind::kCorrupt, "..");
  expect_failure(tar({hardlink("stolen", "/etc/passwd")}), ErrorKind::kCorrupt, "is not");
  expect_failure(tar({directory("d"), hardlink("stolen", "d")}), ErrorKind::kCorrupt, "not there");
  expect_failure(tar({symlink("etc", "/etc"), hardlink("stolen", "etc/passwd")}),
                 ErrorKind::kCorrupt, "is not");
  expect_failure(tar({device("d", 1 << 12, 0)}), ErrorKind::kCorrupt, "does not exist");
  expect_failure(tar({file(std::string(256, 'n'))}), ErrorKind::kCorrupt, "256 bytes");
  expect_failure(tar({whiteout(".wh.")}), ErrorKind::kCorrupt, "hides nothing");
  expect_failure(tar({file(".wh.x/y")}), ErrorKind::kCorrupt, "inside a whiteout");
  std::string deep;
  for (int i = 0; i < 300; ++i) deep += "d/";
  expect_failure(tar({file(deep + "x")}), ErrorKind::kCorrupt, "deeper");
}

TEST_F(HostileInput, SymlinksDoNotStackUpToUnremovableTrees) {
  std::vector<TarItem> items;
  std::string way;
  for (int round = 0; round < 6; ++round) {
    std::string path = way;
    for (int i = 0; i < 60; ++i) path += "d/";
    items.push_back(directory(path));
    std::string link = fmt::format("s{}", round);
    items.push_back(symlink(link, path));
    way = link + "/";
  }
  expect_failure(tar(items), ErrorKind::kCorrupt, "deeper");
}

TEST_F(HostileInput, NothingIsWrittenThroughLinks) {
  fs::path canary = write("canary", "untouched");
  auto report = import_bytes(
      "evil", tar({symlink("out", dir_->path()), directory(dir_->path()), file("out/canary", "bad"),
                   symlink("abs", canary), file("abs", "replaced")}));
  ASSERT_TRUE(report) << report.error().to_string();
  EXPECT_EQ(*sys::read_file(canary, 100), "untouched");
}

TEST_F(HostileInput, BombsStopAtTheLimit) {
  config_.max_layer_bytes = 1 << 20;
  expect_failure(gzip(tar({file("zeros", std::string(8 << 20, '\0'))})), ErrorKind::kCorrupt,
                 "limit of 1048576 bytes");
  std::string inner = tar({file("zeros", std::string(8 << 20, '\0'))});
  OciOptions options;
  options.compression = "gzip";
  options.layer_type = "application/vnd.oci.image.layer.v1.tar+gzip";
  expect_failure(tar_of(oci_layout({inner}, options)), ErrorKind::kCorrupt, "limit");
  // A sparse file: small in the archive, huge in the tree.
  TarItem sparse = file("sparse", "x");
  sparse.pax["GNU.sparse.major"] = "0";
  sparse.pax["GNU.sparse.minor"] = "1";
  sparse.pax["GNU.sparse.name"] = "sparse";
  sparse.pax["GNU.sparse.size"] = "1099511627776";
  sparse.pax["GNU.sparse.numblocks"] = "1";
  sparse.pax["GNU.sparse.map"] = "0,1";
  expect_failure(tar({sparse}), ErrorKind::kCorrupt, "limit");
  config_.max_layer_entries = 10;
  std::vector<TarItem> many;
  for (int i = 0; i < 11; ++i) many.push_back(file(std::to_string(i)));
  expect_failure(tar(many), ErrorKind::kCorrupt, "entries");
}

TEST_F(HostileInput, AFailedLayerTakesTheGoodOnesAlong) {
  expect_failure(
      docker_archive({small_layer("good"), tar({file("../x")}), small_layer("good too")}),
      ErrorKind::kCorrupt, "layer 2 of 3");
  ASSERT_TRUE(import_bytes("keep", small_layer("good")));
  expect_failure(docker_archive({small_layer("good"), tar({file("../x")})}), ErrorKind::kCorrupt,
                 "layer 2 of 2");
  ASSERT_TRUE(image::boot_source(*db_, ports_->paths, "keep"));
}

TEST_F(HostileInput, MissingFilesAreNamed) {
  auto report = import("x", {dir_->path() / "absent"});
  ASSERT_FALSE(report);
  EXPECT_NE(report.error().to_string().find("absent"), std::string::npos);
  auto dir = import("x", {dir_->path()});
  ASSERT_FALSE(dir);
  EXPECT_EQ(dir.error().kind, ErrorKind::kInvalid);
}

TEST_F(HostileInput, AFullDiskIsOneClearLine) {
  fs::path disk = dir_->path() / "small";
  fs::create_directories(disk);
  ASSERT_EQ(mount("tmpfs", disk.c_str(), "tmpfs", 0, "size=3m,mode=0755"), 0);
  config_.root_dir = disk / "root";
  {
    auto db = store::Db::open(config_.root_dir / "cocoon.db");
    ASSERT_TRUE(db);
    engine::Ports ports{config_, store::Paths(config_), *db};
    std::string noise(6 << 20, '\0');
    unsigned seed = 1;
    for (char& c : noise) c = static_cast<char>((seed = seed * 1664525 + 1013904223) >> 24);
    auto layer = [&](std::size_t size) { return tar({file("noise", noise.substr(0, size))}); };
    // Before it starts, while spooling, while unpacking, while mkfs.erofs writes.
    for (const std::string& bytes :
         {layer(6 << 20), gzip(layer(6 << 20)), docker_archive({layer(6 << 20)}),
          docker_archive({layer(1536 << 10)})}) {
      fs::path input = write("big", bytes);
      auto report = engine::import_image(ports, {"full", {input}}, [](const auto&) {});
      ASSERT_FALSE(report);
      std::string text = report.error().to_string();
      EXPECT_NE(text.find("No space left on device"), std::string::npos) << text;
      EXPECT_EQ(fs::exists(config_.root_dir / "blobs") && !fs::is_empty(config_.root_dir / "blobs"),
                false);
      EXPECT_TRUE(fs::is_empty(config_.root_dir / "tmp"));
    }
  }
  EXPECT_EQ(umount(disk.c_str()), 0);
}

}  // namespace
}  // namespace cocoon::test
