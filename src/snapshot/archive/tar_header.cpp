// SPDX-License-Identifier: Apache-2.0
#include "snapshot/archive/tar_header.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/text.h"

namespace cocoon::snapshot {
namespace {

// Fields of a header block (pax(1), "ustar Interchange Format").
struct Field {
  std::size_t offset;
  std::size_t size;
};
constexpr Field kName{0, 100};
constexpr Field kMode{100, 8};
constexpr Field kUid{108, 8};
constexpr Field kGid{116, 8};
constexpr Field kSize{124, 12};
constexpr Field kMtime{136, 12};
constexpr Field kChecksum{148, 8};
constexpr std::size_t kType = 156;
constexpr Field kMagic{257, 6};
constexpr std::size_t kVersion = 263;
constexpr Field kPrefix{345, 155};
// Of the old GNU format.
constexpr Field kGnuSegments{386, 96};
constexpr std::size_t kGnuGoesOn = 482;
constexpr Field kGnuRealSize{483, 12};
constexpr Field kGnuBlockSegments{0, 504};
constexpr std::size_t kGnuBlockGoesOn = 504;
constexpr std::size_t kGnuNumber = 12;

constexpr std::int64_t kMostOctal = (std::int64_t{1} << 33) - 1;  // 11 digits: 8 GiB - 1

std::string_view bytes_of(std::string_view block, Field field) {
  return block.substr(field.offset, field.size);
}

std::string text_of(std::string_view block, Field field) {
  std::string_view bytes = bytes_of(block, field);
  return std::string(bytes.substr(0, bytes.find('\0')));
}

void put(std::string& block, Field field, std::string_view text) {
  block.replace(field.offset, text.size(), text);
}

// Digits that fill the field but for a NUL.
void put_octal(std::string& block, Field field, std::int64_t value) {
  put(block, field, fmt::format("{:0{}o}", value, field.size - 1));
}

std::int64_t checksum(std::string_view block, bool is_signed) {
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < block.size(); ++i) {
    bool blank = i >= kChecksum.offset && i < kChecksum.offset + kChecksum.size;
    char c = blank ? ' ' : block[i];
    sum += is_signed ? static_cast<signed char>(c) : static_cast<unsigned char>(c);
  }
  return sum;
}

std::string header_block(std::string_view name, char type, std::uint32_t mode, std::int64_t size,
                         std::int64_t mtime) {
  std::string block(kTarBlock, '\0');
  put(block, kName, name.substr(0, kName.size));
  put_octal(block, kMode, mode);
  put_octal(block, kUid, 0);
  put_octal(block, kGid, 0);
  put_octal(block, kSize, size);
  put_octal(block, kMtime, mtime);
  block[kType] = type;
  put(block, kMagic, "ustar");
  block[kVersion] = block[kVersion + 1] = '0';
  put(block, kChecksum, fmt::format("{:06o}", checksum(block, false)));
  block[kChecksum.offset + 7] = ' ';
  return block;
}

Result<std::int64_t> parse_base256(std::string_view field) {
  // The first bit is the mark, the second the sign.
  if ((static_cast<unsigned char>(field[0]) & 0x40) != 0) {
    return fail(ErrorKind::kCorrupt, "a negative number in a tar header");
  }
  std::uint64_t value = static_cast<unsigned char>(field[0]) & 0x3f;
  for (char c : field.substr(1)) {
    if (value >> 55 != 0) return fail(ErrorKind::kCorrupt, "a number in a tar header is too large");
    value = value << 8 | static_cast<unsigned char>(c);
  }
  return static_cast<std::int64_t>(value);
}

// Up to the first entry that is not used.
Result<Segments> parse_gnu_segments(std::string_view bytes) {
  Segments out;
  for (std::size_t at = 0; at + 2 * kGnuNumber <= bytes.size(); at += 2 * kGnuNumber) {
    if (bytes[at] == '\0') break;
    Segment segment;
    segment.offset = COCOON_TRY(parse_number(bytes.substr(at, kGnuNumber)));
    segment.length = COCOON_TRY(parse_number(bytes.substr(at + kGnuNumber, kGnuNumber)));
    out.push_back(segment);
  }
  return out;
}

}  // namespace

std::string pax_record(std::string_view key, std::string_view value) {
  std::size_t rest = key.size() + value.size() + 3;  // blank, '=', newline
  std::size_t length = rest + 1;
  while (fmt::formatted_size("{}", length) + rest != length) {
    length = fmt::formatted_size("{}", length) + rest;
  }
  return fmt::format("{} {}={}\n", length, key, value);
}

