// SPDX-License-Identifier: Apache-2.0
// Phrases that known clients match on in our error output (spec 05 §7.1). Changing one breaks them.
#pragma once

#include <string_view>

namespace cocoon::model {

inline constexpr std::string_view kVmNotFound = "vm not found";
inline constexpr std::string_view kSnapshotNotFound = "snapshot not found";
inline constexpr std::string_view kImageNotFound = "image not found";
inline constexpr std::string_view kKernelNotFound = "kernel not found";
inline constexpr std::string_view kAlreadyExists = "already exists";

}  // namespace cocoon::model
