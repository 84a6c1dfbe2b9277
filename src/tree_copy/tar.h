// SPDX-License-Identifier: Apache-2.0
// Tar entries: ustar with pax extensions (long names, large numbers, times, extended attributes,
// sparse files as GNU tar's format 1.0), which GNU tar, bsdtar and busybox read. Read are also GNU
// tar's long names. Pure but for the byte streams.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace cocoon::tree_copy {

inline constexpr std::size_t kBlock = 512;

enum class EntryKind { kFile, kHardLink, kSymlink, kCharDevice, kBlockDevice, kDirectory, kFifo };

struct Extent {
  std::int64_t offset = 0;
  std::int64_t size = 0;
  bool operator==(const Extent&) const = default;
};

struct Entry {
  EntryKind kind = EntryKind::kFile;
  std::string path;
  std::string link;
  unsigned mode = 0;  // permissions, set-id and sticky bits
  std::int64_t uid = 0;
  std::int64_t gid = 0;
  std::int64_t mtime = 0;
  std::int64_t mtime_ns = 0;
  std::int64_t size = 0;  // of a file, holes included
  std::int64_t device_major = 0;
  std::int64_t device_minor = 0;
  std::vector<std::pair<std::string, std::string>> xattrs;
  bool sparse = false;
  std::vector<Extent> extents;  // of a sparse file: where its data lies, in order
};

class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // Exactly `size` bytes; false when the stream ends before.
  virtual bool read(char* to, std::size_t size) = 0;
};

class ByteSink {
 public:
  virtual ~ByteSink() = default;
  virtual bool write(std::string_view bytes) = 0;
};

// The headers of an entry, and of a sparse file its map. What follows in the stream are the file's
// bytes (of the extents alone), filled up to whole blocks.
std::string render_entry(const Entry& entry);
// The end of an archive.
std::string render_end();

// Bytes of data of an entry in the stream, without the map and the padding.
std::int64_t data_size(const Entry& entry);
constexpr std::int64_t padding(std::int64_t size) {
  const std::int64_t block = kBlock;
  return (block - size % block) % block;
}

enum class ReadResult { kEntry, kEnd, kBad };

// Reads the headers of the next entry. kBad: `why` says what is wrong with the archive.
ReadResult read_entry(ByteSource& source, Entry& entry, std::string& why);

}  // namespace cocoon::tree_copy
