// SPDX-License-Identifier: Apache-2.0
#include "integration/image/fixture.h"

#include <algorithm>
#include <cstring>

#include "image/catalog/collect.h"
#include "sys/spawn.h"

namespace cocoon::test {

std::optional<MountedImage> MountedImage::mount(const std::vector<fs::path>& blobs,
                                                const fs::path& work, std::string* why) {
  MountedImage out;
  std::string lower;
  for (std::size_t i = 0; i < blobs.size(); ++i) {
    fs::path at = work / fmt::format("m{}", i);
    fs::create_directories(at);
    sys::SpawnSpec spec;
    spec.program = "mount";
    spec.args = {"-t", "erofs", "-o", "ro,loop", blobs[i].native(), at.native()};
    auto mounted = sys::run_program(spec, Milliseconds(30'000));
    if (!mounted) {
      *why = mounted.error().to_string();
      return std::nullopt;
    }
    out.mounts_.push_back(at);
    lower = lower.empty() ? at.native() : at.native() + ":" + lower;
  }
  for (const char* name : {"upper", "work", "merged"}) fs::create_directories(work / name);
  std::string options =
      fmt::format("lowerdir={},upperdir={},workdir={},index=on,redirect_dir=on,metacopy=on,xino=on",
                  lower, (work / "upper").native(), (work / "work").native());
  out.root_ = work / "merged";
  if (::mount("overlay", out.root_.c_str(), "overlay", 0, options.c_str()) != 0) {
    *why = fmt::format("overlay: {}", std::strerror(errno));
    return std::nullopt;
  }
  out.mounts_.push_back(out.root_);
  return out;
}

MountedImage::~MountedImage() {
  for (auto at = mounts_.rbegin(); at != mounts_.rend(); ++at) {
    EXPECT_EQ(umount2(at->c_str(), 0), 0) << *at << ": " << std::strerror(errno);
  }
}

void ImageStore::SetUp() {
  if (geteuid() != 0) GTEST_SKIP() << "importing takes root";
  if (!sys::find_program("mkfs.erofs")) GTEST_SKIP() << "mkfs.erofs is not installed";
  auto dir = sys::TempDir::create(sys::fs::temp_directory_path(), "cocoon-image-");
  ASSERT_TRUE(dir);
  dir_.emplace(std::move(*dir));
  config_.root_dir = dir_->path() / "root";
  config_.run_dir = dir_->path() / "run";
  // Another mkfs.erofs on PATH may not know lz4.
  const char* compression = getenv("COCOON_TEST_EROFS_COMPRESSION");
  config_.erofs_compression = compression == nullptr ? "lz4" : compression;
  auto db = store::Db::open(config_.root_dir / "cocoon.db");
  ASSERT_TRUE(db) << db.error().to_string();
  db_.emplace(std::move(*db));
  ports_.emplace(engine::Ports{config_, store::Paths(config_), *db_});
}

fs::path ImageStore::write(const std::string& name, std::string_view bytes) const {
  fs::path path = dir_->path() / name;
  auto written = sys::write_file_atomic(path, bytes, 0600);
  EXPECT_TRUE(written) << written.error().to_string();
  return path;
}

Result<engine::ImageReport> ImageStore::import(const std::string& name,
                                               const std::vector<fs::path>& files) {
  return engine::import_image(*ports_, {name, files}, [this](const image::Progress& step) {
    progress_.push_back(fmt::format("{}: {}", step.phase, step.text));
  });
}

void ImageStore::expect_failure(std::string_view bytes, ErrorKind kind, std::string_view says) {
  auto before = files();
  auto rows_before = rows();
  auto report = import_bytes("bad", bytes);
  ASSERT_FALSE(report) << "accepted";
  EXPECT_EQ(report.error().kind, kind) << report.error().to_string();
  EXPECT_NE(report.error().to_string().find(says), std::string::npos) << report.error().to_string();
  EXPECT_EQ(files(), before);
  EXPECT_EQ(rows(), rows_before);
}

std::vector<fs::path> ImageStore::disks(const model::Image& image) const {
  std::vector<fs::path> out;
  for (const std::string& id : image.disks) {
    out.push_back(config_.root_dir / image::blob_file_name("layer", id));
  }
  return out;
}

std::vector<std::string> ImageStore::files() const {
  std::vector<std::string> out;
  for (const auto& entry : fs::recursive_directory_iterator(config_.root_dir)) {
    std::string name = fs::relative(entry.path(), config_.root_dir);
    if (!entry.is_directory() && !name.starts_with("cocoon.db")) out.push_back(name);
  }
  for (const auto& entry : fs::directory_iterator(config_.root_dir)) {
    if (entry.path().filename() != "tmp") continue;
    for (const auto& work : fs::directory_iterator(entry.path())) out.push_back(work.path());
  }
  std::sort(out.begin(), out.end());
  return out;
}

std::int64_t ImageStore::rows() {
  auto query = db_->prepare(
      "SELECT (SELECT count(*) FROM images) + (SELECT count(*) FROM blobs) + "
      "(SELECT count(*) FROM image_blobs) + (SELECT count(*) FROM kernels) + "
      "(SELECT count(*) FROM kernel_names)");
  EXPECT_TRUE(query);
  EXPECT_TRUE(query->step());
  return query->number(0);
}

void ImageStore::collect() {
  auto paths = ports_->paths;
  EXPECT_TRUE(image::collect_temp(paths, false));
  EXPECT_TRUE(image::collect_kernels(*db_, paths, false));
  EXPECT_TRUE(image::collect_blobs(*db_, paths, false));
}

}  // namespace cocoon::test
