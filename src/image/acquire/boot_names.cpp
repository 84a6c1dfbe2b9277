// SPDX-License-Identifier: Apache-2.0
#include "image/acquire/boot_names.h"

#include <algorithm>
#include <array>

#include "base/text.h"

namespace cocoon::image {
namespace {

// usr/lib/modules/<version>, lib/modules/<version>.
std::optional<std::string_view> module_version(std::string_view dir) {
  for (std::string_view above : {"usr/lib/modules/", "lib/modules/"}) {
    if (!dir.starts_with(above)) continue;
    std::string_view version = dir.substr(above.size());
    if (!version.empty() && version.find('/') == std::string_view::npos) return version;
  }
  return std::nullopt;
}

// Leftovers of package managers and files of other purposes.
bool is_foreign(std::string_view name) {
  if (name.ends_with(".old") || name.ends_with(".bak") || name.ends_with(".sig")) return true;
  return name.find(".dpkg-") != std::string_view::npos ||
         name.find("kdump") != std::string_view::npos ||
         name.find("rescue") != std::string_view::npos;
}

std::string without_suffix(std::string_view text, std::string_view suffix) {
  if (text.ends_with(suffix)) text.remove_suffix(suffix.size());
  return std::string(text);
}

// The text after `stem` when the name is the stem itself or goes on with '-'.
std::optional<std::string_view> after(std::string_view name, std::string_view stem) {
  if (!name.starts_with(stem)) return std::nullopt;
  std::string_view rest = name.substr(stem.size());
  if (rest.empty()) return rest;
  if (rest[0] != '-') return std::nullopt;
  return rest.substr(1);
}

std::optional<BootName> parse_name(std::string_view name, bool in_boot) {
  for (std::string_view stem : {"vmlinuz", "vmlinux"}) {
    if (auto version = after(name, stem)) return BootName{BootKind::kKernel, std::string(*version)};
  }
  if (in_boot && (name == "Image" || name == "bzImage")) return BootName{BootKind::kKernel, ""};
  if (auto version = after(name, "initrd.img")) {
    return BootName{BootKind::kInitrd, std::string(*version)};
  }
  for (std::string_view stem : {"initramfs", "initrd"}) {
    std::string bare = without_suffix(name, ".img");
    if (auto version = after(bare, stem)) {
      return BootName{BootKind::kInitrd, std::string(*version)};
    }
  }
  return std::nullopt;
}

}  // namespace

bool is_plain_text(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
}

std::optional<BootName> parse_boot_name(std::string_view path) {
  auto slash = path.rfind('/');
  std::string_view dir = slash == std::string_view::npos ? "" : path.substr(0, slash);
  std::string_view name = slash == std::string_view::npos ? path : path.substr(slash + 1);
  if (!is_plain_text(path) || is_foreign(name)) return std::nullopt;
  if (dir.empty() || dir == "boot") return parse_name(name, dir == "boot");
  auto version = module_version(dir);
  if (version && name == "vmlinuz") return BootName{BootKind::kKernel, std::string(*version)};
  return std::nullopt;
}

bool is_boot_directory(std::string_view path) {
  constexpr std::array<std::string_view, 6> kDirectories{
      "boot", "usr", "usr/lib", "usr/lib/modules", "lib", "lib/modules"};
  if (std::find(kDirectories.begin(), kDirectories.end(), path) != kDirectories.end()) return true;
  return is_plain_text(path) && module_version(path).has_value();
}

}  // namespace cocoon::image
