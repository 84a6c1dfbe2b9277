// SPDX-License-Identifier: Apache-2.0
// `image import` as a use case: kinds of input, sharing, repeats, failures.
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <future>
#include <thread>

#include "base/text.h"
#include "engine/image_list.h"
#include "engine/image_rm.h"
#include "image/acquire/digest.h"
#include "image/acquire/documents.h"
#include "image/catalog/catalog.h"
#include "image/catalog/collect.h"
#include "integration/image/fixture.h"
#include "integration/image/tar_builder.h"
#include "store/blob_rows.h"
#include "sys/spawn.h"

namespace cocoon::test {
namespace {

class Import : public ImageStore {
 protected:
  // The import fails so, and leaves nothing behind.
  void expect_failure(std::string_view bytes, ErrorKind kind, std::string_view says) {
    auto before = files();
    auto rows_before = rows();
    auto report = import_bytes("bad", bytes);
    ASSERT_FALSE(report) << "accepted";
    EXPECT_EQ(report.error().kind, kind) << report.error().to_string();
    EXPECT_NE(report.error().to_string().find(says), std::string::npos)
        << report.error().to_string();
    EXPECT_EQ(files(), before);
    EXPECT_EQ(rows(), rows_before);
  }
};

std::string layer(const std::string& name) {
  return tar({directory("d"), file("d/" + name, name)});
}

TEST_F(Import, PlainTarsAreLayers) {
  auto report = import("ubuntu:24.04", {write("a.tar", layer("a")), write("b.tar", layer("b"))});
  ASSERT_TRUE(report) << report.error().to_string();
  const model::Image& image = report->image;
  EXPECT_TRUE(report->changed);
  EXPECT_EQ(report->new_blobs, 2U);
  EXPECT_EQ(image.layers.size(), 2U);
  EXPECT_EQ(image.layers[0], "sha256:" + image::sha256_hex(layer("a")));
  EXPECT_EQ(image.canonical, "index.docker.io/library/ubuntu:24.04");
  EXPECT_EQ(image.digest, "sha256:" + image::sha256_hex(image::sha256_hex(layer("a")) +
                                                        image::sha256_hex(layer("b"))));
  for (const fs::path& disk : disks(image)) {
    struct stat info {};
    ASSERT_EQ(stat(disk.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777, 0444U);
    EXPECT_EQ(info.st_uid, 0U);
  }
  auto blob = store::get_blob(*db_, image.disks[0]);
  ASSERT_TRUE(blob && *blob);
  EXPECT_EQ((*blob)->state, model::BlobState::kReady);
  EXPECT_EQ((*blob)->uuid, image::uuid_v5(image::sha256_hex(layer("a"))));
  EXPECT_EQ((*blob)->sha256, *image::sha256_file(disks(image)[0]));
}

TEST_F(Import, NothingStaysBesideBlobsAndRows) {
  ASSERT_TRUE(import_bytes("one", docker_archive({layer("a"), layer("b")})));
  for (const std::string& name : files()) EXPECT_TRUE(name.starts_with("blobs/")) << name;
}

TEST_F(Import, DockerArchivesKeepTheirConfig) {
  DockerOptions options;
  options.config = R"({"Entrypoint":["/bin/app","-v"],"Cmd":["serve"],"Env":["A=1","B=2"],
    "User":"web:web","WorkingDir":"/srv","StopSignal":"SIGINT","Labels":{"k":"v"}})";
  auto report = import_bytes("app", docker_archive({layer("a")}, options));
  ASSERT_TRUE(report) << report.error().to_string();
  const model::ImageConfig& config = report->image.config;
  EXPECT_EQ(config.entrypoint, (std::vector<std::string>{"/bin/app", "-v"}));
  EXPECT_EQ(config.cmd, std::vector<std::string>{"serve"});
  EXPECT_EQ(config.env, (std::vector<std::string>{"A=1", "B=2"}));
  EXPECT_EQ(config.user, "web:web");
  EXPECT_EQ(config.workdir, "/srv");
  auto listed = engine::inspect_image(*ports_, "app");
  ASSERT_TRUE(listed);
  EXPECT_EQ(*listed, report->image);
}

TEST_F(Import, TheSameInputTwiceChangesNothing) {
  std::string archive = docker_archive({layer("a"), layer("b")});
  auto first = import_bytes("app", archive);
  ASSERT_TRUE(first);
  auto files_before = files();
  auto rows_before = rows();
  progress_.clear();
  auto second = import_bytes("app", archive);
  ASSERT_TRUE(second);
  EXPECT_FALSE(second->changed);
  EXPECT_EQ(second->new_blobs, 0U);
  EXPECT_EQ(second->image, first->image);
  EXPECT_EQ(files(), files_before);
  EXPECT_EQ(rows(), rows_before);
  for (const std::string& line : progress_) EXPECT_EQ(line.find("converted"), std::string::npos);
}

TEST_F(Import, NamesThatMeanOneImageAreOne) {
  ASSERT_TRUE(import_bytes("ubuntu", layer("a")));
  ASSERT_TRUE(import_bytes("docker.io/library/ubuntu:latest", layer("b")));
  auto all = engine::list_images(*ports_);
  ASSERT_TRUE(all);
  ASSERT_EQ(all->size(), 1U);
  EXPECT_EQ((*all)[0].name, "docker.io/library/ubuntu:latest");
  auto found = engine::inspect_image(*ports_, "ubuntu");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->layers[0], "sha256:" + image::sha256_hex(layer("b")));
}

