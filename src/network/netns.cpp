// SPDX-License-Identifier: Apache-2.0
#include "network/netns.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <thread>

#include "base/id.h"
#include "base/text.h"
#include "sys/cancel.h"
#include "sys/fault.h"
#include "sys/fd.h"
#include "sys/files.h"

namespace cocoon::network {
namespace {

namespace fs = std::filesystem;

constexpr const char* kNetnsDir = "/run/netns";
constexpr const char* kClaims = "/run/cocoon/netns";

fs::path claim_path(std::string_view vm_id) { return fs::path(kClaims) / vm_id; }

// As for uids: a symbolic link, made in one step and exclusively, whose target is the text.
std::string claim_text(const Owner& owner) {
  return fmt::format("{} {}", owner.install_id, owner.vm_id);
}

std::string claim_holder(std::string_view vm_id) {
  std::error_code error;
  fs::path target = fs::read_symlink(claim_path(vm_id), error);
  return error ? std::string() : target.native();
}

Result<void> claim(const Owner& owner) {
  COCOON_TRY(sys::make_dirs(kClaims, 0700));
  if (symlink(claim_text(owner).c_str(), claim_path(owner.vm_id).c_str()) == 0) {
    sys::side_effect("claim network namespace");
    return {};
  }
  if (errno != EEXIST) return fail_errno("claim the network namespace");
  std::string holder = claim_holder(owner.vm_id);
  if (holder == claim_text(owner)) return {};
  return fail(ErrorKind::kConflict, "network namespace of {} belongs to {}", owner.vm_id, holder);
}

// On a thread that never did and never will do anything else.
template <class Work>
Result<void> on_own_thread(Work work) {
  Result<void> outcome;
  // What the thread does is quick; a signal ends the command's next step, not this one.
  std::thread thread([&] {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, nullptr);
    outcome = work();
  });
  thread.join();
  return outcome;
}

Result<void> mount_new_netns(const fs::path& path) {
  if (unshare(CLONE_NEWNET) != 0) return fail_errno("make a network namespace");
  if (mount("/proc/thread-self/ns/net", path.c_str(), nullptr, MS_BIND, nullptr) != 0) {
    return fail_errno(fmt::format("mount the network namespace on {}", path.native()));
  }
  sys::side_effect("make network namespace");
  return {};
}

}  // namespace

fs::path netns_path(std::string_view vm_id) {
  return fs::path(kNetnsDir) / fmt::format("cocoon-{}", vm_id);
}

bool is_netns(const fs::path& path) {
  struct statfs info {};
  return statfs(path.c_str(), &info) == 0 && info.f_type == NSFS_MAGIC;
}

Result<void> make_netns(const Owner& owner) {
  if (!is_id(owner.vm_id)) return fail(ErrorKind::kInternal, "\"{}\" is no VM", owner.vm_id);
  fs::path path = netns_path(owner.vm_id);
  COCOON_TRY(claim(owner));
  if (is_netns(path)) return {};
  COCOON_TRY(sys::make_dirs(kNetnsDir, 0755));
  COCOON_TRY(sys::remove_file(path));  // what a killed command left: a file without a namespace
  // The file first: a failure in the thread then leaves a plain file, never a nameless namespace.
  COCOON_TRY(sys::open_file(path, O_RDONLY | O_CREAT | O_EXCL, 0444), "network namespace").reset();
  auto made = on_own_thread([&] { return mount_new_netns(path); });
  if (!made) ignore(sys::remove_file(path), "an empty file is no namespace");
  return made;
}

Result<void> remove_netns(const Owner& owner) {
  std::string holder = claim_holder(owner.vm_id);
  if (holder != claim_text(owner)) return {};
  fs::path path = netns_path(owner.vm_id);
  // EINVAL: nothing is mounted there.
  if (umount2(path.c_str(), MNT_DETACH) != 0 && errno != EINVAL && errno != ENOENT) {
    return fail_errno(fmt::format("unmount {}", path.native()));
  }
  COCOON_TRY(sys::remove_file(path), "remove the network namespace");
  sys::side_effect("remove network namespace");
  COCOON_TRY(sys::remove_file(claim_path(owner.vm_id)), "release the network namespace");
  sys::side_effect("release network namespace");
  return {};
}

Result<std::vector<std::string>> claimed_netns(const std::string& install_id) {
  std::vector<std::string> ids;
  for (const std::string& name : COCOON_TRY(sys::list_dir(kClaims))) {
    if (is_id(name) && claim_holder(name) == claim_text({install_id, name})) ids.push_back(name);
  }
  return ids;
}

Result<void> in_netns(const fs::path& path, const std::function<Result<void>()>& work) {
  sys::UniqueFd fd = COCOON_TRY(sys::open_file(path, O_RDONLY), "enter the network namespace");
  return on_own_thread([&]() -> Result<void> {
    if (setns(fd.get(), CLONE_NEWNET) != 0) {
      return fail_errno(fmt::format("enter network namespace {}", path.native()));
    }
    return work();
  });
}

}  // namespace cocoon::network
