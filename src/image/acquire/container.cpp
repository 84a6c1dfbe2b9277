// SPDX-License-Identifier: Apache-2.0
#include "image/acquire/container.h"

#include <sys/stat.h>

#include <cstring>

#include "base/text.h"
#include "image/acquire/layer_path.h"
#include "image/acquire/tar_reader.h"

namespace cocoon::image {
namespace {

class DirectoryContainer : public Container {
 public:
  explicit DirectoryContainer(sys::UniqueFd dir) : dir_(std::move(dir)) {}

  Result<SourcePtr> open(const std::string& name) const override {
    auto fd = sys::open_beneath(dir_.get(), name, O_RDONLY | O_NONBLOCK);
    if (!fd) {
      return fail(ErrorKind::kCorrupt, "the layout has no file {} ({})", name,
                  std::strerror(fd.error().saved_errno));
    }
    struct stat info {};
    if (fstat(fd->get(), &info) != 0) return fail_errno(fmt::format("stat {}", name));
    if (!S_ISREG(info.st_mode)) return fail(ErrorKind::kCorrupt, "{} is no file", name);
    return SourcePtr(std::make_unique<FileSource>(std::make_shared<sys::UniqueFd>(std::move(*fd)),
                                                  name, info.st_size));
  }

 private:
  sys::UniqueFd dir_;
};

class TarContainer : public Container {
 public:
  explicit TarContainer(std::unique_ptr<FileSource> tar) : tar_(std::move(tar)) {}

  Result<SourcePtr> open(const std::string& name) const override {
    std::string at = plain_member_name(name);
    constexpr int kMostLinks = 4;
    for (int links = 0; links <= kMostLinks; ++links) {
      auto member = COCOON_TRY(open_member(tar_->again(), at));
      if (member.content) return std::move(member.content);
      if (member.link.empty()) return fail(ErrorKind::kCorrupt, "the archive has no file {}", name);
      at = member.link;
    }
    return fail(ErrorKind::kCorrupt, "{} is a link that leads in circles", name);
  }

 private:
  std::unique_ptr<FileSource> tar_;
};

}  // namespace

Result<std::string> Container::read(const std::string& name, std::size_t limit) const {
  SourcePtr source = COCOON_TRY(open(name));
  return read_all(*source, limit, name);
}

Result<std::unique_ptr<Container>> open_directory(const sys::fs::path& path) {
  sys::UniqueFd dir = COCOON_TRY(sys::open_dir(path));
  return std::unique_ptr<Container>(std::make_unique<DirectoryContainer>(std::move(dir)));
}

std::unique_ptr<Container> make_tar_container(std::unique_ptr<FileSource> tar) {
  return std::make_unique<TarContainer>(std::move(tar));
}

Result<TarContents> look_into_tar(FileSource& tar) {
  TarContents contents;
  bool index = false;
  bool layout = false;
  auto refuse = [&](Error error) -> Failure {
    // Damage before the first entry: it never was a tar.
    if (!contents.empty || error.kind != ErrorKind::kCorrupt) return pass(std::move(error));
    return fail(ErrorKind::kInvalid,
                "neither a tar archive nor an OCI layout (plain, gzip or zstd)");
  };
  auto reader = TarReader::open(tar);
  if (!reader) return refuse(std::move(reader).error());
  while (true) {
    auto entry = reader->next();
    if (!entry) return refuse(std::move(entry).error());
    if (!*entry) break;
    contents.empty = false;
    if ((*entry)->type != TarEntry::Type::kFile) continue;
    std::string name = plain_member_name((*entry)->path);
    contents.docker_manifest = contents.docker_manifest || name == "manifest.json";
    index = index || name == "index.json";
    layout = layout || name == "oci-layout";
  }
  contents.oci_layout = index && layout;
  return contents;
}

}  // namespace cocoon::image