TEST_F(Import, ImagesShareLayersWhateverTheyCameIn) {
  ASSERT_TRUE(import_bytes("plain", layer("base")));
  auto docker = import_bytes("docker", docker_archive({layer("base"), layer("app")}));
  ASSERT_TRUE(docker) << docker.error().to_string();
  EXPECT_EQ(docker->new_blobs, 1U);
  OciOptions options;
  options.compression = "zstd";
  options.layer_type = "application/vnd.oci.image.layer.v1.tar+zstd";
  auto oci = import_bytes("oci", tar_of(oci_layout({layer("base"), layer("app")}, options)));
  ASSERT_TRUE(oci) << oci.error().to_string();
  EXPECT_EQ(oci->new_blobs, 0U);
  EXPECT_EQ(oci->image.disks, docker->image.disks);
}

TEST_F(Import, EveryCompressionOfEveryKind) {
  std::string docker = docker_archive({layer("a")});
  std::string oci = tar_of(oci_layout({layer("a")}));
  OciOptions gz;
  gz.compression = "gzip";
  gz.layer_type = "application/vnd.docker.image.rootfs.diff.tar.gzip";
  for (const std::string& bytes :
       {layer("a"), gzip(layer("a")), zstd(layer("a")), docker, gzip(docker), zstd(docker), oci,
        gzip(oci), tar_of(oci_layout({layer("a")}, gz))}) {
    auto report = import_bytes("any", bytes);
    ASSERT_TRUE(report) << report.error().to_string();
    EXPECT_EQ(report->image.layers,
              std::vector<std::string>{"sha256:" + image::sha256_hex(layer("a"))});
  }
  EXPECT_EQ(files().size(), 1U);
}

TEST_F(Import, LayersInsideADockerArchiveMayBeCompressed) {
  std::string inner = layer("a");
  std::string config =
      nlohmann::json{{"architecture", image::host_platform().architecture},
                     {"os", "linux"},
                     {"rootfs", {{"diff_ids", {"sha256:" + image::sha256_hex(inner)}}}}}
          .dump();
  std::string manifest = R"([{"Config":"c","RepoTags":null,"Layers":["./l"]}])";
  auto report = import_bytes(
      "app", tar({file("c", config), file("l", gzip(inner)), file("manifest.json", manifest)}));
  ASSERT_TRUE(report) << report.error().to_string();
}

TEST_F(Import, OldDockerArchivesLinkLayersThatOccurTwice) {
  std::string inner = layer("a");
  std::string digest = "sha256:" + image::sha256_hex(inner);
  std::string config = nlohmann::json{{"architecture", image::host_platform().architecture},
                                      {"os", "linux"},
                                      {"rootfs", {{"diff_ids", {digest, digest}}}}}
                           .dump();
  std::string manifest = R"([{"Config":"c","Layers":["1/layer.tar","2/layer.tar"]}])";
  auto report = import_bytes(
      "app", tar({file("c", config), file("1/layer.tar", inner),
                  symlink("2/layer.tar", "../1/layer.tar"), file("manifest.json", manifest)}));
  ASSERT_TRUE(report) << report.error().to_string();
  EXPECT_EQ(report->image.layers.size(), 2U);
  EXPECT_EQ(report->image.disks.size(), 1U);
}

TEST_F(Import, OciDirectoriesAndNestedIndexes) {
  OciOptions options;
  options.nested = true;
  fs::path dir = dir_->path() / "layout";
  for (const auto& [name, bytes] : oci_layout({layer("a")}, options)) {
    fs::create_directories((dir / name).parent_path());
    write("layout/" + name, bytes);
  }
  auto report = import("oci", {dir});
  ASSERT_TRUE(report) << report.error().to_string();
  EXPECT_EQ(report->image.config.entrypoint, std::vector<std::string>{"/init"});
  auto repeat = import("oci", {dir});
  ASSERT_TRUE(repeat);
  EXPECT_FALSE(repeat->changed);
}

