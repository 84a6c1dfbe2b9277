// SPDX-License-Identifier: Apache-2.0
// Which VMM program is installed.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "vmm/capabilities.h"

namespace cocoon::vmm {

// Where a program is asked for its version, and how the answer is read.
struct VersionQuestion {
  const char* fact = "";  // name of the small file in the run directory: "qemu-version"
  // First line of `--version` -> the version; kUnsupported for any other text.
  std::function<Result<Version>(std::string_view)> parse;
};

// The absolute path of the program (a path, or a name in PATH). kUnsupported when it is not
// installed; `remedy` follows in brackets: "package qemu-system-x86".
Result<std::string> find_binary(const std::string& binary, std::string_view remedy);

// Asks the program for its version, or remembers the answer of an earlier command for the same file
// (path, inode, size, mtime) in `run_dir`. kUnsupported: the program says something else.
Result<Version> installed_version(const std::string& path, const std::filesystem::path& run_dir,
                                  const VersionQuestion& question);

// kUnsupported: `found` is older than `oldest`, said with the program's path.
Result<void> check_oldest(const std::string& path, const Version& found, const Version& oldest);

// Reads "7.2.22…" after `lead` at the beginning of `line`; what follows the numbers is free. Of the
// three numbers at least `least` must be there. kUnsupported for any other text.
Result<Version> parse_version_line(std::string_view line, std::string_view lead,
                                   std::size_t least = 3);

}  // namespace cocoon::vmm
