// SPDX-License-Identifier: Apache-2.0
// Which names in an image mean a kernel or an initrd. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace cocoon::image {

enum class BootKind { kKernel, kInitrd };

struct BootName {
  BootKind kind = BootKind::kKernel;
  std::string version;  // "6.1.0-18-amd64"; empty for "vmlinuz"
};

// What the file at this path of an image is, by its name alone (spec 02 §5.6, §17 B13).
std::optional<BootName> parse_boot_name(std::string_view path);

inline bool is_boot_name(std::string_view path) { return parse_boot_name(path).has_value(); }

// Is it a directory in which boot files may lie, or one above such a directory?
bool is_boot_directory(std::string_view path);

// Printable ASCII: what we store and print of names.
bool is_plain_text(std::string_view text);

}  // namespace cocoon::image