TEST_F(Import, StandardInput) {
  fs::path path = write("in", gzip(docker_archive({layer("a")})));
  sys::UniqueFd fd = std::move(*sys::open_file(path, O_RDONLY));
  auto report = engine::import_image(*ports_, {"piped", {}, fd.get()}, [](const auto&) {});
  ASSERT_TRUE(report) << report.error().to_string();
  EXPECT_EQ(report->image.disks.size(), 1U);
}

TEST_F(Import, SeveralImagesInOneArchiveAreToldApartByName) {
  auto config = [](const std::string& bytes) {
    return nlohmann::json{{"architecture", image::host_platform().architecture},
                          {"os", "linux"},
                          {"rootfs", {{"diff_ids", {"sha256:" + image::sha256_hex(bytes)}}}}}
        .dump();
  };
  std::string manifest = R"([{"Config":"c1","RepoTags":["one:latest"],"Layers":["l1"]},
                             {"Config":"c2","RepoTags":["two:1.0"],"Layers":["l2"]}])";
  std::string archive =
      tar({file("c1", config(layer("a"))), file("c2", config(layer("b"))), file("l1", layer("a")),
           file("l2", layer("b")), file("manifest.json", manifest)});
  auto two = import_bytes("docker.io/library/two:1.0", archive);
  ASSERT_TRUE(two) << two.error().to_string();
  EXPECT_EQ(two->image.layers[0], "sha256:" + image::sha256_hex(layer("b")));
  expect_failure(archive, ErrorKind::kInvalid, "2 images");
}

TEST_F(Import, KernelAndInitrdInTheImageAreKept) {
  std::vector<TarItem> base = {directory("boot"),
                               file("boot/vmlinuz-6.1.0-9", "old kernel"),
                               file("boot/initrd.img-6.1.0-9", "old initrd"),
                               file("boot/vmlinuz-6.1.0-18", "kernel"),
                               file("boot/initrd.img-6.1.0-18", "initrd"),
                               file("boot/vmlinuz-6.9.0", "no initrd for this")};
  auto report = import("own", {write("a", tar(base)), write("b", layer("x"))});
  ASSERT_TRUE(report) << report.error().to_string();
  const model::Image& image = report->image;
  ASSERT_TRUE(image.kernel && image.initrd);
  EXPECT_EQ(image.kernel->path, "boot/vmlinuz-6.1.0-18");
  EXPECT_EQ(image.initrd->path, "boot/initrd.img-6.1.0-18");
  auto source = image::boot_source(*db_, ports_->paths, "own");
  ASSERT_TRUE(source) << source.error().to_string();
  EXPECT_EQ(*sys::read_file(source->kernel->path, 100), "kernel");
  EXPECT_EQ(source->blobs.size(), 4U);
  struct stat info {};
  ASSERT_EQ(stat(source->kernel->path.c_str(), &info), 0);
  EXPECT_EQ(info.st_nlink, 1U);
  EXPECT_EQ(info.st_mode & 07777, 0444U);
}

TEST_F(Import, ABootFileThatGotLostComesBackFromTheInput) {
  auto archive =
      docker_archive({tar({file("boot/vmlinuz", "kernel"), file("boot/initrd.img", "i")})});
  auto first = import_bytes("own", archive);
  ASSERT_TRUE(first) << first.error().to_string();
  ASSERT_TRUE(db_->execute("DELETE FROM image_blobs WHERE blob_id LIKE 'boot-%'"));
  collect();
  auto second = import_bytes("own2", archive);
  ASSERT_TRUE(second) << second.error().to_string();
  EXPECT_EQ(second->new_blobs, 2U);
  EXPECT_EQ(second->image.kernel, first->image.kernel);
}

TEST_F(Import, AnEmptyKernelIsAnError) {
  expect_failure(tar({file("boot/vmlinuz", ""), file("boot/initrd.img", "x")}), ErrorKind::kCorrupt,
                 "boot/vmlinuz in the image is empty");
}

