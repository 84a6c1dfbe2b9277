// SPDX-License-Identifier: Apache-2.0
#include "snapshot/archive/archive_reader.h"

#include <algorithm>

#include "base/text.h"

namespace cocoon::snapshot {
namespace {

constexpr std::size_t kChunk = std::size_t{64} << 10;
constexpr std::int64_t kMaxNameBytes = 4096;
constexpr int kMaxHeaders = 8;  // before one file
// Records are blocks of up to 1 MiB in practice; a stream of zeroes without end is none.
constexpr std::int64_t kMaxEnd = std::int64_t{4} << 20;

Failure truncated() { return fail(ErrorKind::kCorrupt, "the archive is truncated"); }

std::int64_t padding_of(std::int64_t size) {
  return static_cast<std::int64_t>(padding(size).size());
}

// Those have no content, whatever their size field says.
bool is_header_only(char type) { return type >= '1' && type <= '6'; }

Result<std::int64_t> number_of(const std::string& text, std::string_view key) {
  auto value = parse_decimal(text);
  if (value && *value <= std::uint64_t{INT64_MAX}) return static_cast<std::int64_t>(*value);
  return fail(ErrorKind::kCorrupt, "{}=\"{}\" in an extended header is no size", key, text);
}

// "offset,length,offset,length", or the same as repeated records (GNU sparse formats 0.1 and 0.0).
Result<Segments> gnu_pairs(const PaxRecords& records) {
  std::vector<std::int64_t> numbers;
  for (const auto& [key, value] : records) {
    bool listed = key == "GNU.sparse.map";
    if (!listed && key != "GNU.sparse.offset" && key != "GNU.sparse.numbytes") continue;
    for (std::string_view text : split(value, ',')) {
      numbers.push_back(COCOON_TRY(number_of(std::string(text), key)));
    }
  }
  if (numbers.size() % 2 != 0) return fail(ErrorKind::kCorrupt, "the sparse map is damaged");
  Segments out;
  for (std::size_t i = 0; i < numbers.size(); i += 2) out.push_back({numbers[i], numbers[i + 1]});
  return out;
}

}  // namespace

const std::string* ArchiveReader::pax(std::string_view key) const {
  const std::string* found = nullptr;
  for (const auto& record : pax_) {
    if (record.first == key) found = &record.second;  // the last one counts
  }
  return found;
}

// False at the end of the stream.
Result<bool> ArchiveReader::read_block(std::string& block) {
  block.resize(kTarBlock);
  std::size_t have = 0;
  while (have < kTarBlock) {
    std::size_t got = COCOON_TRY(source_.read(block.data() + have, kTarBlock - have));
    if (got == 0) break;
    have += got;
  }
  if (have != 0 && have != kTarBlock) return truncated();
  return have == kTarBlock;
}

Result<void> ArchiveReader::skip(std::int64_t count) {
  std::string chunk(kChunk, '\0');
  while (count > 0) {
    auto want = static_cast<std::size_t>(std::min<std::int64_t>(count, kChunk));
    std::size_t got = COCOON_TRY(source_.read(chunk.data(), want));
    if (got == 0) return truncated();
    count -= static_cast<std::int64_t>(got);
  }
  return {};
}

Result<void> ArchiveReader::finish_entry() {
  COCOON_TRY(skip(left_));
  COCOON_TRY(skip(padding_));
  left_ = padding_ = 0;
  return {};
}

Result<std::size_t> ArchiveReader::read(char* data, std::size_t size) {
  auto want =
      static_cast<std::size_t>(std::min<std::int64_t>(left_, static_cast<std::int64_t>(size)));
  if (want == 0) return std::size_t{0};
  std::size_t got = COCOON_TRY(source_.read(data, want));
  if (got == 0) return truncated();
  left_ -= static_cast<std::int64_t>(got);
  return got;
}

// The content of a header's own entry.
Result<std::string> ArchiveReader::read_text(std::int64_t size, std::string_view what) {
  std::int64_t limit = what == "name" ? kMaxNameBytes : static_cast<std::int64_t>(kMaxPaxBytes);
  if (size > limit) {
    return fail(ErrorKind::kCorrupt, "an extended header ({}) of {} bytes", what, size);
  }
  std::string text(static_cast<std::size_t>(size), '\0');
  left_ = size;
  padding_ = padding_of(size);
  for (std::size_t have = 0; have < text.size();) {
    have += COCOON_TRY(read(text.data() + have, text.size() - have));
  }
  COCOON_TRY(finish_entry());
  return text;
}

Result<void> ArchiveReader::take_pax(std::int64_t size) {
  std::string text = COCOON_TRY(read_text(size, "pax"));
  pax_ = COCOON_TRY(parse_pax(text));
  return {};
}

// One block of zeroes was read. Nothing may hide behind the end.
Result<void> ArchiveReader::read_end() {
  std::string block;
  if (!COCOON_TRY(read_block(block))) return truncated();
  std::int64_t passed = 0;
  while (is_zero_block(block)) {
    std::size_t got = COCOON_TRY(source_.read(block.data(), kTarBlock));
    if (got == 0) return {};
    passed += static_cast<std::int64_t>(got);
    if (passed > kMaxEnd) return fail(ErrorKind::kCorrupt, "the archive does not end");
    block.resize(got);
    if (!is_zero_block(block)) break;
    block.resize(kTarBlock, '\0');
  }
  return fail(ErrorKind::kCorrupt, "there is something behind the end of the archive");
}

Result<std::optional<ArchiveEntry>> ArchiveReader::next() {
  COCOON_TRY(finish_entry());
  std::string block;
  long_name_.clear();
  pax_.clear();
  for (int headers = 0; headers < kMaxHeaders; ++headers) {
    if (!COCOON_TRY(read_block(block))) return truncated();
    if (is_zero_block(block)) {
      COCOON_TRY(read_end());
      return std::optional<ArchiveEntry>();
    }
    RawHeader header = COCOON_TRY(parse_header(block));
    if (header.type == 'x') {
      COCOON_TRY(take_pax(header.size));
    } else if (header.type == 'L') {
      long_name_ = COCOON_TRY(read_text(header.size, "name"));
      long_name_.resize(std::min(long_name_.size(), long_name_.find('\0')));
    } else if (header.type == 'K' || header.type == 'g') {
      COCOON_TRY(read_text(header.size, header.type == 'K' ? "name" : "pax"));
    } else {
      return std::optional<ArchiveEntry>(COCOON_TRY(make_entry(header, block), "{}", header.name));
    }
  }
  return fail(ErrorKind::kCorrupt, "the archive has headers without a file");
}

Result<ArchiveEntry> ArchiveReader::make_entry(const RawHeader& header, std::string_view block) {
  if (++entries_ > kMaxEntries) {
    return fail(ErrorKind::kCorrupt, "the archive has more than {} entries", kMaxEntries);
  }
  ArchiveEntry entry;
  entry.name = long_name_.empty() ? header.name : long_name_;
  if (const std::string* path = pax("path")) entry.name = *path;
  if (const std::string* path = pax("GNU.sparse.name")) entry.name = *path;
  entry.regular = header.type == '0' || header.type == '7' || header.type == 'S';
  // Before POSIX a directory was a file whose name ends so.
  if (entry.name.ends_with('/')) entry.regular = false;
  std::int64_t size = header.size;
  if (const std::string* text = pax("size")) size = COCOON_TRY(number_of(*text, "size"));
  if (is_header_only(header.type)) size = 0;
  entry.size = entry.stored = left_ = size;
  padding_ = padding_of(size);
  if (entry.regular) COCOON_TRY(set_segments(entry, block, header.type));
  return entry;
}

Result<void> ArchiveReader::set_segments(ArchiveEntry& entry, std::string_view block, char type) {
  bool sparse = true;
  if (type == 'S') {
    COCOON_TRY(gnu_segments(entry, block));
  } else {
    sparse = COCOON_TRY(pax_segments(entry));
  }
  if (!sparse && entry.size > 0) entry.segments = {{0, entry.size}};
  return check_segments(entry.segments, entry.size, entry.stored);
}

// Of an old GNU header and the blocks behind it.
Result<void> ArchiveReader::gnu_segments(ArchiveEntry& entry, std::string_view block) {
  GnuSparse part = COCOON_TRY(parse_gnu_sparse_header(block));
  entry.size = part.real_size;
  entry.segments = std::move(part.segments);
  std::string next;
  while (part.goes_on) {
    if (entry.segments.size() > kMaxSegments) {
      return fail(ErrorKind::kCorrupt, "the sparse map has more than {} segments", kMaxSegments);
    }
    if (!COCOON_TRY(read_block(next))) return truncated();
    part = COCOON_TRY(parse_gnu_sparse_block(next));
    entry.segments.insert(entry.segments.end(), part.segments.begin(), part.segments.end());
  }
  return {};
}

// False: no sparse file.
Result<bool> ArchiveReader::pax_segments(ArchiveEntry& entry) {
  if (const std::string* map = pax(kSparseMapKey)) {
    const std::string* size = pax(kSparseSizeKey);
    if (size == nullptr) return fail(ErrorKind::kCorrupt, "a sparse map without a size");
    entry.segments = COCOON_TRY(parse_map(*map));
    entry.size = COCOON_TRY(number_of(*size, kSparseSizeKey));
    return true;
  }
  const std::string* real_size = pax("GNU.sparse.realsize");
  if (pax("GNU.sparse.major") != nullptr && real_size != nullptr) {
    entry.size = COCOON_TRY(number_of(*real_size, "GNU.sparse.realsize"));
    COCOON_TRY(gnu_map_in_content(entry));
    return true;
  }
  const std::string* size = pax("GNU.sparse.size");
  if (size == nullptr) return false;
  entry.size = COCOON_TRY(number_of(*size, "GNU.sparse.size"));
  entry.segments = COCOON_TRY(gnu_pairs(pax_));
  return true;
}

// The next of the decimal numbers, one a line, that precede the content in whole blocks.
Result<std::int64_t> ArchiveReader::map_number(std::string& bytes, std::size_t& at,
                                               ArchiveEntry& entry) {
  std::size_t end = bytes.find('\n', at);
  while (end == std::string::npos) {
    if (bytes.size() - at > kTarBlock || left_ < static_cast<std::int64_t>(kTarBlock)) {
      return fail(ErrorKind::kCorrupt, "the sparse map is damaged");
    }
    std::string block;
    if (!COCOON_TRY(read_block(block))) return truncated();
    left_ -= static_cast<std::int64_t>(kTarBlock);
    entry.stored -= static_cast<std::int64_t>(kTarBlock);
    bytes.erase(0, at);
    at = 0;
    bytes += block;
    end = bytes.find('\n');
  }
  std::string text = bytes.substr(at, end - at);
  at = end + 1;
  return number_of(text, "GNU.sparse.map");
}

Result<void> ArchiveReader::gnu_map_in_content(ArchiveEntry& entry) {
  std::string bytes;
  std::size_t at = 0;
  std::int64_t count = COCOON_TRY(map_number(bytes, at, entry));
  if (count > static_cast<std::int64_t>(kMaxSegments)) {
    return fail(ErrorKind::kCorrupt, "the sparse map has more than {} segments", kMaxSegments);
  }
  for (std::int64_t i = 0; i < count; ++i) {
    std::int64_t offset = COCOON_TRY(map_number(bytes, at, entry));
    std::int64_t length = COCOON_TRY(map_number(bytes, at, entry));
    entry.segments.push_back({offset, length});
  }
  return {};
}

}  // namespace cocoon::snapshot
