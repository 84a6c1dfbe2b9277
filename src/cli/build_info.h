// SPDX-License-Identifier: Apache-2.0
// Facts about this build; the values are written by write_build_info.cmake.
#pragma once

#include <string_view>

namespace cocoon::cli {

struct BuildInfo {
  std::string_view version;   // "0.1.0"
  std::string_view git_hash;  // of HEAD, or "unknown"
  std::string_view built;     // YYYY-MM-DDTHH:MM:SS, UTC
  std::string_view id;        // equal in cocoon and its helpers of one build
};

const BuildInfo& build_info();

}  // namespace cocoon::cli
