// SPDX-License-Identifier: Apache-2.0
#include "cidata/fat_name.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <set>

#include "base/text.h"

namespace cocoon::cidata {
namespace {

constexpr std::size_t kMaxName = 255;
constexpr std::size_t kBase = 8;
constexpr std::size_t kExtension = 3;
constexpr std::size_t kEntrySize = 32;
constexpr std::size_t kCharactersPerEntry = 13;
constexpr unsigned char kLongNameAttribute = 0x0f;
constexpr unsigned kLastEntry = 0x40;

Result<void> check_name(std::string_view name) {
  bool printable = std::all_of(name.begin(), name.end(), [](char c) {
    return c >= 0x20 && c < 0x7f && std::string_view("\"*/:<>?\\|").find(c) == std::string::npos;
  });
  if (name.empty() || name.size() > kMaxName || !printable || name.front() == ' ' ||
      name.back() == ' ' || name.back() == '.') {
    return fail(ErrorKind::kInvalid, "\"{}\" is not a file name that FAT can hold",
                escape_controls(name));
  }
  return {};
}

// The character as a short name may hold it.
char short_character(char c) {
  if (c >= 'a' && c <= 'z') return static_cast<char>(c - 'a' + 'A');
  return std::string_view("+,;=[] ").find(c) == std::string_view::npos ? c : '_';
}

struct Parts {
  std::string base, extension;
  bool exact = true;  // nothing was changed to make them
};

Parts short_parts(std::string_view name) {
  Parts parts;
  auto dot = name.rfind('.');
  if (dot == 0) dot = std::string_view::npos;  // ".profile" is a base
  for (std::size_t i = 0; i < name.size(); ++i) {
    if (i == dot) continue;
    bool in_extension = dot != std::string_view::npos && i > dot;
    char c = short_character(name[i]);
    if (c != name[i] || c == '.') parts.exact = false;
    if (c != '.') (in_extension ? parts.extension : parts.base) += c;
  }
  if (parts.base.size() > kBase || parts.extension.size() > kExtension) parts.exact = false;
  return parts;
}

FatName make_name(std::string_view name, int& long_names) {
  Parts parts = short_parts(name);
  FatName made;
  if (!parts.exact) {
    made.long_name = name;
    std::string tail = fmt::format("~{}", ++long_names);
    parts.base = parts.base.substr(0, kBase - tail.size()) + tail;
    parts.extension = parts.extension.substr(0, kExtension);
  }
  parts.base.resize(kBase, ' ');
  parts.extension.resize(kExtension, ' ');
  made.short_name = parts.base + parts.extension;
  return made;
}

// Ties the long name's entries to the short one.
std::uint8_t checksum(std::string_view short_name) {
  unsigned sum = 0;
  for (char c : short_name) {
    sum = (((sum & 1U) << 7) | (sum >> 1)) + static_cast<unsigned char>(c);
    sum &= 0xffU;
  }
  return static_cast<std::uint8_t>(sum);
}

// The part with this number (from 0): 13 UCS-2 characters; 0 ends the name, 0xffff fills the rest.
std::string long_entry(const FatName& name, std::size_t number, bool last) {
  constexpr std::array<std::size_t, kCharactersPerEntry> kAt{1,  3,  5,  7,  9,  14, 16,
                                                             18, 20, 22, 24, 28, 30};
  std::string entry(kEntrySize, '\0');
  entry[0] = static_cast<char>((number + 1) | (last ? kLastEntry : 0U));
  entry[11] = static_cast<char>(kLongNameAttribute);
  entry[13] = static_cast<char>(checksum(name.short_name));
  for (std::size_t i = 0; i < kCharactersPerEntry; ++i) {
    std::size_t from = number * kCharactersPerEntry + i;
    if (from < name.long_name.size()) entry[kAt[i]] = name.long_name[from];
    if (from > name.long_name.size()) entry[kAt[i]] = entry[kAt[i] + 1] = '\xff';
  }
  return entry;
}

}  // namespace

Result<std::vector<FatName>> fat_names(const std::vector<std::string>& names) {
  std::vector<FatName> made;
  std::set<std::string> seen;
  std::set<std::string> seen_short;
  int long_names = 0;
  for (const std::string& name : names) {
    COCOON_TRY(check_name(name));
    made.push_back(make_name(name, long_names));
    if (!seen.insert(to_lower(name)).second || !seen_short.insert(made.back().short_name).second) {
      return fail(ErrorKind::kInvalid, "two files of a FAT image have the name \"{}\"", name);
    }
  }
  return made;
}

std::string long_name_entries(const FatName& name) {
  std::size_t count = (name.long_name.size() + kCharactersPerEntry - 1) / kCharactersPerEntry;
  std::string entries;
  for (std::size_t number = count; number > 0; --number) {
    entries += long_entry(name, number - 1, number == count);
  }
  return entries;
}

}  // namespace cocoon::cidata
