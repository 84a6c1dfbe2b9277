// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <cstring>

#include "tree_copy/tar.h"

namespace cocoon::tree_copy {
namespace {

constexpr std::size_t kNameSize = 100;
constexpr std::int64_t kMaxOctal7 = 07777777;
constexpr std::int64_t kMaxOctal11 = 077777777777;
constexpr std::size_t kChecksumAt = 148;

char type_flag(EntryKind kind) {
  switch (kind) {
    case EntryKind::kFile:
      return '0';
    case EntryKind::kHardLink:
      return '1';
    case EntryKind::kSymlink:
      return '2';
    case EntryKind::kCharDevice:
      return '3';
    case EntryKind::kBlockDevice:
      return '4';
    case EntryKind::kDirectory:
      return '5';
    case EntryKind::kFifo:
      return '6';
  }
  return '0';
}

void put_text(std::string& block, std::size_t at, std::size_t size, std::string_view text) {
  text.substr(0, size).copy(block.data() + at, size);
}

void put_octal(std::string& block, std::size_t at, std::size_t size, std::int64_t value) {
  for (std::size_t i = size - 1; i-- > 0; value >>= 3)
    block[at + i] = static_cast<char>('0' + (value & 7));
}

struct UstarFields {
  std::string_view name = {};
  std::string_view link = {};
  char type = '0';
  unsigned mode = 0;
  std::int64_t uid = 0, gid = 0, size = 0, mtime = 0, major = 0, minor = 0;
};

std::int64_t in_range(std::int64_t value, std::int64_t max) {
  return value >= 0 && value <= max ? value : 0;
}

std::string render_block(const UstarFields& fields) {
  std::string block(kBlock, '\0');
  put_text(block, 0, kNameSize, fields.name);
  put_octal(block, 100, 8, fields.mode & 07777);
  put_octal(block, 108, 8, in_range(fields.uid, kMaxOctal7));
  put_octal(block, 116, 8, in_range(fields.gid, kMaxOctal7));
  put_octal(block, 124, 12, in_range(fields.size, kMaxOctal11));
  put_octal(block, 136, 12, in_range(fields.mtime, kMaxOctal11));
  block[156] = fields.type;
  put_text(block, 157, kNameSize, fields.link);
  put_text(block, 257, 8, std::string_view("ustar\00000", 8));
  put_octal(block, 329, 8, in_range(fields.major, kMaxOctal7));
  put_octal(block, 337, 8, in_range(fields.minor, kMaxOctal7));
  std::memset(block.data() + kChecksumAt, ' ', 8);
  std::int64_t sum = 0;
  for (const char c : block) sum += static_cast<unsigned char>(c);
  put_octal(block, kChecksumAt, 7, sum);
  return block;
}

// "LENGTH KEY=VALUE\n", where the length counts itself.
void add_record(std::string& out, std::string_view key, std::string_view value) {
  const std::size_t rest = key.size() + value.size() + 3;
  std::size_t length = rest + 1;
  while (std::to_string(length).size() + rest != length)
    length = std::to_string(length).size() + rest;
  out += std::to_string(length);
  out += ' ';
  out += key;
  out += '=';
  out += value;
  out += '\n';
}

void add_number(std::string& out, std::string_view key, std::int64_t value, std::int64_t max) {
  if (value < 0 || value > max) add_record(out, key, std::to_string(value));
}

std::string time_text(const Entry& entry) {
  std::string nanoseconds = std::to_string(1'000'000'000 + entry.mtime_ns);
  // A time before the epoch counts down from the second after it.
  std::int64_t seconds = entry.mtime;
  if (seconds < 0 && entry.mtime_ns > 0) {
    ++seconds;
    nanoseconds = std::to_string(2'000'000'000 - entry.mtime_ns);
  }
  const bool negative = entry.mtime < 0 && seconds == 0;
  return (negative ? "-" : "") + std::to_string(seconds) + "." + nanoseconds.substr(1);
}

std::string render_map(const Entry& entry) {
  std::string map = std::to_string(entry.extents.size()) + "\n";
  for (const Extent& extent : entry.extents)
    map += std::to_string(extent.offset) + "\n" + std::to_string(extent.size) + "\n";
  map.resize(map.size() + static_cast<std::size_t>(padding(static_cast<std::int64_t>(map.size()))));
  return map;
}

std::string render_pax(const Entry& entry, std::int64_t stored_size) {
  std::string records;
  if (entry.sparse) {
    add_record(records, "GNU.sparse.major", "1");
    add_record(records, "GNU.sparse.minor", "0");
    add_record(records, "GNU.sparse.name", entry.path);
    add_record(records, "GNU.sparse.realsize", std::to_string(entry.size));
  } else if (entry.path.size() > kNameSize) {
    add_record(records, "path", entry.path);
  }
  if (entry.link.size() > kNameSize) add_record(records, "linkpath", entry.link);
  add_number(records, "size", stored_size, kMaxOctal11);
  add_number(records, "uid", entry.uid, kMaxOctal7);
  add_number(records, "gid", entry.gid, kMaxOctal7);
  if (entry.mtime_ns != 0 || entry.mtime < 0 || entry.mtime > kMaxOctal11)
    add_record(records, "mtime", time_text(entry));
  for (const auto& [name, value] : entry.xattrs) add_record(records, "SCHILY.xattr." + name, value);
  return records;
}

}  // namespace

std::int64_t data_size(const Entry& entry) {
  if (entry.kind != EntryKind::kFile) return 0;
  if (!entry.sparse) return entry.size;
  std::int64_t size = 0;
  for (const Extent& extent : entry.extents) size += extent.size;
  return size;
}

std::string render_entry(const Entry& entry) {
  const std::string map = entry.sparse ? render_map(entry) : "";
  const std::int64_t stored = data_size(entry) + static_cast<std::int64_t>(map.size());
  std::string out;
  std::string pax = render_pax(entry, stored);
  if (!pax.empty()) {
    const auto size = static_cast<std::int64_t>(pax.size());
    out += render_block({.name = "PaxHeader", .type = 'x', .mode = 0644, .size = size});
    pax.resize(pax.size() + static_cast<std::size_t>(padding(size)));
    out += pax;
  }
  const std::string name = entry.sparse ? "GNUSparseFile.0/" + entry.path : entry.path;
  out += render_block({.name = name,
                       .link = entry.link,
                       .type = type_flag(entry.kind),
                       .mode = entry.mode,
                       .uid = entry.uid,
                       .gid = entry.gid,
                       .size = stored,
                       .mtime = entry.mtime,
                       .major = entry.device_major,
                       .minor = entry.device_minor});
  return out + map;
}

std::string render_end() { return std::string(2 * kBlock, '\0'); }

}  // namespace cocoon::tree_copy
