// SPDX-License-Identifier: Apache-2.0
#include "shim/private_root.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

#include "shim/fd.h"
#include "shim/vmm_log.h"

namespace cocoon::shim {
namespace {

using Path = Text<4200>;

constexpr mode_t kDirectory = 0755;
constexpr std::string_view kLogPlace = "proc/self/fd/2";

Outcome failed(std::string_view step, std::string_view what = {}) {
  const int error = errno;
  Line line("private root: ");
  return failure_errno(line.add(step).add(what).view(), error);
}

// An absolute path as seen from the root as working directory.
std::string_view below_root(std::string_view path) {
  path.remove_prefix(std::min(path.find_first_not_of('/'), path.size()));
  return path;
}

bool make_directory(const char* path) { return ::mkdir(path, kDirectory) == 0 || errno == EEXIST; }

// Makes what something can be mounted on: directories on the way, and a directory or a file.
bool make_place(std::string_view target, bool is_directory) {
  for (std::size_t slash = target.find('/'); slash != std::string_view::npos;
       slash = target.find('/', slash + 1)) {
    if (!make_directory(Path(target.substr(0, slash)).c_str())) return false;
  }
  const Path place(target);
  if (is_directory) return make_directory(place.c_str());
  return ::mknod(place.c_str(), S_IFREG | 0444, 0) == 0 || errno == EEXIST;
}

// Shows a file or directory of the host at `target`, seen from the working directory. `source` is
// followed by NUL.
Outcome show(std::string_view source, std::string_view target) {
  struct stat facts {};
  if (::stat(source.data(), &facts) != 0) {
    return errno == ENOENT ? success() : failed("find ", source);
  }
  if (!make_place(target, S_ISDIR(facts.st_mode))) return failed("make a place for ", source);
  const bool shown = ::mount(source.data(), Path(target).c_str(), nullptr, MS_BIND, nullptr) == 0;
  return shown ? success() : failed("show ", source);
}

// Leaves the working directory at a tmpfs, which lies over the VM's directory: that is a directory
// of the host which is surely there, and its own descriptor is taken before.
Outcome make_root(const Config& config, UniqueFd& vm_dir) {
  if (::unshare(CLONE_NEWNS) != 0) return failed("new mount namespace");
  // Before anything is mounted, or the host would see it.
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
    return failed("cut off from the host");
  vm_dir = UniqueFd(::open_tree(AT_FDCWD, ".", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
  if (!vm_dir.valid()) return failed("take ", config.vm_dir);
  constexpr unsigned long kFlags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
  if (::mount("cocoon", ".", "tmpfs", kFlags, "mode=0755") != 0) return failed("mount tmpfs");
  if (::chdir(config.vm_dir.data()) != 0) return failed("enter tmpfs");
  return success();
}

Outcome fill_root(const Config& config, const UniqueFd& vm_dir) {
  const Path place(below_root(config.vm_dir));
  if (!make_place(place.view(), true)) return failed("make a place for ", config.vm_dir);
  const int moved =
      ::move_mount(vm_dir.get(), "", AT_FDCWD, place.c_str(), MOVE_MOUNT_F_EMPTY_PATH);
  if (moved != 0) return failed("show ", config.vm_dir);
  for (std::size_t i = 0; i < config.shown_count; ++i) {
    const std::string_view path = config.shown[i];
    if (Outcome outcome = show(path, below_root(path)); !outcome.ok) return outcome;
  }
  const std::string_view program = config.argv[0];
  if (Outcome outcome = show(program, below_root(program)); !outcome.ok) return outcome;
  Path log(config.log_dir);
  log.add("/").add(VmmLog::kName);
  return show({log.c_str(), log.view().size()}, kLogPlace);
}

// pivot_root(2): with one directory for both the old root comes to lie over the new one, from where
// it is taken away.
Outcome change_root(const Config& config) {
  if (::syscall(SYS_pivot_root, ".", ".") != 0) return failed("pivot_root");
  if (::umount2(".", MNT_DETACH) != 0) return failed("leave the host's mounts");
  if (::chdir(config.vm_dir.data()) != 0) return failed("enter ", config.vm_dir);
  return success();
}

}  // namespace

Outcome enter_private_root(const Config& config) {
  // The VMM has to get through directories that are root's.
  const mode_t mask = ::umask(022);
  UniqueFd vm_dir;
  Outcome outcome = make_root(config, vm_dir);
  if (outcome.ok) outcome = fill_root(config, vm_dir);
  if (outcome.ok) outcome = change_root(config);
  ::umask(mask);
  return outcome;
}

}  // namespace cocoon::shim
