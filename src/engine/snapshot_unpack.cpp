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

Result<image::SourcePtr> open_stream(const SnapshotSource& source) {
  if (source.file == "-") {
    return image::SourcePtr(
        std::make_unique<image::StreamSource>(source.standard_input, "standard input"));
  }
  return image::SourcePtr(COCOON_TRY(image::FileSource::open(source.file)));
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
    auto file = sys::open_beneath(dir.get(), name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    struct stat info {};
    bool regular = file && fstat(file->get(), &info) == 0 && S_ISREG(info.st_mode);
    if (!regular) {
      out.skipped.push_back(name);
      continue;
    }
    std::string plain = COCOON_TRY(snapshot::member_name(name));
    COCOON_TRY(take_file(file->get(), plain, part, out), "{}", name);
  }
  return out;
}

}  // namespace

Result<snapshot::Unpacked> unpack_snapshot(const SnapshotSource& source, const fs::path& part) {
  if (!source.directory.empty()) return take_directory(source.directory, part);
  return unpack_stream(source, part);
}

}  // namespace cocoon::engine
