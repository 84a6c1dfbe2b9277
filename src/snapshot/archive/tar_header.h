// SPDX-License-Identifier: Apache-2.0
// Headers of tar archives, as values and as bytes: POSIX.1-2001 ustar and pax (pax(1)), the GNU
// format (GNU tar manual, "Basic Tar Format"). Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "snapshot/archive/sparse_map.h"

namespace cocoon::snapshot {

inline constexpr std::size_t kTarBlock = 512;
// More than this the original neither writes nor reads in an extended header (spec 04 §11.2).
inline constexpr std::size_t kMaxPaxBytes = std::size_t{1} << 20;

inline constexpr std::string_view kSparseMapKey = "COCOON.sparse.map";
inline constexpr std::string_view kSparseSizeKey = "COCOON.sparse.size";

// --- writing ---

// A regular file that is to be written.
struct TarFile {
  std::string name;  // plain ASCII, at most 100 bytes
  std::uint32_t mode = 0600;
  std::int64_t size = 0;   // bytes that follow
  std::int64_t mtime = 0;  // seconds
  std::string pax;         // records, rendered; empty: none
};

// One record of an extended header: "<length> <key>=<value>\n".
std::string pax_record(std::string_view key, std::string_view value);

// The records of a sparse file of `size` bytes. The segments are merged until the header keeps
// kMaxPaxBytes; they are returned as they have to be written.
std::pair<std::string, Segments> sparse_records(const Segments& segments, std::int64_t size);

// All blocks before the content: the extended header where one is needed, and the header.
std::string render_header(const TarFile& file);

// Zeroes that fill the last block of `size` bytes.
std::string padding(std::int64_t size);

// --- reading ---

// What a header block says, before anything of it is believed.
struct RawHeader {
  std::string name;  // with the ustar prefix
  char type = '0';   // NUL is '0' already
  std::int64_t size = 0;
};

// Is it the block of zeroes that ends an archive?
bool is_zero_block(std::string_view block);

// kCorrupt: checksum, a number that is none, a negative size.
Result<RawHeader> parse_header(std::string_view block);

// Records in their order; kCorrupt.
using PaxRecords = std::vector<std::pair<std::string, std::string>>;
Result<PaxRecords> parse_pax(std::string_view bytes);

// A number field: octal digits, or base-256 (GNU). kCorrupt.
Result<std::int64_t> parse_number(std::string_view field);

// The sparse fields of an old GNU header (type 'S') or of a block that continues it.
struct GnuSparse {
  Segments segments;
  bool goes_on = false;        // another block of segments follows
  std::int64_t real_size = 0;  // of a header only
};
Result<GnuSparse> parse_gnu_sparse_header(std::string_view block);
Result<GnuSparse> parse_gnu_sparse_block(std::string_view block);

}  // namespace cocoon::snapshot
