// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <optional>
#include <tuple>

#include "tree_copy/tar.h"

namespace cocoon::tree_copy {
namespace {

constexpr std::int64_t kMaxExtension = 1024 * 1024;  // of one pax header or long name
constexpr std::size_t kMaxExtents = 1'000'000;
constexpr std::size_t kMaxXattrs = 1024;
constexpr int kMaxExtensions = 16;  // in front of one entry
constexpr std::int64_t kMaxSize = std::int64_t{1} << 60;
constexpr std::size_t kChecksumAt = 148;

using Block = std::array<char, kBlock>;

std::string_view field(const Block& block, std::size_t at, std::size_t size) {
  std::string_view text(block.data() + at, size);
  return text.substr(0, text.find('\0'));
}

// Octal text, or a big-endian number behind a byte 0x80.
std::optional<std::int64_t> number(const Block& block, std::size_t at, std::size_t size) {
  if (block[at] == '\x80') {
    std::int64_t value = 0;
    for (std::size_t i = 1; i < size; ++i) {
      if (value > kMaxSize >> 8) return std::nullopt;
      value = value << 8 | static_cast<unsigned char>(block[at + i]);
    }
    return value;
  }
  std::string_view text(block.data() + at, size);
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  std::int64_t value = 0;
  std::size_t digits = 0;
  for (const char c : text) {
    if (c < '0' || c > '7') {
      if (c != ' ' && c != '\0') return std::nullopt;
      break;
    }
    if (++digits > 20) return std::nullopt;
    value = value << 3 | (c - '0');
  }
  return value;
}

bool is_zero(const Block& block) {
  return std::all_of(block.begin(), block.end(), [](char c) { return c == '\0'; });
}

bool checksum_fits(const Block& block) {
  const auto stored = number(block, kChecksumAt, 8);
  std::int64_t sum = 8 * ' ';
  for (std::size_t i = 0; i < kBlock; ++i)
    if (i < kChecksumAt || i >= kChecksumAt + 8) sum += static_cast<unsigned char>(block[i]);
  return stored && *stored == sum;
}

std::optional<std::int64_t> decimal(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// What the headers in front of an entry say about it.
struct Extras {
  std::optional<std::string> path, link, sparse_name;
  std::optional<std::int64_t> size, uid, gid, real_size;
  std::optional<std::pair<std::int64_t, std::int64_t>> mtime;
  std::vector<std::pair<std::string, std::string>> xattrs;
  std::string sparse_major;
  bool sparse = false;
};

bool set_number(std::optional<std::int64_t>& to, std::string_view value) {
  to = decimal(value);
  return to && *to >= 0 && *to <= kMaxSize;
}

bool set_time(Extras& extras, std::string_view value) {
  const std::size_t dot = std::min(value.find('.'), value.size());
  const auto seconds = decimal(value.substr(0, dot));
  if (!seconds) return false;
  std::string digits(value.substr(std::min(dot + 1, value.size()), 9));
  digits.resize(9, '0');
  const auto nanoseconds = decimal(digits);
  if (!nanoseconds || *nanoseconds < 0) return false;
  extras.mtime = {*seconds, *seconds < 0 ? 0 : *nanoseconds};
  return true;
}

bool apply_record(Extras& extras, std::string_view key, std::string_view value) {
  constexpr std::string_view kXattr = "SCHILY.xattr.";
  if (key == "path") {
    extras.path = value;
  } else if (key == "linkpath") {
    extras.link = value;
  } else if (key == "size") {
    return set_number(extras.size, value);
  } else if (key == "uid") {
    return set_number(extras.uid, value);
  } else if (key == "gid") {
    return set_number(extras.gid, value);
  } else if (key == "mtime") {
    return set_time(extras, value);
  } else if (key == "GNU.sparse.major") {
    extras.sparse = true;
    extras.sparse_major = value;
  } else if (key == "GNU.sparse.name") {
    extras.sparse_name = value;
  } else if (key == "GNU.sparse.realsize") {
    return set_number(extras.real_size, value);
  } else if (key.starts_with(kXattr)) {
    if (extras.xattrs.size() >= kMaxXattrs) return false;
    extras.xattrs.emplace_back(key.substr(kXattr.size()), value);
  }
  return true;
}

bool apply_pax(Extras& extras, std::string_view text) {
  while (!text.empty()) {
    const std::size_t space = text.find(' ');
    if (space == std::string_view::npos) return false;
    const auto length = decimal(text.substr(0, space));
    if (!length || *length <= static_cast<std::int64_t>(space) + 2 ||
        *length > static_cast<std::int64_t>(text.size()))
      return false;
    std::string_view record = text.substr(0, static_cast<std::size_t>(*length));
    text.remove_prefix(record.size());
    if (record.back() != '\n') return false;
    record = record.substr(space + 1, record.size() - space - 2);
    const std::size_t equals = record.find('=');
    if (equals == std::string_view::npos) return false;
    if (!apply_record(extras, record.substr(0, equals), record.substr(equals + 1))) return false;
  }
  return true;
}

bool read_extension(ByteSource& source, std::int64_t size, std::string& text) {
  if (size < 0 || size > kMaxExtension) return false;
  text.resize(static_cast<std::size_t>(size + padding(size)));
  if (!source.read(text.data(), text.size())) return false;
  text.resize(static_cast<std::size_t>(size));
  return true;
}

bool take_extension(ByteSource& source, char type, std::int64_t size, Extras& extras) {
  std::string text;
  if (!read_extension(source, size, text)) return false;
  if (type == 'x') return apply_pax(extras, text);
  if (type == 'g') return true;  // for the whole archive: a comment, mostly
  text = text.substr(0, text.find('\0'));
  (type == 'L' ? extras.path : extras.link) = text;
  return true;
}

std::optional<EntryKind> kind_of(char type) {
  switch (type) {
    case '\0':
    case '0':
    case '7':
      return EntryKind::kFile;
    case '1':
      return EntryKind::kHardLink;
    case '2':
      return EntryKind::kSymlink;
    case '3':
      return EntryKind::kCharDevice;
    case '4':
      return EntryKind::kBlockDevice;
    case '5':
      return EntryKind::kDirectory;
    case '6':
      return EntryKind::kFifo;
    default:
      return std::nullopt;
  }
}

bool fill_numbers(const Block& block, const Extras& extras, Entry& entry) {
  const auto mode = number(block, 100, 8);
  const auto uid = number(block, 108, 8);
  const auto gid = number(block, 116, 8);
  const auto size = number(block, 124, 12);
  const auto mtime = number(block, 136, 12);
  if (!mode || !uid || !gid || !size || !mtime || *size < 0) return false;
  entry.mode = static_cast<unsigned>(*mode) & 07777;
  entry.uid = extras.uid.value_or(*uid);
  entry.gid = extras.gid.value_or(*gid);
  entry.size = extras.size.value_or(*size);
  entry.mtime = *mtime;
  if (extras.mtime) std::tie(entry.mtime, entry.mtime_ns) = *extras.mtime;
  entry.device_major = number(block, 329, 8).value_or(0);
  entry.device_minor = number(block, 337, 8).value_or(0);
  constexpr std::int64_t kMaxId = 0xfffffffe;
  return entry.uid <= kMaxId && entry.gid <= kMaxId && entry.size <= kMaxSize;
}

void fill_names(const Block& block, const Extras& extras, Entry& entry) {
  std::string path(field(block, 0, 100));
  const bool posix = std::string_view(block.data() + 257, 6) == std::string_view("ustar\0", 6);
  const std::string_view prefix = posix ? field(block, 345, 155) : std::string_view();
  if (!prefix.empty()) path = std::string(prefix) + "/" + path;
  entry.path = extras.sparse_name ? *extras.sparse_name : extras.path.value_or(path);
  entry.link = extras.link.value_or(std::string(field(block, 157, 100)));
  entry.xattrs = extras.xattrs;
}

// Numbers, one a line, in blocks of their own at the start of the data.
class MapReader {
 public:
  explicit MapReader(ByteSource& source) : source_(source) {}

  std::optional<std::int64_t> next() {
    std::string digits;
    for (;;) {
      if (at_ == kBlock) {
        if (!source_.read(block_.data(), kBlock)) return std::nullopt;
        at_ = 0;
        taken_ += kBlock;
      }
      const char c = block_[at_++];
      if (c == '\n') return decimal(digits);
      digits += c;
      if (digits.size() > 20) return std::nullopt;
    }
  }
  std::int64_t taken() const { return static_cast<std::int64_t>(taken_); }

 private:
  ByteSource& source_;
  Block block_{};
  std::size_t at_ = kBlock;
  std::size_t taken_ = 0;
};

bool read_map(ByteSource& source, const Extras& extras, Entry& entry) {
  if (extras.sparse_major != "1" || !extras.real_size || entry.kind != EntryKind::kFile)
    return false;
  const std::int64_t stored = entry.size;
  entry.sparse = true;
  entry.size = *extras.real_size;
  MapReader map(source);
  const auto count = map.next();
  if (!count || *count < 0 || *count > static_cast<std::int64_t>(kMaxExtents)) return false;
  std::int64_t end = 0;
  for (std::int64_t i = 0; i < *count; ++i) {
    const auto offset = map.next();
    const auto size = map.next();
    if (!offset || !size || *offset < end || *size < 0 || *size > kMaxSize || *offset > kMaxSize ||
        *offset + *size > entry.size || map.taken() > stored)
      return false;
    entry.extents.push_back({*offset, *size});
    end = *offset + *size;
  }
  return data_size(entry) == stored - map.taken();
}

}  // namespace

ReadResult read_entry(ByteSource& source, Entry& entry, std::string& why) {
  const auto bad = [&why](const char* text) {
    why = text;
    return ReadResult::kBad;
  };
  Extras extras;
  Block block;
  for (int headers = 0; headers <= kMaxExtensions; ++headers) {
    if (!source.read(block.data(), kBlock)) return bad("the archive is cut off");
    if (is_zero(block)) return headers == 0 ? ReadResult::kEnd : bad("a header without its entry");
    if (!checksum_fits(block)) return bad("not a tar archive, or a damaged one");
    const char type = block[156];
    if (type == 'x' || type == 'g' || type == 'L' || type == 'K') {
      const auto size = number(block, 124, 12);
      if (!size || !take_extension(source, type, *size, extras))
        return bad("a damaged extended header");
      continue;
    }
    const auto kind = kind_of(type);
    if (!kind) return bad("an entry of a kind that is not known");
    entry = Entry();
    entry.kind = *kind;
    if (!fill_numbers(block, extras, entry)) return bad("a number out of range");
    fill_names(block, extras, entry);
    if (extras.sparse && !read_map(source, extras, entry)) return bad("a damaged sparse file");
    if (entry.kind != EntryKind::kFile) {
      if (entry.size != 0 && entry.kind != EntryKind::kHardLink &&
          entry.kind != EntryKind::kDirectory)
        return bad("data where there can be none");
      entry.size = 0;
    }
    return ReadResult::kEntry;
  }
  return bad("too many headers before an entry");
}

}  // namespace cocoon::tree_copy
