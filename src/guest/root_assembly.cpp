// SPDX-License-Identifier: Apache-2.0
#include "guest/root_assembly.h"

#include <sys/mount.h>
#include <sys/stat.h>

#include <string_view>

#include "guest/ext4.h"

namespace cocoon::guest {
namespace {

constexpr const char* kCowUpper = "/.cocoon/cow/upper";
constexpr const char* kCowWork = "/.cocoon/cow/work";

Result<void> make_dir(const std::string& path) {
  if (::mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) return fail_errno(path, "mkdir");
  return {};
}

bool same_directory(int one, int other) {
  struct stat a {};
  struct stat b {};
  return ::fstat(one, &a) == 0 && ::fstat(other, &b) == 0 && a.st_dev == b.st_dev &&
         a.st_ino == b.st_ino;
}

Result<void> mount_layer(const DiskRef& layer, std::size_t number, const DiskFinder& disks,
                         Deadline deadline) {
  const std::string what = "layer " + std::to_string(number) + " (" + layer.serial + ")";
  const std::string device = COCOON_GUEST_TRY(disks.find(layer, what, deadline));
  std::string target = kLayersDir;
  target += "/" + std::to_string(number);
  COCOON_GUEST_TRY(make_dir(target));
  if (::mount(device.c_str(), target.c_str(), "erofs", MS_RDONLY, nullptr) != 0)
    return fail_errno(what, "mount erofs on " + device);
  return {};
}

Result<void> mount_cow(const CowDisk& cow, const DiskFinder& disks, Deadline deadline,
                       Console& console) {
  const std::string what = "COW disk (" + cow.disk.serial + ")";
  const std::string device = COCOON_GUEST_TRY(disks.find(cow.disk, what, deadline));
  COCOON_GUEST_TRY(make_dir(kCowDir));
  if (::mount(device.c_str(), kCowDir, cow.fstype.c_str(), MS_NOATIME, nullptr) != 0)
    return fail_errno(what, "mount " + cow.fstype + " on " + device);
  if (cow.fstype == "ext4") {
    const auto grown = grow_ext4(device, kCowDir);
    if (!grown) console.say(grown.error().text());
  }
  COCOON_GUEST_TRY(make_dir(kCowUpper));
  return make_dir(kCowWork);
}

}  // namespace

std::string render_overlay_options(std::size_t layers) {
  std::string options = "lowerdir=";
  for (std::size_t layer = layers; layer > 0; --layer) {
    options += std::to_string(layer - 1);
    if (layer > 1) options += ':';
  }
  for (const std::string_view part : {",upperdir=", kCowUpper, ",workdir=", kCowWork})
    options += part;
  return options + ",index=on,redirect_dir=on,metacopy=on,xino=on";
}

Result<RootDir> assemble_root(const BootConfig& config, const DiskFinder& disks, Deadline deadline,
                              Console& console) {
  for (const char* path : {"/.cocoon", kLayersDir, kNewRoot}) COCOON_GUEST_TRY(make_dir(path));
  std::size_t number = 0;
  for (const DiskRef& layer : config.layers)
    COCOON_GUEST_TRY(mount_layer(layer, number++, disks, deadline));
  COCOON_GUEST_TRY(mount_cow(config.cow, disks, deadline, console));

  const std::string options = render_overlay_options(config.layers.size());
  if (::chdir(kLayersDir) != 0) return fail_errno("root", "chdir");
  if (::mount("overlay", kNewRoot, "overlay", 0, options.c_str()) != 0)
    return fail_errno("root", "mount overlay");
  if (::chdir("/") != 0) return fail_errno("root", "chdir");
  return RootDir::open(kNewRoot);
}

Result<void> mount_modules(const ModulesDisk& modules, const DiskFinder& disks, Deadline deadline,
                           const RootDir& root) {
  const std::string path = "/lib/modules/" + modules.version;
  const std::string device = COCOON_GUEST_TRY(disks.find(modules.disk, path, deadline));
  const UniqueFd target = COCOON_GUEST_TRY(root.make_dirs(path));
  return mount_on(target, device, "erofs", MS_RDONLY);
}

Result<void> mount_data(const DataMount& mount, const DiskFinder& disks, Deadline deadline,
                        const RootDir& root) {
  const std::string what = "data disk " + mount.disk.serial + " at " + mount.path;
  const std::string device = COCOON_GUEST_TRY(disks.find(mount.disk, what, deadline));
  const UniqueFd target = COCOON_GUEST_TRY(root.make_dirs(mount.path));
  if (same_directory(target.get(), root.fd())) return fail(what, "would cover the root");
  auto mounted = mount_on(target, device, mount.fstype.c_str(), 0);
  if (!mounted) return fail(what, mounted.error().text());
  if (mount.fstype != "ext4") return {};
  // Through the path once more: the descriptor is of the directory below the mount.
  const UniqueFd top = COCOON_GUEST_TRY(root.make_dirs(mount.path));
  auto grown = grow_ext4(device, "/proc/self/fd/" + std::to_string(top.get()));
  if (!grown) return fail(what, grown.error().text());
  return {};
}

}  // namespace cocoon::guest
