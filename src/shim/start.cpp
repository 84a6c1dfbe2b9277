// SPDX-License-Identifier: Apache-2.0
#include "shim/start.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

#include "shim/files.h"
#include "shim/launch.h"
#include "shim/rights.h"
#include "shim/sockets.h"

namespace cocoon::shim {
namespace {

constexpr const char* kLockFile = "shim.lock";

Outcome failed_to(std::string_view what, std::string_view path) {
  const int error = errno;
  Line step(what);
  return failure_errno(step.add(" ").add(path).view(), error);
}

bool is_same_file(int fd, int directory, const char* name) {
  struct stat held {};
  struct stat named {};
  return ::fstat(fd, &held) == 0 && ::fstatat(directory, name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
         held.st_dev == named.st_dev && held.st_ino == named.st_ino;
}

}  // namespace

Outcome open_vm(Shim& shim, const char* vm_dir) {
  shim.vm_dir = open_directory(vm_dir);
  if (!shim.vm_dir.valid()) return failed_to("open", vm_dir);
  std::size_t used = 0;
  Outcome outcome = read_private_file_at(shim.vm_dir.get(), "shim.conf", shim.config_bytes, used);
  if (!outcome.ok) return outcome;
  Config& config = shim.config;
  outcome = parse_config({shim.config_bytes.data(), used}, config);
  if (!outcome.ok) return outcome;
  if (!is_same_file(shim.vm_dir.get(), AT_FDCWD, config.vm_dir.data()))
    return failure("shim.conf: vm_dir is another directory");
  shim.marker = Marker(config.nonce);
  shim.log_dir = open_directory(config.log_dir.data());
  if (!shim.log_dir.valid()) return failed_to("open", config.log_dir);
  return shim.exit_file.open(config.exit_file);
}

Started take_lock(Shim& shim, int patience_ms) {
  constexpr int kPauseMs = 10;
  for (int waited = 0;; waited += kPauseMs) {
    constexpr int kFlags = O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC;
    shim.lock = UniqueFd(::openat(shim.vm_dir.get(), kLockFile, kFlags, 0600));
    if (!shim.lock.valid()) return started(failure_errno(kLockFile));
    if (::flock(shim.lock.get(), LOCK_EX | LOCK_NB) == 0) {
      // A lock on a file that has been unlinked meanwhile excludes nobody.
      if (is_same_file(shim.lock.get(), shim.vm_dir.get(), kLockFile)) return {};
    } else if (errno != EWOULDBLOCK) {
      return started(failure_errno(kLockFile));
    }
    if (waited >= patience_ms) return {Start::kBusy};
    const timespec pause{0, kPauseMs * 1'000'000};
    ::nanosleep(&pause, nullptr);
  }
}

Outcome enter_shim_cgroup(const Shim& shim) {
  const int error = join_cgroup(shim.config.shim_cgroup);
  if (error == 0) return success();
  Line step("join cgroup ");
  return failure_errno(step.add(shim.config.shim_cgroup).view(), error);
}

Outcome open_console_log(Shim& shim) {
  return shim.console_log.open(shim.log_dir.get(),
                               {shim.config.console_log_bytes, shim.config.console_log_files});
}

Outcome open_sockets(Shim& shim) {
  const int directory = shim.vm_dir.get();
  Outcome outcome = listen_at(directory, kConsoleSocket, SOCK_STREAM, shim.console_listener);
  if (!outcome.ok) return outcome;
  return listen_at(directory, kShimSocket, SOCK_SEQPACKET, shim.shim_listener);
}

Outcome give_up_rights() {
  const int error = keep_only_kill();
  return error == 0 ? success() : failure_errno("drop capabilities of the shim", error);
}

void remove_sockets(const Shim& shim) {
  ::unlinkat(shim.vm_dir.get(), kConsoleSocket, 0);
  ::unlinkat(shim.vm_dir.get(), kShimSocket, 0);
}

}  // namespace cocoon::shim
