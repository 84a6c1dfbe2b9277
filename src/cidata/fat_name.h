// SPDX-License-Identifier: Apache-2.0
// Names in a FAT directory: 8.3 names and VFAT long names (Microsoft's FAT specification 1.03;
// spec 05 §3.1).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace cocoon::cidata {

struct FatName {
  std::string short_name;  // 11 bytes: base and extension, each padded with spaces
  std::string long_name;   // empty: the short name says it all
};

// Names for the directory's files, in the given order. A name that is no upper-case 8.3 name gets a
// long one and the short form BASE~k, k counting such names from 1. kInvalid for a name that is
// empty, longer than 255, not printable ASCII, holds one of "*/:<>?\| or begins or ends with a
// space or ends with a dot, and for two names that are equal but for their case.
Result<std::vector<FatName>> fat_names(const std::vector<std::string>& names);

// The 32-byte directory entries of the long name, in the order they stand before the short one;
// empty when there is no long name.
std::string long_name_entries(const FatName& name);

}  // namespace cocoon::cidata
