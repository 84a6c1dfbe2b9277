// SPDX-License-Identifier: Apache-2.0
// `image import` as a use case: kinds of input, sharing, repeats, failures.
#include <fcntl.h>
#include <sys/stat.h>

#include <future>
#include <thread>

#include "engine/image_list.h"
#include "engine/image_rm.h"
#include "image/acquire/digest.h"
#include "image/acquire/documents.h"
#include "image/catalog/catalog.h"
#include "image/catalog/collect.h"
#include "integration/image/fixture.h"
#include "integration/image/tar_builder.h"
#include "store/blob_rows.h"
#include "unit/image/sample_kernel.h"

namespace cocoon::test {
namespace {

using Import = ImageStore;

TEST_F(Import, PlainTarsAreLayers) {
  auto report =
      import("ubuntu:24.04", {write("a.tar", small_layer("a")), write("b.tar", small_layer("b"))});
  ASSERT_TRUE(report) << report.error().to_string();
  const model::Image& image = report->image;
  EXPECT_TRUE(report->changed);
  EXPECT_EQ(report->new_blobs, 2U);
  EXPECT_EQ(image.layers.size(), 2U);
  EXPECT_EQ(image.layers[0], "sha256:" + image::sha256_hex(small_layer("a")));
  EXPECT_EQ(image.canonical, "index.docker.io/library/ubuntu:24.04");
  EXPECT_EQ(image.digest, "sha256:" + image::sha256_hex(image::sha256_hex(small_layer("a")) +
                                                        image::sha256_hex(small_layer("b"))));
  for (const fs::path& disk : disks(image)) {
    struct stat info {};
    ASSERT_EQ(stat(disk.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777, 0444U);
    EXPECT_EQ(info.st_uid, 0U);
  }
  auto blob = store::get_blob(*db_, image.disks[0]);
  ASSERT_TRUE(blob && *blob);
  EXPECT_EQ((*blob)->state, model::BlobState::kReady);
  EXPECT_EQ((*blob)->uuid, image::uuid_v5(image::sha256_hex(small_layer("a"))));
  EXPECT_EQ((*blob)->sha256, *image::sha256_file(disks(image)[0]));
}

TEST_F(Import, NothingStaysBesideBlobsAndRows) {
  ASSERT_TRUE(import_bytes("one", docker_archive({small_layer("a"), small_layer("b")})));
  for (const std::string& name : files()) EXPECT_TRUE(name.starts_with("blobs/")) << name;
}

TEST_F(Import, DockerArchivesKeepTheirConfig) {
  DockerOptions options;
  options.config = R"({"Entrypoint":["/bin/app","-v"],"Cmd":["serve"],"Env":["A=1","B=2"],
    "User":"web:web","WorkingDir":"/srv","StopSignal":"SIGINT","Labels":{"k":"v"}})";
  auto report = import_bytes("app", docker_archive({small_layer("a")}, options));
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
  std::string archive = docker_archive({small_layer("a"), small_layer("b")});
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
  ASSERT_TRUE(import_bytes("ubuntu", small_layer("a")));
  ASSERT_TRUE(import_bytes("docker.io/library/ubuntu:latest", small_layer("b")));
  auto all = engine::list_images(*ports_);
  ASSERT_TRUE(all);
  ASSERT_EQ(all->size(), 1U);
  EXPECT_EQ((*all)[0].name, "docker.io/library/ubuntu:latest");
  auto found = engine::inspect_image(*ports_, "ubuntu");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->layers[0], "sha256:" + image::sha256_hex(small_layer("b")));
}

TEST_F(Import, ImagesShareLayersWhateverTheyCameIn) {
  ASSERT_TRUE(import_bytes("plain", small_layer("base")));
  auto docker = import_bytes("docker", docker_archive({small_layer("base"), small_layer("app")}));
  ASSERT_TRUE(docker) << docker.error().to_string();
  EXPECT_EQ(docker->new_blobs, 1U);
  OciOptions options;
  options.compression = "zstd";
  options.layer_type = "application/vnd.oci.image.layer.v1.tar+zstd";
  auto oci =
      import_bytes("oci", tar_of(oci_layout({small_layer("base"), small_layer("app")}, options)));
  ASSERT_TRUE(oci) << oci.error().to_string();
  EXPECT_EQ(oci->new_blobs, 0U);
  EXPECT_EQ(oci->image.disks, docker->image.disks);
}

TEST_F(Import, EveryCompressionOfEveryKind) {
  std::string docker = docker_archive({small_layer("a")});
  std::string oci = tar_of(oci_layout({small_layer("a")}));
  OciOptions gz;
  gz.compression = "gzip";
  gz.layer_type = "application/vnd.docker.image.rootfs.diff.tar.gzip";
  for (const std::string& bytes :
       {small_layer("a"), gzip(small_layer("a")), zstd(small_layer("a")), docker, gzip(docker),
        zstd(docker), oci, gzip(oci), tar_of(oci_layout({small_layer("a")}, gz))}) {
    auto report = import_bytes("any", bytes);
    ASSERT_TRUE(report) << report.error().to_string();
    EXPECT_EQ(report->image.layers,
              std::vector<std::string>{"sha256:" + image::sha256_hex(small_layer("a"))});
  }
  EXPECT_EQ(files().size(), 1U);
}

