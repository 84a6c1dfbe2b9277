// SPDX-License-Identifier: Apache-2.0
// Which Cloud Hypervisor is installed.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/error.h"
#include "vmm/capabilities.h"

namespace cocoon::vmm::cloud_hypervisor {

// The oldest whose API takes our payloads: explicit image types and backing files came with 51.
inline constexpr Version kOldest{51, 0, 0};
// Memory that is reserved up front, so that a shortage of huge pages is an error of the start;
// `system_uuid` for what was `uuid` before.
inline constexpr Version kReservesMemory{53, 0, 0};

// The absolute path of the program. kUnsupported when it is not installed.
Result<std::string> find_program(const std::string& binary);

// Its version, remembered in `run_dir`. kUnsupported: older than kOldest.
Result<Version> program_version(const std::string& path, const std::filesystem::path& run_dir);

// "cloud-hypervisor v53.0" (or v51.1.0, v54.0.0-dev) -> 53.0.0. kUnsupported for any other text.
Result<Version> parse_version(std::string_view output);

}  // namespace cocoon::vmm::cloud_hypervisor
