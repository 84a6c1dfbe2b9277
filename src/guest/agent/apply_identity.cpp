// SPDX-License-Identifier: Apache-2.0
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>

#include <algorithm>

#include "agent_wire/identity.h"
#include "guest/agent/entropy.h"
#include "guest/agent/interfaces.h"
#include "guest/agent/requests.h"
#include "guest/boot_config.h"
#include "guest/dhcp.h"
#include "guest/disks.h"
#include "guest/identity.h"
#include "guest/root_assembly.h"
#include "guest/root_dir.h"

namespace cocoon::guest {
namespace {

constexpr std::size_t kMaxHostname = 64;
constexpr std::chrono::seconds kDiskLimit{10};
constexpr std::string_view kNameBytes =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";

/// One line an item: its name, or "name: why not".
void answer(const std::string& item, const Result<void>& result) {
  std::string line = item;
  if (!result) line += ": " + result.error().text();
  for (char& c : line)
    if (c == '\n') c = ' ';
  write_all(STDOUT_FILENO, line + "\n");
}

Result<void> set_clock(std::int64_t time_ns) {
  constexpr std::int64_t kBillion = 1'000'000'000;
  const timespec now{.tv_sec = time_ns / kBillion, .tv_nsec = time_ns % kBillion};
  if (::clock_settime(CLOCK_REALTIME, &now) != 0) return fail_errno("clock");
  return {};
}

Result<void> set_hostname(const std::string& name, const RootDir& root) {
  if (name.size() > kMaxHostname || name.find_first_not_of(kNameBytes) != std::string::npos)
    return fail("hostname", "not usable");
  if (::sethostname(name.data(), name.size()) != 0) return fail_errno("hostname");
  return root.replace_file("/etc/hostname", name + "\n");
}

Result<void> set_dns(const agent_wire::Identity& identity, const RootDir& root) {
  constexpr std::string_view kAddressBytes = "0123456789abcdefABCDEF.:%";
  std::string text;
  for (const std::string& domain : identity.search)
    if (domain.find_first_not_of(kNameBytes) != std::string::npos)
      return fail("search domain", "not usable");
  for (const std::string& server : identity.dns)
    if (server.find_first_not_of(kAddressBytes) != std::string::npos)
      return fail("name server", "not usable");
  if (!identity.search.empty()) {
    text = "search";
    for (const std::string& domain : identity.search) text += " " + domain;
    text += "\n";
  }
  return root.replace_file("/etc/resolv.conf", text + render_resolv_conf(identity.dns));
}

bool is_mounted(const std::string& path) {
  const auto mounts = read_file("/proc/self/mounts", 4 * 1024 * 1024);
  return mounts && mounts->find(" " + path + " ") != std::string::npos;
}

Result<void> apply_mount(const agent_wire::IdentityMount& mount, const RootDir& root) {
  if (!mount.path.starts_with('/')) return fail("mount", "not an absolute path");
  if (mount.unmount) {
    if (!is_mounted(mount.path)) return {};
    if (::umount2(mount.path.c_str(), UMOUNT_NOFOLLOW) != 0)
      return fail_errno(mount.path, "unmount");
    return {};
  }
  if (is_mounted(mount.path)) return {};
  DataMount data;
  data.disk = {mount.serial, static_cast<unsigned>(mount.index)};
  data.fstype = mount.fstype;
  data.path = mount.path;
  return mount_data(data, DiskFinder("/sys/block", "/dev"), Deadline(kDiskLimit), root);
}

}  // namespace

int apply_identity_frame(std::string_view line) {
  agent_wire::Identity identity;
  auto root = RootDir::open("/");
  if (!agent_wire::parse_identity(line, identity) || !root) {
    write_all(STDOUT_FILENO, "malformed identity");
    return 1;
  }
  if (identity.time_ns > 0) answer("time", set_clock(identity.time_ns));
  if (!identity.entropy.empty()) {
    auto fed = add_entropy(identity.entropy);
    if (fed) fed = forget_stored_seed();
    answer("entropy", fed);
  }
  if (!identity.machine_id.empty()) answer("machine-id", set_machine_id(identity.machine_id));
  if (!identity.hostname.empty()) answer("hostname", set_hostname(identity.hostname, *root));
  for (const agent_wire::IdentityNic& nic : identity.nics)
    answer("nic " + (nic.find_mac.empty() ? std::to_string(nic.index) : nic.find_mac),
           apply_nic(nic));
  if (std::any_of(identity.nics.begin(), identity.nics.end(),
                  [](const agent_wire::IdentityNic& nic) { return nic.renew_dhcp; }))
    renew_leases();
  if (!identity.dns.empty()) answer("dns", set_dns(identity, *root));
  for (const agent_wire::IdentityMount& mount : identity.mounts)
    answer("mount " + mount.path, apply_mount(mount, *root));
  return 0;
}

}  // namespace cocoon::guest