TEST_F(Import, LayersInsideADockerArchiveMayBeCompressed) {
  std::string inner = small_layer("a");
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
  std::string inner = small_layer("a");
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
  for (const auto& [name, bytes] : oci_layout({small_layer("a")}, options)) {
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
  fs::path path = write("in", gzip(docker_archive({small_layer("a")})));
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
  std::string archive = tar({file("c1", config(small_layer("a"))),
                             file("c2", config(small_layer("b"))), file("l1", small_layer("a")),
                             file("l2", small_layer("b")), file("manifest.json", manifest)});
  auto two = import_bytes("docker.io/library/two:1.0", archive);
  ASSERT_TRUE(two) << two.error().to_string();
  EXPECT_EQ(two->image.layers[0], "sha256:" + image::sha256_hex(small_layer("b")));
  expect_failure(archive, ErrorKind::kInvalid, "2 images");
}

TEST_F(Import, KernelAndInitrdInTheImageAreKept) {
  std::vector<TarItem> base = {directory("boot"),
                               file("boot/vmlinuz-6.1.0-9", "old kernel"),
                               file("boot/initrd.img-6.1.0-9", "old initrd"),
                               file("boot/vmlinuz-6.1.0-18", "kernel"),
                               file("boot/initrd.img-6.1.0-18", "initrd"),
                               file("boot/vmlinuz-6.9.0", "no initrd for this")};
  auto report = import("own", {write("a", tar(base)), write("b", small_layer("x"))});
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

TEST_F(Import, TheImagesKernelIsUnpackedOnce) {
  std::string vmlinux = image::test::vmlinux();
  std::string kernel = image::test::bzimage(gzip(vmlinux));
  auto archive =
      docker_archive({tar({file("boot/vmlinuz", kernel), file("boot/initrd.img", "i")})});
  auto first = import_bytes("own", archive);
  ASSERT_TRUE(first) << first.error().to_string();
  auto source = image::boot_source(*db_, ports_->paths, "own");
  ASSERT_TRUE(source) << source.error().to_string();
  ASSERT_TRUE(source->vmlinux);
  EXPECT_TRUE(*sys::read_file(source->vmlinux->path, 1 << 20) == vmlinux);
  EXPECT_TRUE(*sys::read_file(source->kernel->path, 1 << 20) == kernel);
  EXPECT_EQ(source->blobs.size(), 4U);
  struct stat info {};
  ASSERT_EQ(stat(source->vmlinux->path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0444U);
  auto second = import_bytes("own2", archive);
  ASSERT_TRUE(second) << second.error().to_string();
  EXPECT_EQ(second->new_blobs, 0U);
  EXPECT_EQ(second->image.vmlinux, first->image.vmlinux);
  collect();
  EXPECT_TRUE(fs::exists(source->vmlinux->path));
}

TEST_F(Import, AKernelThatCannotBeUnpackedIsNoReasonToRefuseTheImage) {
  std::string kernel = image::test::bzimage(gzip(image::test::vmlinux()).substr(0, 500));
  auto report = import_bytes(
      "own", docker_archive({tar({file("boot/vmlinuz", kernel), file("boot/initrd.img", "i")})}));
  ASSERT_TRUE(report) << report.error().to_string();
  EXPECT_TRUE(report->image.kernel);
  EXPECT_FALSE(report->image.vmlinux);
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
  for (int i = 0; i < 12; ++i) layers.push_back(small_layer(std::to_string(i)));
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
  fs::path archive =
      write("in", docker_archive({small_layer("a"), small_layer("b"), small_layer("c")}));
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
  auto a = import_bytes("a", docker_archive({small_layer("base"), small_layer("a")}));
  auto b = import_bytes("b", docker_archive({small_layer("base"), small_layer("b")}));
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
  auto report = import_bytes("a", small_layer("a"));
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

TEST_F(Import, ADamagedBlobIsMadeAgain) {
  auto report = import_bytes("a", small_layer("a"));
  ASSERT_TRUE(report);
  fs::path disk = disks(report->image)[0];
  auto whole = sys::read_file(disk, 1 << 20);
  ASSERT_TRUE(whole);
  // In use: the same bytes again are what a VM on it needs.
  ASSERT_EQ(truncate(disk.c_str(), 100), 0);
  auto again = import_bytes("b", small_layer("a"));
  ASSERT_TRUE(again) << again.error().to_string();
  EXPECT_EQ(*sys::read_file(disk, 1 << 20), *whole);
  // Unused, it may as well have become other bytes.
  ASSERT_TRUE(engine::remove_images(*ports_, {"a", "b"}, false));
  ASSERT_EQ(truncate(disk.c_str(), 100), 0);
  again = import_bytes("c", small_layer("a"));
  ASSERT_TRUE(again) << again.error().to_string();
  EXPECT_EQ(again->new_blobs, 1U);
}

TEST_F(Import, ADamagedBlobInUseIsNotReplacedByOtherBytes) {
  auto report = import_bytes("a", small_layer("a"));
  ASSERT_TRUE(report);
  fs::path disk = disks(report->image)[0];
  ASSERT_EQ(truncate(disk.c_str(), 100), 0);
  // As if it had been made by another mkfs.erofs.
  auto blob = store::get_blob(*db_, report->image.disks[0]);
  ASSERT_TRUE(blob && *blob);
  (*blob)->sha256 = std::string(64, '0');
  ASSERT_TRUE(store::put_pending_blob(*db_, **blob));
  ASSERT_TRUE(store::set_blob_ready(*db_, **blob));
  auto again = import_bytes("b", small_layer("a"));
  ASSERT_FALSE(again);
  EXPECT_NE(again.error().to_string().find("damaged and in use"), std::string::npos);
  EXPECT_EQ(sys::read_file(disk, 1 << 20)->size(), 100U);
}

}  // namespace
}  // namespace cocoon::test
