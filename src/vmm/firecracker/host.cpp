// SPDX-License-Identifier: Apache-2.0
#include "vmm/firecracker/host.h"

#include <linux/io_uring.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/text.h"
#include "sys/fd.h"
#include "sys/files.h"

namespace cocoon::vmm::firecracker {
namespace {

// A container's seccomp filter may forbid it, too.
bool io_uring_answers() {
  io_uring_params params{};
  long fd = syscall(SYS_io_uring_setup, 4U, &params);
  if (fd < 0) return false;
  sys::UniqueFd ring(static_cast<int>(fd));
  return true;
}

}  // namespace

bool allows_io_uring(std::string_view release, std::string_view disabled) {
  // 1: only for the privileged, 2: for nobody.
  if (std::string_view state = trim(disabled); !state.empty() && state != "0") return false;
  auto parts = split(release, '.');
  auto major = parts.empty() ? std::nullopt : parse_decimal(parts[0]);
  auto minor =
      parts.size() < 2 ? std::nullopt : parse_decimal(parts[1].substr(0, parts[1].find('-')));
  if (!major || !minor) return false;
  // Before 5.12 the rings count as locked memory, of which an unprivileged process has 64 KiB.
  return *major > 5 || (*major == 5 && *minor >= 12);
}

HostFacts look_at_host() {
  HostFacts facts;
  utsname names{};
  if (uname(&names) != 0) return facts;
  auto disabled = sys::read_file("/proc/sys/kernel/io_uring_disabled", 64);
  facts.async_io = allows_io_uring(names.release, disabled ? *disabled : "") && io_uring_answers();
  return facts;
}

}  // namespace cocoon::vmm::firecracker
