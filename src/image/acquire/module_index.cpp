// SPDX-License-Identifier: Apache-2.0
#include "image/acquire/module_index.h"

#include <algorithm>
#include <array>

#include "base/text.h"

namespace cocoon::image {
namespace {

constexpr std::size_t kMostModules = 100'000;

// Without them no guest comes up.
constexpr std::array<std::string_view, 3> kEssential{"virtio_blk", "erofs", "overlay"};
// For every guest, as far as the kernel has them. What reports a panic comes first: without it a
// guest that panics would only reboot, again and again. Then the transports.
constexpr std::array<std::string_view, 18> kAlways{
    "pvpanic",        "pvpanic_mmio", "pvpanic_pci",    "virtio_pci", "virtio_mmio",
    "virtio_blk",     "erofs",        "overlay",        "ext4",       "virtio_net",
    "virtio_balloon", "virtio_rng",   "virtio_console", "vsock",      "vmw_vsock_virtio_transport",
    "button",         "evdev",        "qemu_fw_cfg"};
// Loaded only where a disk of the VM has this file system.
constexpr std::array<std::string_view, 2> kFileSystems{"xfs", "btrfs"};

std::vector<std::string_view> words(std::string_view line) {
  std::vector<std::string_view> out;
  for (std::string_view word : split(line, ' ')) {
    word = trim(word);
    if (!word.empty()) out.push_back(word);
  }
  return out;
}

Result<void> check_path(std::string_view path) {
  bool good = !path.empty() && path.size() < 512 && path[0] != '/';
  for (std::string_view part : split(path, '/')) good = good && part != ".." && !part.empty();
  if (good) return {};
  return fail(ErrorKind::kCorrupt, "modules.dep: path \"{}\"", path);
}

using Needs = std::map<std::string, std::vector<std::string>, std::less<>>;

// Soft dependencies that come before a module: "softdep xfs pre: a b post: c".
Needs parse_softdeps(std::string_view text) {
  Needs needs;
  for (std::string_view line : split(text, '\n')) {
    auto parts = words(line);
    if (parts.size() < 3 || parts[0] != "softdep") continue;
    bool pre = false;
    for (std::size_t i = 2; i < parts.size(); ++i) {
      if (parts[i].ends_with(':')) {
        pre = parts[i] == "pre:";
      } else if (pre) {
        needs[module_name(parts[1])].emplace_back(parts[i]);
      }
    }
  }
  return needs;
}

// Aliases without wildcards, for soft dependencies on what modules provide ("crypto-crc32c").
Needs parse_aliases(std::string_view text) {
  Needs aliases;
  for (std::string_view line : split(text, '\n')) {
    auto parts = words(line);
    bool plain = parts.size() == 3 && parts[0] == "alias" &&
                 parts[1].find_first_of("*?[") == std::string_view::npos;
    if (plain) aliases[std::string(parts[1])].push_back(module_name(parts[2]));
  }
  return aliases;
}

std::string file_name(std::string_view path) { return module_name(path) + ".ko"; }

}  // namespace

std::string module_name(std::string_view path) {
  auto slash = path.rfind('/');
  if (slash != std::string_view::npos) path.remove_prefix(slash + 1);
  std::string name(path.substr(0, path.find(".ko")));
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

Result<ModuleIndex> ModuleIndex::parse(std::string_view dep, std::string_view builtin,
                                       std::string_view softdep, std::string_view alias) {
  ModuleIndex index;
  for (std::string_view line : split(dep, '\n')) {
    if (trim(line).empty()) continue;
    auto colon = line.find(':');
    if (colon == std::string_view::npos) {
      return fail(ErrorKind::kCorrupt, "modules.dep: line \"{}\"", line.substr(0, 80));
    }
    Module module;
    module.path = trim(line.substr(0, colon));
    COCOON_TRY(check_path(module.path));
    for (std::string_view need : words(line.substr(colon + 1))) {
      COCOON_TRY(check_path(need));
      module.needs.push_back(module_name(need));
    }
    // depmod names the nearest dependency first; the farthest must be loaded first.
    std::reverse(module.needs.begin(), module.needs.end());
    index.modules_[module_name(module.path)] = std::move(module);
    if (index.modules_.size() > kMostModules) {
      return fail(ErrorKind::kCorrupt, "modules.dep: more than {} modules", kMostModules);
    }
  }
  for (std::string_view line : split(builtin, '\n')) {
    if (!trim(line).empty()) index.builtin_.insert(module_name(trim(line)));
  }
  Needs aliases = parse_aliases(alias);
  for (const auto& [name, wants] : parse_softdeps(softdep)) {
    auto module = index.modules_.find(name);
    if (module == index.modules_.end()) continue;
    for (const std::string& want : wants) {
      auto& needs = module->second.needs;
      if (index.modules_.contains(module_name(want))) needs.push_back(module_name(want));
      auto provided = aliases.find(want);
      if (provided == aliases.end()) provided = aliases.find("crypto-" + want);
      if (provided == aliases.end()) continue;
      needs.insert(needs.end(), provided->second.begin(), provided->second.end());
    }
  }
  return index;
}

bool ModuleIndex::has_module(std::string_view name) const { return modules_.contains(name); }

bool ModuleIndex::is_builtin(std::string_view name) const { return builtin_.contains(name); }

void ModuleIndex::visit(const std::string& name, std::set<std::string>& seen,
                        std::vector<std::string>& out) const {
  auto module = modules_.find(name);
  // Seen before its needs are visited: a circle ends here.
  if (module == modules_.end() || !seen.insert(name).second) return;
  for (const std::string& need : module->second.needs) visit(need, seen, out);
  out.push_back(module->second.path);
}

std::vector<std::string> ModuleIndex::closure(std::string_view name) const {
  std::set<std::string> seen;
  std::vector<std::string> out;
  visit(std::string(name), seen, out);
  return out;
}

Result<std::vector<InitramfsModule>> plan_initramfs_modules(const ModuleIndex& index) {
  for (std::string_view name : kEssential) {
    if (index.has_module(name) || index.is_builtin(name) || !index.knows_builtin()) continue;
    return fail(ErrorKind::kInvalid, "this kernel has no {}: no guest can boot with it", name);
  }
  std::vector<InitramfsModule> plan;
  std::set<std::string> always;
  for (std::string_view name : kAlways) {
    for (const std::string& path : index.closure(name)) {
      if (always.insert(path).second) plan.push_back({path, file_name(path), ""});
    }
  }
  for (std::string_view fstype : kFileSystems) {
    for (const std::string& path : index.closure(fstype)) {
      if (!always.contains(path)) plan.push_back({path, file_name(path), std::string(fstype)});
    }
  }
  return plan;
}

}  // namespace cocoon::image
