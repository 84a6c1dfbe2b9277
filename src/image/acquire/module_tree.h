// SPDX-License-Identifier: Apache-2.0
// A kernel's module directory (/lib/modules/<version>) as the user gives it to us.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "image/acquire/module_index.h"
#include "sys/files.h"

namespace cocoon::image {

struct ModuleTree {
  sys::fs::path path;  // the directory that holds kernel/ and modules.*
  std::string digest;  // hex digits, of names, links and contents
};

// Finds the tree in what the user named: the directory itself, or one above it (lib/modules, or the
// root of an unpacked package). `version` is the kernel's; empty if unknown. kInvalid when there is
// none or it is ambiguous.
Result<ModuleTree> find_module_tree(const sys::fs::path& given, const std::string& version);

// Copies the tree to `<base>/lib/modules/<version>` (root's, without the build links) and makes the
// index files with depmod(8) when they are missing. Returns the copy's directory.
Result<sys::fs::path> stage_module_tree(const ModuleTree& tree, const std::string& version,
                                        const sys::fs::path& base);

// The index files of a tree; they must be there.
Result<ModuleIndex> read_module_index(const sys::fs::path& tree);

// One module, uncompressed (.ko, .ko.gz, .ko.xz, .ko.zst).
Result<std::string> read_module(const sys::fs::path& tree, const std::string& path);

// The kernel version that a module was built for; empty when it does not say.
std::string module_version(std::string_view module);

}  // namespace cocoon::image
