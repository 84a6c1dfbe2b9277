// SPDX-License-Identifier: Apache-2.0
#include "image/acquire/image_input.h"

#include <sys/stat.h>

#include <limits>

#include "base/text.h"
#include "image/acquire/container.h"
#include "image/acquire/image_index.h"
#include "sys/cancel.h"
#include "sys/fault.h"

namespace cocoon::image {
namespace {

constexpr std::string_view kStandardInput = "-";

// An uncompressed file that can be read again and again, and what is known of its bytes.
struct PlainFile {
  std::string label;
  std::unique_ptr<FileSource> file;
  std::string digest;  // hex; empty: not computed yet
  bool ends_like_tar = true;
};

Result<void> copy_to_file(ByteSource& source, const sys::fs::path& path) {
  sys::UniqueFd fd =
      COCOON_TRY(sys::open_file(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600));
  sys::side_effect("create spool file");
  std::string chunk(std::size_t{256} << 10, '\0');
  while (true) {
    std::size_t got = COCOON_TRY(source.read(chunk.data(), chunk.size()));
    if (got == 0) return {};
    COCOON_TRY(sys::write_all(fd.get(), {chunk.data(), got}), "unpack to {}", path.native());
  }
}

// What can only be read once, or is compressed, becomes a plain file of ours.
Result<PlainFile> spool(SourcePtr source, const std::string& label, const InputRequest& request,
                        std::size_t index) {
  SourcePtr plain = COCOON_TRY(decompress(std::move(source)));
  DigestSource counted(std::move(plain), request.max_bytes, label);
  auto path = request.work / fmt::format("spool-{}", index);
  COCOON_TRY(copy_to_file(counted, path));
  PlainFile out;
  out.label = label;
  out.file = COCOON_TRY(FileSource::open(path));
  out.digest = counted.digest();
  out.ends_like_tar = counted.ends_like_tar();
  return out;
}

Result<void> refuse_empty(std::string_view head) {
  if (head.empty()) return fail(ErrorKind::kInvalid, "it is empty");
  return {};
}

Result<PlainFile> open_plain(const std::string& label, SourcePtr stream,
                             std::unique_ptr<FileSource> file, const InputRequest& request,
                             std::size_t index) {
  auto peeked = std::make_unique<PeekSource>(std::move(stream));
  std::string head(COCOON_TRY(peeked->peek(6)));
  COCOON_TRY(refuse_empty(head));
  if (file && sniff_compression(head) == Compression::kNone) {
    return PlainFile{label, std::move(file), "", true};
  }
  return spool(std::move(peeked), label, request, index);
}

Result<PlainFile> open_plain_file(const sys::fs::path& path, const InputRequest& request,
                                  std::size_t index) {
  if (path == kStandardInput) {
    auto stream = std::make_unique<StreamSource>(request.standard_input, "standard input");
    return open_plain("standard input", std::move(stream), nullptr, request, index);
  }
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return fail_errno("open");
  if (!S_ISREG(info.st_mode)) {
    // A pipe given by name, as a shell's <(…) does. Opened without blocking: the wait for a writer
    // is the read's, which Ctrl-C ends.
    sys::UniqueFd fd = COCOON_TRY(sys::open_file(path, O_RDONLY | O_NONBLOCK));
    auto stream = std::make_unique<StreamSource>(fd.get(), path.native());
    return open_plain(path.native(), std::move(stream), nullptr, request, index);
  }
  auto file = COCOON_TRY(FileSource::open(path));
  auto stream = file->again();
  return open_plain(path.native(), std::move(stream), std::move(file), request, index);
}

// The digest of a plain tar, and whether it is complete: there is no other sum to compare it with.
Result<void> complete_digest(PlainFile& plain, std::int64_t limit) {
  if (plain.digest.empty()) {
    DigestSource counted(plain.file->again(), limit, plain.label);
    COCOON_TRY(drain(counted));
    plain.digest = counted.digest();
    plain.ends_like_tar = counted.ends_like_tar();
  }
  if (plain.ends_like_tar) return {};
  return fail(ErrorKind::kCorrupt, "truncated tar archive: no end-of-archive marker");
}

Result<ImageInput> plain_tars(std::vector<PlainFile> files, std::int64_t limit) {
  ImageInput input;
  input.architecture = host_platform().architecture;
  std::string digests;
  for (PlainFile& plain : files) {
    COCOON_TRY(complete_digest(plain, limit), "read {}", plain.label);
    digests += plain.digest;
    LayerInput layer;
    layer.diff_id = plain.digest;
    layer.label = plain.label;
    layer.least_size = plain.file->size();
    layer.open = [file = std::shared_ptr<FileSource>(std::move(plain.file))] {
      return Result<SourcePtr>(file->again());
    };
    input.layers.push_back(std::move(layer));
  }
  input.digest = "sha256:" + sha256_hex(digests);  // spec 02 §8.4
  return input;
}

Result<ImageInput> open_layout_directory(const InputRequest& request) {
  const auto& path = request.files[0];
  if (request.files.size() > 1) {
    return fail(ErrorKind::kInvalid, "{}: a directory must be the only input", path.native());
  }
  if (!sys::exists(path / "oci-layout")) {
    return fail(ErrorKind::kInvalid, "{}: a directory without an OCI layout in it", path.native());
  }
  std::shared_ptr<Container> container = COCOON_TRY(open_directory(path));
  return COCOON_TRY(read_oci_layout(container, request.name), "read {}", path.native());
}

Result<DiskKind> disk_kind_of(const PlainFile& plain) {
  PeekSource peeked(plain.file->again());
  return disk_kind(COCOON_TRY(peeked.peek(kDiskHeadBytes), "read {}", plain.label));
}

// The first file says what it is; the others continue it, as they are.
Result<ImageInput> open_disk(PlainFile first, DiskKind kind,
                             const std::vector<sys::fs::path>& files, const InputRequest& request) {
  std::vector<SourcePtr> parts;
  parts.push_back(first.file->again());
  for (std::size_t i = 1; i < files.size(); ++i) {
    parts.push_back(COCOON_TRY(FileSource::open(files[i]), "read {}", files[i].native()));
  }
  ImageInput input;
  input.architecture = host_platform().architecture;
  auto dir = request.work / "disk";  // of its own: a program without rights will work in it
  COCOON_TRY(sys::make_dirs(dir, 0700));
  input.disk = COCOON_TRY(copy_disk(std::make_unique<ConcatSource>(std::move(parts)), kind,
                                    dir / "input", request.max_bytes),
                          "read {}", first.label);
  input.digest = "sha256:" + input.disk->digest;
  return input;
}

bool names_directory(const sys::fs::path& path) {
  struct stat info {};
  return stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

}  // namespace

Result<ImageInput> open_image_input(const InputRequest& request) {
  std::vector<sys::fs::path> files = request.files;
  if (files.empty()) files.emplace_back(kStandardInput);
  for (const auto& path : request.files) {
    if (names_directory(path)) return open_layout_directory(request);
  }
  std::vector<PlainFile> opened;
  for (const auto& path : files) {
    COCOON_TRY(sys::check_cancelled());
    PlainFile plain =
        COCOON_TRY(open_plain_file(path, request, opened.size()), "read {}", path.native());
    DiskKind kind = opened.empty() ? COCOON_TRY(disk_kind_of(plain)) : DiskKind::kNone;
    if (kind != DiskKind::kNone) return open_disk(std::move(plain), kind, files, request);
    TarContents contents = COCOON_TRY(look_into_tar(*plain.file), "read {}", plain.label);
    plain.file = plain.file->again();
    if (contents.empty) {
      return fail(ErrorKind::kInvalid, "{}: an empty tar archive", plain.label);
    }
    if (contents.docker_manifest || contents.oci_layout) {
      if (files.size() > 1) {
        return fail(ErrorKind::kInvalid, "{}: an archive of an image must be the only input",
                    plain.label);
      }
      std::shared_ptr<Container> container = make_tar_container(std::move(plain.file));
      // The OCI form has digests for everything, so it is preferred where an archive has both.
      auto read = contents.oci_layout ? read_oci_layout : read_docker_archive;
      return COCOON_TRY(read(container, request.name), "read {}", plain.label);
    }
    opened.push_back(std::move(plain));
  }
  return plain_tars(std::move(opened), request.max_bytes);
}

Result<std::unique_ptr<LayerStream>> LayerStream::open(const LayerInput& layer,
                                                       std::int64_t limit) {
  std::unique_ptr<LayerStream> stream(new LayerStream());
  stream->diff_id_ = layer.diff_id;
  stream->stored_digest_ = layer.stored;
  stream->stored_size_ = layer.stored_size;
  SourcePtr bytes = COCOON_TRY(layer.open());
  stream->bytes_ = bytes.get();
  if (!layer.stored.empty()) {
    auto stored = std::make_unique<DigestSource>(
        std::move(bytes), std::numeric_limits<std::int64_t>::max(), layer.label);
    stream->stored_ = stored.get();
    bytes = std::move(stored);
  }
  SourcePtr plain = COCOON_TRY(decompress(std::move(bytes)));
  stream->plain_ = std::make_unique<DigestSource>(std::move(plain), limit, layer.label);
  return stream;
}

Result<void> LayerStream::verify() {
  COCOON_TRY(drain(*plain_));
  // What follows the compressed stream belongs to the digest, too; a download says at its end
  // whether it was right.
  COCOON_TRY(drain(stored_ != nullptr ? *stored_ : *bytes_));
  if (stored_ != nullptr) {
    if (stored_->count() != stored_size_ || stored_->digest() != stored_digest_) {
      return fail(ErrorKind::kCorrupt, "its bytes are not those of sha256:{}", stored_digest_);
    }
  }
  if (plain_->digest() != diff_id_) {
    return fail(ErrorKind::kCorrupt, "its content is not that of sha256:{}", diff_id_);
  }
  return {};
}

}  // namespace cocoon::image
