// SPDX-License-Identifier: Apache-2.0
#include "tree_copy/place.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cerrno>

namespace cocoon::tree_copy {
namespace {

constexpr std::size_t kMaxPath = 16 * 1024;
constexpr std::size_t kMaxName = 255;

}  // namespace

std::optional<std::vector<std::string>> path_components(std::string_view path) {
  if (path.size() > kMaxPath || path.find('\0') != std::string_view::npos) return std::nullopt;
  std::vector<std::string> components;
  while (!path.empty()) {
    const std::string_view name = path.substr(0, path.find('/'));
    path.remove_prefix(std::min(path.size(), name.size() + 1));
    if (name.empty() || name == ".") continue;
    if (name == ".." || name.size() > kMaxName) return std::nullopt;
    components.emplace_back(name);
  }
  return components;
}

Fd Place::open_one(int at, const std::string& name) const {
  open_how how{};
  how.flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
  if (confined_) how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  return Fd(static_cast<int>(::syscall(SYS_openat2, at, name.c_str(), &how, sizeof how)));
}

Fd Place::open_dir(const std::vector<std::string>& components, std::size_t count, bool make) const {
  Fd at = open_one(directory_.get(), ".");
  for (std::size_t i = 0; i < count && at; ++i) {
    Fd next = open_one(at.get(), components[i]);
    if (!next && errno == ENOENT && make) {
      if (::mkdirat(at.get(), components[i].c_str(), 0755) != 0 && errno != EEXIST) return {};
      next = open_one(at.get(), components[i]);
    }
    at = std::move(next);
  }
  return at;
}

}  // namespace cocoon::tree_copy