TEST_F(Import, DeepImagesAreMergedOnce) {
  std::vector<std::string> layers;
  for (int i = 0; i < 12; ++i) layers.push_back(layer(std::to_string(i)));
  auto first = import_bytes("deep", docker_archive(layers));
  ASSERT_TRUE(first) << first.error().to_string();
  EXPECT_EQ(first->image.disks.size(), 1U);
  EXPECT_EQ(first->image.layers.size(), 12U);
  auto second = import_bytes("deep2", docker_archive(layers));
  ASSERT_TRUE(second);
  EXPECT_EQ(second->new_blobs, 0U);
  EXPECT_EQ(second->image.disks, first->image.disks);
  layers.resize(8);
  auto shallow = import_bytes("shallow", docker_archive(layers));
  ASSERT_TRUE(shallow);
  EXPECT_EQ(shallow->image.disks.size(), 8U);
}

TEST_F(Import, ManyAtOnceShareTheWork) {
  fs::path archive = write("in", docker_archive({layer("a"), layer("b"), layer("c")}));
  std::vector<std::future<bool>> imports;
  for (int i = 0; i < 4; ++i) {
    imports.push_back(std::async(std::launch::async, [&, i] {
      auto db = store::Db::open(config_.root_dir / "cocoon.db");
      if (!db) return false;
      engine::Ports ports{config_, store::Paths(config_), *db};
      auto report =
          engine::import_image(ports, {fmt::format("i{}", i), {archive}}, [](const auto&) {});
      EXPECT_TRUE(report) << report.error().to_string();
      return report.has_value();
    }));
  }
  for (auto& done : imports) EXPECT_TRUE(done.get());
  EXPECT_EQ(files().size(), 3U);
  EXPECT_EQ(engine::list_images(*ports_)->size(), 4U);
}

TEST_F(Import, RemovedImagesAreCollected) {
  auto a = import_bytes("a", docker_archive({layer("base"), layer("a")}));
  auto b = import_bytes("b", docker_archive({layer("base"), layer("b")}));
  ASSERT_TRUE(a && b);
  ASSERT_TRUE(engine::remove_images(*ports_, {a->image.digest.substr(0, 19 + 7)}, false));
  auto would = image::collect_blobs(*db_, ports_->paths, true);
  ASSERT_TRUE(would);
  ASSERT_EQ(would->removed.size(), 1U);
  EXPECT_EQ(would->removed[0].name, a->image.disks[1]);
  EXPECT_EQ(files().size(), 3U);
  collect();
  EXPECT_EQ(files().size(), 2U);
  ASSERT_TRUE(engine::remove_images(*ports_, {"b"}, true));
  collect();
  EXPECT_TRUE(files().empty());
  EXPECT_EQ(rows(), 0);
}

TEST_F(Import, GcLeavesALiveImportAlone) {
  auto work = image::WorkDir::create(ports_->paths, "test");
  ASSERT_TRUE(work);
  auto collected = image::collect_temp(ports_->paths, false);
  ASSERT_TRUE(collected);
  EXPECT_TRUE(collected->removed.empty());
  EXPECT_EQ(collected->skipped.size(), 1U);
  EXPECT_TRUE(sys::exists(work->path()));
}

TEST_F(Import, GcCannotTakeALeasedBlob) {
  auto report = import_bytes("a", layer("a"));
  ASSERT_TRUE(report);
  image::BlobStore blobs(*db_, ports_->paths);
  auto lease = blobs.find(report->image.disks[0]);
  ASSERT_TRUE(lease && *lease);
  ASSERT_TRUE(engine::remove_images(*ports_, {"a"}, false));
  auto collected = image::collect_blobs(*db_, ports_->paths, false);
  ASSERT_TRUE(collected);
  EXPECT_EQ(collected->skipped.size(), 1U);
  EXPECT_TRUE(sys::exists(disks(report->image)[0]));
  lease->reset();
  collect();
  EXPECT_TRUE(files().empty());
}

TEST_F(Import, ADamagedBlobThatNobodyUsesIsMadeAgain) {
  auto report = import_bytes("a", layer("a"));
  ASSERT_TRUE(report);
  fs::path disk = disks(report->image)[0];
  ASSERT_EQ(truncate(disk.c_str(), 100), 0);
  auto again = import_bytes("b", layer("a"));
  ASSERT_FALSE(again);
  EXPECT_NE(again.error().to_string().find("damaged and in use"), std::string::npos);
  ASSERT_TRUE(engine::remove_images(*ports_, {"a"}, false));
  again = import_bytes("b", layer("a"));
  ASSERT_TRUE(again) << again.error().to_string();
  EXPECT_EQ(again->new_blobs, 1U);
}

