// SPDX-License-Identifier: Apache-2.0
#include "shim/rights.h"

#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace cocoon::shim {
namespace {

int set_capabilities(unsigned long long mask) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> data{};
  for (unsigned word = 0; word < data.size(); ++word) {
    const auto bits = static_cast<unsigned>(mask >> (32 * word));
    data[word] = {.effective = bits, .permitted = bits, .inheritable = 0};
  }
  return ::syscall(SYS_capset, &header, data.data()) == 0 ? 0 : errno;
}

int forbid_new_privileges() {
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1UL, 0UL, 0UL, 0UL) == 0 ? 0 : errno;
}

}  // namespace

int drop_bounding_set(unsigned long long keep) {
  // PR_CAPBSET_READ answers EINVAL behind the kernel's last capability, which may be newer than
  // our headers.
  for (unsigned long capability = 0; capability < 64; ++capability) {
    const int present = ::prctl(PR_CAPBSET_READ, capability, 0UL, 0UL, 0UL);
    if (present < 0) break;
    if (present == 0 || ((keep >> capability) & 1U) != 0) continue;
    if (::prctl(PR_CAPBSET_DROP, capability, 0UL, 0UL, 0UL) != 0) return errno;
  }
  return ::prctl(PR_CAP_AMBIENT, static_cast<unsigned long>(PR_CAP_AMBIENT_CLEAR_ALL), 0UL, 0UL,
                 0UL) == 0
             ? 0
             : errno;
}

int become_nobody(uid_t uid, gid_t gid, std::span<const gid_t> groups) {
  if (::prctl(PR_SET_KEEPCAPS, 0UL, 0UL, 0UL, 0UL) != 0) return errno;
  if (::setgroups(groups.size(), groups.data()) != 0) return errno;
  if (::setresgid(gid, gid, gid) != 0) return errno;
  if (::setresuid(uid, uid, uid) != 0) return errno;
  // The kernel has emptied permitted and effective by now, but not inheritable, and none of them
  // if the caller runs with SECBIT_NO_SETUID_FIXUP.
  if (const int error = set_capabilities(0); error != 0) return error;
  return forbid_new_privileges();
}

int keep_only_kill() {
  constexpr unsigned long long kKill = 1ULL << CAP_KILL;
  if (const int error = drop_bounding_set(kKill); error != 0) return error;
  if (const int error = set_capabilities(kKill); error != 0) return error;
  return forbid_new_privileges();
}

}  // namespace cocoon::shim
