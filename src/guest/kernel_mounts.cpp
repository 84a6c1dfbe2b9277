// SPDX-License-Identifier: Apache-2.0
#include "guest/kernel_mounts.h"

#include <sys/mount.h>
#include <sys/stat.h>

#include <array>

namespace cocoon::guest {
namespace {

struct KernelMount {
  const char* fstype;
  const char* path;
  unsigned long flags;
  const char* options;
};

constexpr unsigned long kQuiet = MS_NOSUID | MS_NODEV | MS_NOEXEC;

constexpr std::array kBase{
    KernelMount{"proc", "/proc", kQuiet, nullptr},
    KernelMount{"sysfs", "/sys", kQuiet, nullptr},
    KernelMount{"devtmpfs", "/dev", MS_NOSUID, "mode=0755"},
};

constexpr std::array kDev{
    // gid 5 is tty on every distribution; programs that open a terminal count on it.
    KernelMount{"devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC, "gid=5,mode=0620,ptmxmode=0666"},
    KernelMount{"tmpfs", "/dev/shm", MS_NOSUID | MS_NODEV, "mode=1777"},
    KernelMount{"mqueue", "/dev/mqueue", kQuiet, nullptr},
};

constexpr KernelMount kCgroup{"cgroup2", "/sys/fs/cgroup", kQuiet, "nsdelegate"};

struct Link {
  const char* target;
  const char* name;
};

constexpr std::array kLinks{
    Link{"/proc/self/fd", "fd"},
    Link{"/proc/self/fd/0", "stdin"},
    Link{"/proc/self/fd/1", "stdout"},
    Link{"/proc/self/fd/2", "stderr"},
};

Result<void> mount_in(const RootDir& root, const KernelMount& mount) {
  const UniqueFd target = COCOON_GUEST_TRY(root.make_dirs(mount.path));
  return mount_on(target, mount.fstype, mount.fstype, mount.flags, mount.options);
}

}  // namespace

Result<void> mount_kernel_filesystems() {
  for (const KernelMount& base : kBase) {
    ::mkdir(base.path, 0755);
    if (::mount(base.fstype, base.path, base.fstype, base.flags, base.options) != 0 &&
        errno != EBUSY)
      return fail_errno(base.path, std::string("mount ") + base.fstype);
  }
  return {};
}

Result<void> move_kernel_filesystems(const RootDir& root) {
  for (const KernelMount& base : kBase) {
    const UniqueFd target = COCOON_GUEST_TRY(root.make_dirs(base.path));
    COCOON_GUEST_TRY(mount_on(target, base.path, nullptr, MS_MOVE));
  }
  return {};
}

void complete_dev(const RootDir& root, RunMode mode, Console& console) {
  const auto mount = [&](const KernelMount& wanted) {
    const auto mounted = mount_in(root, wanted);
    if (!mounted) console.say(std::string(wanted.path) + ": " + mounted.error().text());
  };
  for (const KernelMount& wanted : kDev) mount(wanted);
  if (mode == RunMode::kExec) mount(kCgroup);

  const auto dev = root.open_at("/dev", O_PATH | O_DIRECTORY);
  if (!dev) return;
  // One that exists already is as good.
  for (const Link& link : kLinks) (void)!::symlinkat(link.target, dev->get(), link.name);
}

}  // namespace cocoon::guest