TEST_F(Import, RefusesNamesThatCouldNotBeUsed) {
  for (const char* name : {"", "http://x/y", "sha256:0123", "0123456789abcdef", "a b", "a\nb",
                           "x@sha256:0000", "-x", "/x"}) {
    auto report = import_bytes(name, layer("a"));
    ASSERT_FALSE(report) << name;
    EXPECT_EQ(report.error().kind, ErrorKind::kInvalid);
  }
}

TEST_F(Import, RefusesWhatIsNoImage) {
  expect_failure("", ErrorKind::kInvalid, "empty");
  expect_failure("hello, world", ErrorKind::kInvalid, "neither a tar archive");
  expect_failure(std::string(10240, '\0'), ErrorKind::kInvalid, "empty tar");
  expect_failure("QFI\xfb 1234", ErrorKind::kUnsupported, "qcow2");
  expect_failure(gzip("hello"), ErrorKind::kInvalid, "neither a tar archive");
  expect_failure(std::string("\xfd"
                             "7zXZ\0 more",
                             11),
                 ErrorKind::kUnsupported, "xz");
}

TEST_F(Import, RefusesDamage) {
  std::string whole = tar({file("f", std::string(100'000, 'x')), file("g")});
  expect_failure(whole.substr(0, 700), ErrorKind::kCorrupt, "runcated");
  expect_failure(whole.substr(0, 50'000), ErrorKind::kCorrupt, "runcated");
  expect_failure(whole.substr(0, whole.size() - 1024), ErrorKind::kCorrupt, "end-of-archive");
  std::string packed = gzip(whole);
  expect_failure(packed.substr(0, packed.size() - 5), ErrorKind::kCorrupt, "truncated");
  packed[packed.size() - 6] = static_cast<char>(packed[packed.size() - 6] ^ 1);
  expect_failure(packed, ErrorKind::kCorrupt, "damaged");
}

TEST_F(Import, RefusesLies) {
  std::string good = docker_archive({layer("a"), layer("b")});
  auto at = good.find("d/b");
  good[at + 512] = 'X';  // content of the second layer's file
  expect_failure(good, ErrorKind::kCorrupt, "not that of sha256");
  auto layout = oci_layout({layer("a")});
  for (auto& [name, bytes] : layout) {
    if (bytes.find("d/a") != std::string::npos) bytes += std::string(512, '\0');
  }
  expect_failure(tar_of(layout), ErrorKind::kCorrupt, "not those of sha256");
  DockerOptions foreign;
  foreign.architecture = "s390x";
  expect_failure(docker_archive({layer("a")}, foreign), ErrorKind::kUnsupported, "linux/s390x");
  OciOptions helm;
  helm.layer_type = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";
  expect_failure(tar_of(oci_layout({layer("a")}, helm)), ErrorKind::kUnsupported, "helm");
}

TEST_F(Import, RefusesHostileLayers) {
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

TEST_F(Import, SymlinksDoNotStackUpToUnremovableTrees) {
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

TEST_F(Import, NothingIsWrittenThroughLinks) {
  fs::path canary = write("canary", "untouched");
  auto report = import_bytes(
      "evil", tar({symlink("out", dir_->path()), directory(dir_->path()), file("out/canary", "bad"),
                   symlink("abs", canary), file("abs", "replaced")}));
  ASSERT_TRUE(report) << report.error().to_string();
  EXPECT_EQ(*sys::read_file(canary, 100), "untouched");
}

TEST_F(Import, BombsStopAtTheLimit) {
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

TEST_F(Import, AFailedLayerTakesTheGoodOnesAlong) {
  expect_failure(docker_archive({layer("good"), tar({file("../x")}), layer("good too")}),
                 ErrorKind::kCorrupt, "layer 2 of 3");
  ASSERT_TRUE(import_bytes("keep", layer("good")));
  expect_failure(docker_archive({layer("good"), tar({file("../x")})}), ErrorKind::kCorrupt,
                 "layer 2 of 2");
  ASSERT_TRUE(image::boot_source(*db_, ports_->paths, "keep"));
}

TEST_F(Import, MissingFilesAreNamed) {
  auto report = import("x", {dir_->path() / "absent"});
  ASSERT_FALSE(report);
  EXPECT_NE(report.error().to_string().find("absent"), std::string::npos);
  auto dir = import("x", {dir_->path()});
  ASSERT_FALSE(dir);
  EXPECT_EQ(dir.error().kind, ErrorKind::kInvalid);
}

TEST_F(Import, AFullDiskIsOneClearLine) {
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
    // Once while unpacking, once while mkfs.erofs writes.
    for (std::size_t size : {std::size_t{6} << 20, std::size_t{1536} << 10}) {
      fs::path input = write("big", tar({file("noise", noise.substr(0, size))}));
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
