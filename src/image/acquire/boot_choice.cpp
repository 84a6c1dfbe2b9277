// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include <algorithm>
#include <map>

#include "base/text.h"
#include "image/acquire/boot_names.h"
#include "image/acquire/boot_scan.h"

namespace cocoon::image {
namespace {

using model::BootEntry;
using Tree = std::map<std::string, BootEntry>;  // files and links that are visible, by path

void erase_below(Tree& tree, const std::string& dir) {
  std::string prefix = dir + "/";
  std::erase_if(tree, [&](const auto& item) { return item.first.starts_with(prefix); });
}

// What is visible once all layers lie on top of each other.
Tree overlay(const std::vector<std::vector<BootEntry>>& layers) {
  Tree tree;
  for (const auto& layer : layers) {
    // What a layer hides, it hides of the layers below only.
    for (const BootEntry& entry : layer) {
      if (entry.type == BootEntry::Type::kOpaque) erase_below(tree, entry.path);
      if (entry.type == BootEntry::Type::kWhiteout) {
        tree.erase(entry.path);
        erase_below(tree, entry.path);
      }
    }
    for (const BootEntry& entry : layer) {
      bool object = entry.type == BootEntry::Type::kFile || entry.type == BootEntry::Type::kSymlink;
      if (object) tree[entry.path] = entry;
    }
  }
  return tree;
}

// Where a link leads, as a path of the image without links in it.
std::string join(const std::string& link_path, const std::string& target) {
  std::vector<std::string> parts;
  auto walk = [&](std::string_view path) {
    for (std::string_view part : split(path, '/')) {
      if (part.empty() || part == ".") continue;
      if (part != "..") {
        parts.emplace_back(part);
      } else if (!parts.empty()) {
        parts.pop_back();
      }
    }
  };
  if (!target.starts_with('/')) {
    auto slash = link_path.rfind('/');
    if (slash != std::string::npos) walk(std::string_view(link_path).substr(0, slash));
  }
  walk(target);
  return fmt::format("{}", fmt::join(parts, "/"));
}

std::optional<BootEntry> resolve(const Tree& tree, const std::string& path) {
  std::string at = path;
  constexpr int kMostLinks = 8;
  for (int links = 0; links <= kMostLinks; ++links) {
    auto found = tree.find(at);
    if (found == tree.end()) return std::nullopt;
    if (found->second.type == BootEntry::Type::kFile) return found->second;
    at = join(at, found->second.target);
  }
  return std::nullopt;
}

struct Candidate {
  BootEntry file;
  std::string version;
};

std::vector<Candidate> candidates(const Tree& tree, BootKind kind) {
  std::vector<Candidate> found;
  for (const auto& [path, entry] : tree) {
    auto name = parse_boot_name(path);
    if (!name || name->kind != kind) continue;
    auto file = resolve(tree, path);
    if (!file) continue;
    // A link without a version has that of its target.
    auto target = parse_boot_name(file->path);
    if (name->version.empty() && target) name->version = target->version;
    found.push_back({std::move(*file), std::move(name->version)});
  }
  // The highest version first; of equal ones boot/ before /lib/modules (it sorts so).
  std::stable_sort(found.begin(), found.end(), [](const Candidate& a, const Candidate& b) {
    return strverscmp(a.version.c_str(), b.version.c_str()) > 0;
  });
  return found;
}

std::optional<BootEntry> matching(const std::vector<Candidate>& all, const std::string& version) {
  for (const Candidate& candidate : all) {
    if (candidate.version == version) return candidate.file;
  }
  return std::nullopt;
}

// The version that the image itself points at: boot/vmlinuz, then /vmlinuz.
std::optional<Candidate> preferred(const Tree& tree) {
  for (const char* path : {"boot/vmlinuz", "vmlinuz"}) {
    auto file = resolve(tree, path);
    if (!file) continue;
    auto name = parse_boot_name(file->path);
    return Candidate{*file, name ? name->version : ""};
  }
  return std::nullopt;
}

std::optional<BootFiles> choose(const Tree& tree) {
  auto kernels = candidates(tree, BootKind::kKernel);
  auto initrds = candidates(tree, BootKind::kInitrd);
  if (auto wanted = preferred(tree)) {
    auto initrd = matching(initrds, wanted->version);
    if (initrd) return BootFiles{wanted->file, *initrd};
  }
  for (const Candidate& kernel : kernels) {
    auto initrd = matching(initrds, kernel.version);
    if (initrd) return BootFiles{kernel.file, *initrd};
  }
  // One of each needs no version to belong together.
  auto same = [](const std::vector<Candidate>& all) {
    return !all.empty() && std::all_of(all.begin(), all.end(), [&](const Candidate& candidate) {
      return candidate.file.sha256 == all[0].file.sha256;
    });
  };
  if (same(kernels) && same(initrds)) return BootFiles{kernels[0].file, initrds[0].file};
  return std::nullopt;
}

}  // namespace

Result<std::optional<BootFiles>> choose_boot_files(
    const std::vector<std::vector<BootEntry>>& layers) {
  auto files = choose(overlay(layers));
  if (!files) return files;
  for (const BootEntry* file : {&files->kernel, &files->initrd}) {
    if (file->size == 0) {
      return fail(ErrorKind::kCorrupt, "{} in the image is empty", file->path);
    }
  }
  return files;
}

}  // namespace cocoon::image
