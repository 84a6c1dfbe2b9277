// SPDX-License-Identifier: Apache-2.0
// Reading snapshot archives, which may be hostile: any ustar, pax or GNU header, sparse files of
// every kind that is in use, and nothing that is not said in full (spec 04 §11.8, §11.9).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "image/acquire/byte_source.h"
#include "snapshot/archive/tar_header.h"

namespace cocoon::snapshot {

struct ArchiveEntry {
  std::string name;         // as in the archive: may be anything
  bool regular = false;     // false: a link, a device, a directory …; its content is passed over
  std::int64_t size = 0;    // of the file, holes included
  Segments segments;        // where the stored bytes belong
  std::int64_t stored = 0;  // bytes that read() gives
};

// Reads one archive from its first to its last byte. The source must outlive it.
class ArchiveReader {
 public:
  static constexpr std::size_t kMaxEntries = 256;

  explicit ArchiveReader(image::ByteSource& source) : source_(source) {}

  // The next entry; what is left of the one before is passed over. nullopt: the archive has ended
  // as it should, with two blocks of zeroes and nothing but zeroes behind them. kCorrupt: damaged,
  // truncated, hostile, more than kMaxEntries; and what the source says.
  Result<std::optional<ArchiveEntry>> next();

  // Stored bytes of the entry, in order; 0 at its end.
  Result<std::size_t> read(char* data, std::size_t size);

 private:
  Result<bool> read_block(std::string& block);
  Result<std::string> read_text(std::int64_t size, std::string_view what);
  Result<void> skip(std::int64_t count);
  Result<void> finish_entry();
  Result<void> read_end();
  Result<void> take_pax(std::int64_t size);
  Result<ArchiveEntry> make_entry(const RawHeader& header, std::string_view block);
  Result<void> set_segments(ArchiveEntry& entry, std::string_view block, char type);
  Result<void> gnu_segments(ArchiveEntry& entry, std::string_view block);
  Result<bool> pax_segments(ArchiveEntry& entry);
  Result<void> gnu_map_in_content(ArchiveEntry& entry);
  Result<std::int64_t> map_number(std::string& bytes, std::size_t& at, ArchiveEntry& entry);
  const std::string* pax(std::string_view key) const;

  image::ByteSource& source_;
  std::size_t entries_ = 0;
  std::int64_t left_ = 0;     // bytes of the entry that are still to come
  std::int64_t padding_ = 0;  // behind them
  std::string long_name_;     // of a GNU header before the entry
  PaxRecords pax_;            // of an extended header before the entry
};

}  // namespace cocoon::snapshot
