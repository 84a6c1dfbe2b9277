// SPDX-License-Identifier: Apache-2.0
#include "model/guest_files.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/text.h"

namespace cocoon::model {
namespace {

bool is_layer_file(std::string_view name) {
  constexpr std::string_view kLead = "layer";
  constexpr std::string_view kEnd = ".erofs";
  if (name == kModulesFile) return true;
  if (!name.starts_with(kLead) || !name.ends_with(kEnd)) return false;
  auto index = parse_decimal(name.substr(kLead.size(), name.size() - kLead.size() - kEnd.size()));
  return index && layer_file(static_cast<std::size_t>(*index)) == name;
}

}  // namespace

std::string layer_file(std::size_t index) { return fmt::format("layer{}.erofs", index); }

bool has_usual_name(const Disk& disk) {
  switch (disk.role) {
    case DiskRole::kLayer:
      return is_layer_file(disk.path);
    case DiskRole::kCow:
      if (disk.backing.empty()) return disk.path == kCowFile;
      return disk.path == kOverlayFile && disk.backing == kBaseFile;
    case DiskRole::kCidata:
      return disk.path == kSeedFile;
    case DiskRole::kData:
      return disk.path == fmt::format("data-{}.raw", disk.serial);
  }
  return false;
}

bool is_member_name(std::string_view name) {
  auto good = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  };
  return !name.empty() && name.size() <= 255 && name[0] != '.' &&
         std::all_of(name.begin(), name.end(), good);
}

}  // namespace cocoon::model
