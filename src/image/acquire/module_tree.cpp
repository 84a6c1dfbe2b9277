// SPDX-License-Identifier: Apache-2.0
#include "image/acquire/module_tree.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <functional>

#include "image/acquire/byte_source.h"
#include "image/acquire/digest.h"
#include "sys/cancel.h"
#include "sys/spawn.h"

namespace cocoon::image {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxIndex = std::size_t{64} << 20;
constexpr std::size_t kMaxModule = std::size_t{256} << 20;
constexpr int kDeepest = 32;

// One object of the tree: its path in it, and what lstat says.
using Visitor = std::function<Result<void>(const fs::path& name, const struct stat& info)>;

// Links to the sources that the kernel was built from; they mean nothing elsewhere.
bool is_build_link(const fs::path& name) { return name == "build" || name == "source"; }

// Depth first, names sorted: the same tree is always walked in the same order.
Result<void> walk(const fs::path& root, const fs::path& dir, int depth, const Visitor& visit) {
  COCOON_TRY(sys::check_cancelled());
  if (depth > kDeepest) return fail(ErrorKind::kInvalid, "{} is nested too deeply", root.native());
  for (const std::string& name : COCOON_TRY(sys::list_dir(root / dir))) {
    fs::path path = dir / name;
    if (is_build_link(path)) continue;
    struct stat info {};
    if (lstat((root / path).c_str(), &info) != 0) {
      return fail_errno(fmt::format("stat {}", (root / path).native()));
    }
    COCOON_TRY(visit(path, info));
    if (S_ISDIR(info.st_mode)) COCOON_TRY(walk(root, path, depth + 1, visit));
  }
  return {};
}

Result<std::string> tree_digest(const fs::path& root) {
  Sha256 hash;
  auto visit = [&](const fs::path& name, const struct stat& info) -> Result<void> {
    std::string fact;
    if (S_ISREG(info.st_mode)) fact = COCOON_TRY(sha256_file(root / name));
    std::error_code error;
    if (S_ISLNK(info.st_mode)) fact = fs::read_symlink(root / name, error).native();
    char type = S_ISREG(info.st_mode)   ? 'f'
                : S_ISLNK(info.st_mode) ? 'l'
                : S_ISDIR(info.st_mode) ? 'd'
                                        : 'o';
    if (type == 'o') return {};
    hash.update(fmt::format("{} {}", type, name.native()));
    hash.update(std::string_view("\0", 1));
    hash.update(fact);
    hash.update(std::string_view("\0", 1));
    return {};
  };
  COCOON_TRY(walk(root, "", 0, visit), "read the modules");
  return hash.finish();
}

bool is_tree(const fs::path& path) {
  struct stat info {};
  return stat((path / "kernel").c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

Result<void> copy_content(const fs::path& from, const fs::path& to) {
  auto source = COCOON_TRY(FileSource::open(from));
  sys::UniqueFd fd = COCOON_TRY(sys::open_file(to, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0644));
  std::string chunk(std::size_t{256} << 10, '\0');
  while (true) {
    std::size_t got = COCOON_TRY(source->read(chunk.data(), chunk.size()));
    if (got == 0) break;
    COCOON_TRY(sys::write_all(fd.get(), {chunk.data(), got}), "copy {}", from.filename().native());
  }
  if (fchmod(fd.get(), 0644) != 0) return fail_errno(fmt::format("chmod {}", to.native()));
  return {};
}

Result<void> copy_object(const fs::path& from, const fs::path& to, const struct stat& info) {
  if (S_ISREG(info.st_mode)) return copy_content(from, to);
  if (S_ISDIR(info.st_mode)) {
    if (mkdir(to.c_str(), 0755) != 0 || chmod(to.c_str(), 0755) != 0) {
      return fail_errno(fmt::format("make {}", to.native()));
    }
    return {};
  }
  if (!S_ISLNK(info.st_mode)) return {};
  std::error_code error;
  fs::path target = fs::read_symlink(from, error);
  if (symlink(target.c_str(), to.c_str()) != 0) {
    return fail_errno(fmt::format("make {}", to.native()));
  }
  return {};
}

Result<void> run_depmod(const fs::path& base, const std::string& version) {
  sys::SpawnSpec spec;
  spec.program = "depmod";
  spec.args = {"-b", base.native(), version};
  constexpr Milliseconds kLimit = std::chrono::minutes(10);
  auto done = sys::run_program(spec, kLimit);
  if (!done && done.error().kind == ErrorKind::kNotFound) {
    return fail(ErrorKind::kUnsupported,
                "the modules have no modules.dep, and depmod (package kmod) is not installed");
  }
  if (!done) return pass(std::move(done).error(), "index the modules");
  return {};
}

}  // namespace

Result<ModuleTree> find_module_tree(const fs::path& given, const std::string& version) {
  struct stat info {};
  if (stat(given.c_str(), &info) != 0) return fail_errno(fmt::format("open {}", given.native()));
  if (!S_ISDIR(info.st_mode)) {
    return fail(ErrorKind::kInvalid, "{} is no directory", given.native());
  }
  std::vector<fs::path> found;
  if (is_tree(given)) found.push_back(given);
  for (const char* above : {"", "lib/modules", "usr/lib/modules"}) {
    if (!found.empty()) break;
    for (const std::string& name : COCOON_TRY(sys::list_dir(given / above))) {
      if (is_tree(given / above / name)) found.push_back(given / above / name);
    }
  }
  if (found.size() > 1 && !version.empty()) {
    std::erase_if(found, [&](const fs::path& path) { return path.filename() != version; });
  }
  if (found.size() == 1) {
    return ModuleTree{found[0], COCOON_TRY(tree_digest(found[0]))};
  }
  return fail(ErrorKind::kInvalid, "{}: {} (a directory like /lib/modules/<version> is meant)",
              given.native(), found.empty() ? "no kernel modules there" : "several versions there");
}

Result<fs::path> stage_module_tree(const ModuleTree& tree, const std::string& version,
                                   const fs::path& base) {
  fs::path copy = base / "lib" / "modules" / version;
  COCOON_TRY(sys::make_dirs(copy, 0755));
  auto visit = [&](const fs::path& name, const struct stat& info) {
    return copy_object(tree.path / name, copy / name, info);
  };
  COCOON_TRY(walk(tree.path, "", 0, visit), "copy the modules");
  if (!sys::exists(copy / "modules.dep")) COCOON_TRY(run_depmod(base, version));
  return copy;
}

Result<ModuleIndex> read_module_index(const fs::path& tree) {
  std::array<std::string, 4> texts;
  constexpr std::array<const char*, 4> kNames{"modules.dep", "modules.builtin", "modules.softdep",
                                              "modules.alias"};
  for (std::size_t i = 0; i < texts.size(); ++i) {
    if (i > 0 && !sys::exists(tree / kNames[i])) continue;
    texts[i] = COCOON_TRY(sys::read_file(tree / kNames[i], kMaxIndex));
  }
  return ModuleIndex::parse(texts[0], texts[1], texts[2], texts[3]);
}

Result<std::string> read_module(const fs::path& tree, const std::string& path) {
  auto file = COCOON_TRY(FileSource::open(tree / path), "read module {}", path);
  SourcePtr plain = COCOON_TRY(decompress(std::move(file), true), "read module {}", path);
  std::string bytes = COCOON_TRY(read_all(*plain, kMaxModule, path));
  if (!bytes.starts_with("\x7f"
                         "ELF")) {
    return fail(ErrorKind::kCorrupt, "{} is no kernel module", path);
  }
  return bytes;
}

std::string module_version(std::string_view module) {
  constexpr std::string_view kKey("\0vermagic=", 10);
  auto at = module.find(kKey);
  if (at == std::string_view::npos) return "";
  std::string_view value = module.substr(at + kKey.size(), 128);
  return std::string(value.substr(0, value.find_first_of(std::string_view(" \0", 2))));
}

}  // namespace cocoon::image
