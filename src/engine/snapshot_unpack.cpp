// SPDX-License-Identifier: Apache-2.0
#include "engine/snapshot_unpack.h"

#include <sys/stat.h>
#include <unistd.h>

#include "disk/file_copy.h"
#include "snapshot/archive/archive_reader.h"
#include "snapshot/archive/documents.h"
#include "snapshot/archive/member_digest.h"
#include "sys/cancel.h"
#include "sys/fault.h"

namespace cocoon::engine {
namespace {

namespace fs = std::filesystem;

// Tells how much was read.
class CountedSource : public image::ByteSource {
 public:
  CountedSource(image::SourcePtr inner, const SnapshotSource& request, std::int64_t total)
      : inner_(std::move(inner)), request_(request), total_(total) {}

  Result<std::size_t> read(char* data, std::size_t size) override {
    std::size_t got = COCOON_TRY(inner_->read(data, size));
    done_ += static_cast<std::int64_t>(got);
    if (request_.progress) request_.progress(done_, total_);
    return got;
  }

 private:
  image::SourcePtr inner_;
  const SnapshotSource& request_;
  std::int64_t done_ = 0;
  std::int64_t total_;
};

Result<image::SourcePtr> open_stream(const SnapshotSource& source) {
  image::SourcePtr stream;
  std::int64_t size = -1;
  if (source.file == "-") {
    stream = std::make_unique<image::StreamSource>(source.standard_input, "standard input");
  } else {
    auto file = COCOON_TRY(image::FileSource::open(source.file));
    size = file->size();
    stream = std::move(file);
  }
  return image::SourcePtr(std::make_unique<CountedSource>(std::move(stream), source, size));
}

Result<snapshot::Unpacked> unpack_stream(const SnapshotSource& source, const fs::path& part) {
  image::SourcePtr stream = COCOON_TRY(open_stream(source));
  image::SourcePtr plain = COCOON_TRY(image::decompress(std::move(stream), false, false));
  return snapshot::unpack_archive(*plain, part);
}

// One file of a directory; it may change while it is read, so what counts is the copy.
Result<void> take_file(int from, const std::string& name, const fs::path& part,
                       snapshot::Unpacked& out) {
  if (name == snapshot::kEnvelopeFile || name == snapshot::kSidecarFile) {
    std::string& place = name == snapshot::kEnvelopeFile ? out.envelope : out.sidecar;
    place = COCOON_TRY(sys::read_fd(from, snapshot::kMaxDocument));
    return {};
  }
  sys::UniqueFd to =
      COCOON_TRY(sys::open_file(part / name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600));
  sys::side_effect("create member");
  COCOON_TRY(disk::copy_file(from, to.get()));
  if (fsync(to.get()) != 0) return fail_errno("sync");
  sys::side_effect("write member");
  std::vector<snapshot::DigestJob> jobs{{to.get(), name, true}};
  COCOON_TRY(snapshot::take_digests(jobs));
  struct stat info {};
  if (fstat(to.get(), &info) != 0) return fail_errno("stat");
  out.files[name] = {info.st_size, jobs[0].digest};
  return {};
}

// It may have become something else since it was looked at.
Result<sys::UniqueFd> open_regular(int dir, const std::string& name) {
  sys::UniqueFd file = COCOON_TRY(sys::open_beneath(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
  struct stat info {};
  if (fstat(file.get(), &info) != 0) return fail_errno("stat");
  if (S_ISREG(info.st_mode)) return file;
  return fail(ErrorKind::kInvalid, "it is not a regular file");
}

Result<snapshot::Unpacked> take_directory(const fs::path& from, const fs::path& part) {
  sys::UniqueFd dir = COCOON_TRY(sys::open_dir(from));
  std::vector<std::string> names = COCOON_TRY(sys::list_dir(from));
  if (names.size() > snapshot::ArchiveReader::kMaxEntries) {
    return fail(ErrorKind::kInvalid, "{} has {} files, which is no snapshot", from.native(),
                names.size());
  }
  snapshot::Unpacked out;
  for (const std::string& name : names) {
    COCOON_TRY(sys::check_cancelled());
    struct stat info {};
    if (fstatat(dir.get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
      return fail_errno(fmt::format("look at {}", (from / name).native()));
    }
    if (!S_ISREG(info.st_mode)) {
      out.skipped.push_back(name);
      continue;
    }
    std::string plain = COCOON_TRY(snapshot::member_name(name));
    sys::UniqueFd file = COCOON_TRY(open_regular(dir.get(), name), "open {}", name);
    COCOON_TRY(take_file(file.get(), plain, part, out), "{}", name);
  }
  return out;
}

}  // namespace

Result<snapshot::Unpacked> unpack_snapshot(const SnapshotSource& source, const fs::path& part) {
  if (!source.directory.empty()) return take_directory(source.directory, part);
  return unpack_stream(source, part);
}

}  // namespace cocoon::engine
