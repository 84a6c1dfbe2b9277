// SPDX-License-Identifier: Apache-2.0
// Writing snapshot archives as the original reads them (spec 04 §11.2, §11.3): flat, regular files
// only, sparse ones with their holes left out.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "snapshot/archive/byte_sink.h"
#include "snapshot/archive/sparse_map.h"

namespace cocoon::snapshot {

// Where the data of a file lies: SEEK_DATA and SEEK_HOLE (lseek(2)); all of it where the file
// system knows no holes. `fd` is of a regular file of `size` bytes.
Result<Segments> find_data(int fd, std::int64_t size);

class ArchiveWriter {
 public:
  explicit ArchiveWriter(ByteSink& sink) : sink_(sink) {}

  // `name` is plain (model: member names).
  Result<void> add_text(const std::string& name, std::string_view text, std::int64_t mtime);
  // A regular file, open for reading, that does not change. kCorrupt when it did. `head` is written
  // in the place of its first bytes, which are no hole.
  Result<void> add_file(const std::string& name, int fd, std::string_view head = {});
  // The end of the archive; the sink is finished too.
  Result<void> finish();

 private:
  Result<void> copy(int fd, Segment segment, std::string_view head);

  ByteSink& sink_;
  std::string buffer_;
};

}  // namespace cocoon::snapshot
