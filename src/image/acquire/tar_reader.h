// SPDX-License-Identifier: Apache-2.0
// Reads a tar stream entry by entry (libarchive's reader, tar format only). Says what stands there;
// what may be done with it is the caller's decision.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "image/acquire/byte_source.h"

struct archive;
struct archive_entry;

namespace cocoon::image {

struct TarEntry {
  enum class Type {
    kFile,
    kDirectory,
    kSymlink,
    kHardlink,
    kCharDevice,
    kBlockDevice,
    kFifo,
    kOther
  };

  Type type = Type::kOther;
  std::string path;    // bytes as they stand in the archive
  std::string target;  // of a symbolic or hard link
  mode_t mode = 0;     // permission and set-id bits only
  std::int64_t uid = 0;
  std::int64_t gid = 0;
  std::int64_t size = 0;  // of a file, holes included
  std::int64_t mtime = 0;
  std::int64_t mtime_nsec = 0;
  std::uint32_t device_major = 0;
  std::uint32_t device_minor = 0;
  // False for sparse files and for what is older than ustar: other readers may see it differently.
  bool is_plain = true;
  // Extended attributes sorted by name, ACLs as system.posix_acl_*.
  std::vector<std::pair<std::string, std::string>> xattrs;
};

// A character device 0:0: overlayfs' own whiteout, written by engines that keep layers on
// overlayfs.
inline bool is_whiteout_device(const TarEntry& entry) {
  return entry.type == TarEntry::Type::kCharDevice && entry.device_major == 0 &&
         entry.device_minor == 0;
}

// Bytes of a file at an offset; sparse files leave gaps.
struct TarBlock {
  std::string_view bytes;
  std::int64_t offset = 0;
};

class TarReader {
 public:
  // The source must outlive the reader.
  static Result<TarReader> open(ByteSource& source);
  TarReader(TarReader&&) noexcept;
  TarReader& operator=(TarReader&&) = delete;
  ~TarReader();

  // The next entry, nullopt at the end of the archive. kCorrupt for a damaged archive; an error of
  // the source as it is.
  Result<std::optional<TarEntry>> next();
  // The next bytes of the entry's content, nullopt at its end.
  Result<std::optional<TarBlock>> block();

 private:
  struct State;
  explicit TarReader(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// A member of an archive: its content, or the member that it is a link to, or neither when there is
// none of this name.
struct Member {
  SourcePtr content;
  std::string link;
};

// Finds the file `name` (without leading "./") in a tar stream, which the content then owns.
Result<Member> open_member(SourcePtr archive, const std::string& name);

}  // namespace cocoon::image
