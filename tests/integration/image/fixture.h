// SPDX-License-Identifier: Apache-2.0
// A store in a directory of its own, and EROFS blobs mounted as a guest would.
#pragma once

#include <sys/mount.h>

#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "engine/image_import.h"
#include "store/db.h"
#include "store/paths.h"
#include "sys/files.h"

namespace cocoon::test {

namespace fs = std::filesystem;

// Mounts the blobs read-only, and on top an overlay with the options of spec 02 §12.3. Both are
// gone with the object.
class MountedImage {
 public:
  // Empty when mounting does not work here; `why` says it then.
  static std::optional<MountedImage> mount(const std::vector<fs::path>& blobs_bottom_first,
                                           const fs::path& work, std::string* why);
  MountedImage(MountedImage&& other) noexcept
      : mounts_(std::exchange(other.mounts_, {})), root_(other.root_) {}
  MountedImage& operator=(MountedImage&&) = delete;
  ~MountedImage();
  const fs::path& root() const { return root_; }

 private:
  MountedImage() = default;
  std::vector<fs::path> mounts_;
  fs::path root_;
};

class ImageStore : public testing::Test {
 protected:
  void SetUp() override;

  fs::path write(const std::string& name, std::string_view bytes) const;
  Result<engine::ImageReport> import(const std::string& name, const std::vector<fs::path>& files);
  Result<engine::ImageReport> import_bytes(const std::string& name, std::string_view bytes) {
    return import(name, {write("input", bytes)});
  }
  // The import fails so, and changes nothing.
  void expect_failure(std::string_view bytes, ErrorKind kind, std::string_view says);
  std::vector<fs::path> disks(const model::Image& image) const;
  // Everything below the root directory but the database: what an import may leave behind.
  std::vector<std::string> files() const;
  // Every row of images and blobs.
  std::int64_t rows();
  void collect();

  std::optional<sys::TempDir> dir_;
  model::Config config_;
  std::optional<store::Db> db_;
  std::optional<engine::Ports> ports_;
  std::vector<std::string> progress_;
};

}  // namespace cocoon::test
