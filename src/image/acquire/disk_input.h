// SPDX-License-Identifier: Apache-2.0
// Whole disks among what is handed to `image import`: qcow2 or raw, in one file or in parts, plain,
// gzip or zstd (spec 02 §8.2). Recognised by content.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "image/acquire/byte_source.h"
#include "sys/files.h"

namespace cocoon::image {

enum class DiskKind { kNone, kQcow2, kRaw };

// How much of a file disk_kind wants to see.
inline constexpr std::size_t kDiskHeadBytes = 4096 + 512;

// What the first bytes (kDiskHeadBytes of them, or all) are: qcow2 by its magic, raw by a GPT
// header (sectors of 512 or 4096 bytes) or a boot sector with a partition in it. Neither can begin
// a tar.
DiskKind disk_kind(std::string_view head);

// A disk that was handed in, as one plain file of ours.
struct DiskInput {
  DiskKind kind = DiskKind::kNone;
  std::string digest;  // hex SHA-256 of the file
  sys::fs::path file;  // in the work directory, root-owned, with one link
  std::int64_t size = 0;
};

// Writes the whole of `source` to `file`, which must not exist, hashing it. kCorrupt beyond `limit`
// bytes.
Result<DiskInput> copy_disk(SourcePtr source, DiskKind kind, const sys::fs::path& file,
                            std::int64_t limit);

// Sources one after the other: a disk that came in parts.
class ConcatSource : public ByteSource {
 public:
  explicit ConcatSource(std::vector<SourcePtr> parts) : parts_(std::move(parts)) {}
  Result<std::size_t> read(char* data, std::size_t size) override;

 private:
  std::vector<SourcePtr> parts_;
  std::size_t at_ = 0;
};

}  // namespace cocoon::image
