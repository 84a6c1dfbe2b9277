// SPDX-License-Identifier: Apache-2.0
// Which QEMU is installed.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/error.h"
#include "vmm/capabilities.h"

namespace cocoon::vmm::qemu {

// The absolute path of the program. kUnsupported when it is not installed.
Result<std::string> find_qemu(const std::string& binary);

// Its version, remembered in `run_dir`.
Result<Version> qemu_version(const std::string& path, const std::filesystem::path& run_dir);

// "QEMU emulator version 7.2.22 (Debian …)" -> 7.2.22. kUnsupported for any other text.
Result<Version> parse_version(std::string_view output);

}  // namespace cocoon::vmm::qemu