std::pair<std::string, Segments> sparse_records(const Segments& segments, std::int64_t size) {
  // What else the header may hold: both keys and their lengths, the logical and the stored size.
  constexpr std::size_t kOthers = 256;
  Segments fitting = merged_to_fit(segments, kMaxPaxBytes - kOthers);
  std::string records = pax_record(kSparseMapKey, render_map(fitting)) +
                        pax_record(kSparseSizeKey, fmt::format("{}", size));
  return {std::move(records), std::move(fitting)};
}

std::string render_header(const TarFile& file) {
  std::string pax = file.pax;
  std::int64_t size = file.size;
  if (size > kMostOctal) {
    pax += pax_record("size", fmt::format("{}", size));  // sorts behind our keys
    size = 0;
  }
  std::string out;
  if (!pax.empty()) {
    auto bytes = static_cast<std::int64_t>(pax.size());
    out = header_block("PaxHeaders.0/" + file.name, 'x', 0, bytes, 0) + pax + padding(bytes);
  }
  std::int64_t mtime = std::clamp<std::int64_t>(file.mtime, 0, kMostOctal);
  return out + header_block(file.name, '0', file.mode, size, mtime);
}

std::string padding(std::int64_t size) {
  std::size_t rest = static_cast<std::size_t>(size) % kTarBlock;
  return std::string(rest == 0 ? 0 : kTarBlock - rest, '\0');
}

bool is_zero_block(std::string_view block) {
  return std::all_of(block.begin(), block.end(), [](char c) { return c == '\0'; });
}

Result<std::int64_t> parse_number(std::string_view field) {
  if ((static_cast<unsigned char>(field[0]) & 0x80) != 0) return parse_base256(field);
  std::int64_t value = 0;
  bool ended = false;
  std::size_t first = field.find_first_not_of(' ');
  for (char c : field.substr(first == std::string_view::npos ? field.size() : first)) {
    if (c == ' ' || c == '\0') {
      ended = true;
    } else if (ended || c < '0' || c > '7') {
      return fail(ErrorKind::kCorrupt, "a number in a tar header is none");
    } else {
      value = value * 8 + (c - '0');  // 12 digits at most
    }
  }
  return value;
}

Result<RawHeader> parse_header(std::string_view block) {
  auto noted = parse_number(bytes_of(block, kChecksum));
  if (!noted || (*noted != checksum(block, false) && *noted != checksum(block, true))) {
    return fail(ErrorKind::kCorrupt, "no tar archive, or a damaged one: wrong header checksum");
  }
  RawHeader header;
  header.name = text_of(block, kName);
  header.type = block[kType] == '\0' ? '0' : block[kType];
  header.size = COCOON_TRY(parse_number(bytes_of(block, kSize)));
  std::string_view magic = bytes_of(block, kMagic);
  // The old GNU format has other fields in the place of the prefix.
  if (magic.substr(0, 5) == "ustar" && magic != "ustar ") {
    std::string prefix = text_of(block, kPrefix);
    if (!prefix.empty()) header.name = prefix + "/" + header.name;
  }
  return header;
}

Result<PaxRecords> parse_pax(std::string_view bytes) {
  PaxRecords records;
  while (!bytes.empty()) {
    std::size_t blank = bytes.find(' ');
    auto length = blank == std::string_view::npos || blank > 9
                      ? std::optional<std::uint64_t>()
                      : parse_decimal(bytes.substr(0, blank));
    bool good =
        length && *length > blank + 2 && *length <= bytes.size() && bytes[*length - 1] == '\n';
    if (!good) return fail(ErrorKind::kCorrupt, "a damaged extended header");
    std::string_view record = bytes.substr(blank + 1, *length - blank - 2);
    std::size_t equal = record.find('=');
    if (equal == std::string_view::npos || equal == 0) {
      return fail(ErrorKind::kCorrupt, "a damaged extended header");
    }
    records.emplace_back(record.substr(0, equal), record.substr(equal + 1));
    bytes.remove_prefix(*length);
  }
  return records;
}

Result<GnuSparse> parse_gnu_sparse_header(std::string_view block) {
  GnuSparse out;
  out.segments = COCOON_TRY(parse_gnu_segments(bytes_of(block, kGnuSegments)));
  out.goes_on = block[kGnuGoesOn] != '\0';
  out.real_size = COCOON_TRY(parse_number(bytes_of(block, kGnuRealSize)));
  return out;
}

Result<GnuSparse> parse_gnu_sparse_block(std::string_view block) {
  GnuSparse out;
  out.segments = COCOON_TRY(parse_gnu_segments(bytes_of(block, kGnuBlockSegments)));
  out.goes_on = block[kGnuBlockGoesOn] != '\0';
  return out;
}

}  // namespace cocoon::snapshot
