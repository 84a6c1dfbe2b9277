// SPDX-License-Identifier: Apache-2.0
#include "vmm/saved.h"

#include <array>

namespace cocoon::vmm {
namespace {

constexpr std::array kModes{RestoreMode::kAuto, RestoreMode::kCopy, RestoreMode::kOnDemand,
                            RestoreMode::kMmap};

}  // namespace

std::string_view restore_mode_name(RestoreMode mode) {
  switch (mode) {
    case RestoreMode::kAuto:
      return "auto";
    case RestoreMode::kCopy:
      return "copy";
    case RestoreMode::kOnDemand:
      return "ondemand";
    case RestoreMode::kMmap:
      return "mmap";
  }
  return "";
}

Result<RestoreMode> parse_restore_mode(std::string_view text) {
  for (RestoreMode mode : kModes) {
    if (restore_mode_name(mode) == text) return mode;
  }
  return fail(ErrorKind::kInvalid, "restore mode \"{}\": must be auto, copy, ondemand or mmap",
              text);
}

std::string stand_in_name(std::size_t index) { return fmt::format("old{}", index); }

}  // namespace cocoon::vmm
