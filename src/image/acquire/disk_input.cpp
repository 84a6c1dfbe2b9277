// SPDX-License-Identifier: Apache-2.0
#include "image/acquire/disk_input.h"

#include <unistd.h>

#include <algorithm>

#include "sys/cancel.h"
#include "sys/fault.h"

namespace cocoon::image {
namespace {

constexpr std::size_t kChunk = std::size_t{1} << 20;
constexpr std::size_t kSignatureAt = 510;
constexpr std::size_t kPartitionsAt = 446;
constexpr std::size_t kPartitionBytes = 16;

bool has_gpt(std::string_view head) {
  constexpr std::string_view kMagic = "EFI PART";
  return head.substr(std::min<std::size_t>(head.size(), 512)).starts_with(kMagic) ||
         head.substr(std::min<std::size_t>(head.size(), 4096)).starts_with(kMagic);
}

// A boot sector whose table has a partition of some type.
bool has_partition(std::string_view head) {
  if (head.size() < 512 || head.substr(kSignatureAt, 2) != "\x55\xaa") return false;
  for (std::size_t entry = 0; entry < 4; ++entry) {
    std::size_t at = kPartitionsAt + entry * kPartitionBytes;
    auto active = static_cast<unsigned char>(head[at]);
    if (head[at + 4] != 0 && (active == 0 || active == 0x80)) return true;
  }
  return false;
}

// A run of zeros becomes a hole.
bool is_zero(std::string_view bytes) { return bytes.find_first_not_of('\0') == bytes.npos; }

}  // namespace

DiskKind disk_kind(std::string_view head) {
  if (head.starts_with("QFI\xfb")) return DiskKind::kQcow2;
  constexpr std::size_t kTarMagicAt = 257;
  if (head.size() > kTarMagicAt && head.substr(kTarMagicAt).starts_with("ustar")) {
    return DiskKind::kNone;  // its first member may begin like anything
  }
  if (has_gpt(head) || has_partition(head)) return DiskKind::kRaw;
  return DiskKind::kNone;
}

Result<DiskInput> copy_disk(SourcePtr source, DiskKind kind, const sys::fs::path& file,
                            std::int64_t limit) {
  DigestSource counted(std::move(source), limit, "disk image");
  sys::UniqueFd fd =
      COCOON_TRY(sys::open_file(file, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600));
  sys::side_effect("create disk file");
  std::string chunk(kChunk, '\0');
  while (true) {
    std::size_t got = COCOON_TRY(counted.read(chunk.data(), chunk.size()));
    if (got == 0) break;
    std::string_view bytes(chunk.data(), got);
    if (is_zero(bytes)) {
      if (lseek(fd.get(), static_cast<off_t>(got), SEEK_CUR) < 0) return fail_errno("seek");
    } else {
      COCOON_TRY(sys::write_all(fd.get(), bytes), "write {}", file.native());
    }
  }
  if (ftruncate(fd.get(), counted.count()) != 0) return fail_errno("truncate");
  return DiskInput{kind, counted.digest(), file, counted.count()};
}

Result<std::size_t> ConcatSource::read(char* data, std::size_t size) {
  while (at_ < parts_.size()) {
    std::size_t got = COCOON_TRY(parts_[at_]->read(data, size));
    if (got > 0) return got;
    ++at_;
  }
  return std::size_t{0};
}

}  // namespace cocoon::image
