// SPDX-License-Identifier: Apache-2.0
#include "guest/identity.h"

#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cstring>

#include "guest/root_assembly.h"

namespace cocoon::guest {
namespace {

constexpr const char* kStamp = "vm-id";
constexpr const char* kMachineId = "/etc/machine-id";
constexpr const char* kDbusMachineIdDir = "/var/lib/dbus";

bool exists(const RootDir& root, const char* path) {
  return root.open_at(path, O_PATH | O_NOFOLLOW).has_value();
}

bool is_missing_or_empty(const RootDir& root, const char* path) {
  const auto file = root.open_at(path, O_PATH);
  struct stat status {};
  return !file ||
         (::fstat(file->get(), &status) == 0 && S_ISREG(status.st_mode) && status.st_size == 0);
}

/// D-Bus's own copy would be taken over again by systemd. A symlink to /etc/machine-id is fine.
void remove_dbus_copy(const RootDir& root) {
  const auto dir = root.open_at(kDbusMachineIdDir, O_PATH | O_DIRECTORY);
  if (!dir) return;
  struct stat status {};
  if (::fstatat(dir->get(), "machine-id", &status, AT_SYMLINK_NOFOLLOW) == 0 &&
      S_ISREG(status.st_mode))
    ::unlinkat(dir->get(), "machine-id", 0);
}

/// The kernel adds 127.0.0.1 and ::1 by itself when lo comes up.
Result<void> bring_up_loopback() {
  const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket) return fail_errno("lo");
  ifreq request{};
  std::strcpy(request.ifr_name, "lo");
  if (::ioctl(socket.get(), SIOCGIFFLAGS, &request) != 0) return fail_errno("lo");
  request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_UP);
  if (::ioctl(socket.get(), SIOCSIFFLAGS, &request) != 0) return fail_errno("lo");
  return {};
}

Result<void> apply_hostname(const std::string& hostname, const RootDir& root) {
  if (hostname.empty()) return {};
  if (::sethostname(hostname.data(), hostname.size()) != 0) return fail_errno("hostname");
  COCOON_GUEST_TRY(root.replace_file("/etc/hostname", hostname + "\n"));
  return {};
}

Result<void> apply_hosts(const std::string& hostname, const RootDir& root) {
  if (!is_missing_or_empty(root, "/etc/hosts")) return {};
  return root.replace_file("/etc/hosts", render_hosts(hostname));
}

Result<void> apply_machine_id(const BootConfig& config, const RootDir& root) {
  const RootDir stamp_dir = COCOON_GUEST_TRY(RootDir::open(kCowDir));
  return reset_machine_id(config, root, stamp_dir);
}

}  // namespace

std::string render_hosts(const std::string& hostname) {
  std::string text = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n";
  if (!hostname.empty()) text += "127.0.1.1\t" + hostname + "\n";
  return text;
}

std::string render_resolv_conf(const std::vector<std::string>& dns) {
  std::string text;
  for (const std::string& server : dns) text += "nameserver " + server + "\n";
  return text;
}

Result<void> reset_machine_id(const BootConfig& config, const RootDir& root,
                              const RootDir& stamp_dir) {
  const std::string id = config.id + "\n";
  const auto stamp = read_file_at(stamp_dir.fd(), kStamp, id.size(), O_NOFOLLOW);
  if (stamp && *stamp == id) return {};
  if (config.run.mode == RunMode::kInit || exists(root, kMachineId)) {
    remove_dbus_copy(root);
    COCOON_GUEST_TRY(root.replace_file(kMachineId, "", 0444));
  }
  return stamp_dir.replace_file(kStamp, id);
}

void apply_identity(const BootConfig& config, const RootDir& root, Console& console) {
  const auto warn = [&console](const Result<void>& result) {
    if (!result) console.say(result.error().text());
  };
  warn(bring_up_loopback());
  warn(apply_hostname(config.hostname, root));
  warn(apply_hosts(config.hostname, root));
  if (!config.dns.empty())
    warn(root.replace_file("/etc/resolv.conf", render_resolv_conf(config.dns)));
  warn(apply_machine_id(config, root));
}

}  // namespace cocoon::guest
