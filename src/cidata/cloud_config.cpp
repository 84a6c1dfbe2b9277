// SPDX-License-Identifier: Apache-2.0
#include "cidata/cloud_config.h"

#include <algorithm>

#include "base/text.h"
#include "cidata/guest_agent.h"
#include "cidata/network_config.h"
#include "cidata/ssh_keys.h"
#include "cidata/yaml_scalar.h"

namespace cocoon::cidata {
namespace {

constexpr std::string_view kRoot = "root";
constexpr std::size_t kMaxUserName = 32;

bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_control(char c) {
  auto byte = static_cast<unsigned char>(c);
  return byte < 0x20 || byte == 0x7f;
}

// The rule of --user (spec 01 §6.2).
bool is_user_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaxUserName && (is_lower(name[0]) || name[0] == '_') &&
         std::all_of(name.begin(), name.end(),
                     [](char c) { return is_lower(c) || is_digit(c) || c == '_' || c == '-'; });
}

Result<void> check_account(const SeedValues& values) {
  const std::string& password = values.password;
  if (!values.user.empty() && !is_user_name(values.user)) {
    return fail(ErrorKind::kInvalid, "\"{}\" is not a user name", escape_controls(values.user));
  }
  if (password.empty()) return {};
  if (values.user.empty()) {
    return fail(ErrorKind::kInvalid, "a password is given, but no user to have it");
  }
  if (std::any_of(password.begin(), password.end(), is_control)) {
    return fail(ErrorKind::kInvalid, "the password holds control characters");
  }
  if (password == "R" || password == "RANDOM" || password[0] == '$') {
    return fail(
        ErrorKind::kInvalid,
        "cloud-init would not take the password as it is: \"R\" and \"RANDOM\" make it set a "
        "random one, and what begins with \"$\" is taken for a hash");
  }
  return {};
}

// Indented "- key" lines.
Result<std::string> render_keys(const std::vector<std::string>& keys, std::string_view indent) {
  std::string out;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (!is_public_key(keys[i])) {
      return fail(ErrorKind::kInvalid, "SSH key {} is not a public key", i + 1);
    }
    std::string quoted = COCOON_TRY(yaml_quoted(keys[i]), "SSH key {}", i + 1);
    out += fmt::format("{}- {}\n", indent, quoted);
  }
  return out;
}

Result<std::string> render_password(const SeedValues& values) {
  if (values.password.empty()) return std::string();
  std::string line = COCOON_TRY(yaml_quoted(values.user + ":" + values.password), "password");
  return "chpasswd:\n  expire: false\n  list:\n    - " + line + "\n";
}

std::string render_scalars(const SeedValues& values) {
  std::string out;
  if (!values.password.empty()) out += "ssh_pwauth: true\n";
  bool enters = !values.password.empty() || !values.ssh_keys.empty();
  if (values.user == kRoot && enters) out += "disable_root: false\n";
  return out;
}

// Keys for root and for no user in particular: cloud-init gives the top-level list to root (freely
// when disable_root is false) and to the image's own account.
Result<std::string> render_shared_keys(const SeedValues& values) {
  bool own_account = !values.user.empty() && values.user != kRoot;
  if (own_account || values.ssh_keys.empty()) return std::string();
  return "ssh_authorized_keys:\n" + COCOON_TRY(render_keys(values.ssh_keys, "  "));
}

// `default` keeps the image's own account, which a list without it would leave out.
Result<std::string> render_users(const SeedValues& values) {
  if (values.user.empty() || values.user == kRoot) return std::string();
  std::string name = COCOON_TRY(yaml_quoted(values.user), "user");
  std::string keys = COCOON_TRY(render_keys(values.ssh_keys, "      "));
  if (!keys.empty()) keys = "    ssh_authorized_keys:\n" + keys;
  return fmt::format(
      "users:\n"
      "  - default\n"
      "  - name: {}\n"
      "    shell: /bin/bash\n"
      "    no_user_group: true\n"
      "    groups: [sudo]\n"
      "    sudo: \"ALL=(ALL) NOPASSWD:ALL\"\n"
      "{}",
      name, keys);
}

Result<std::string> render_mount(const SeedMount& mount) {
  const std::string& point = mount.mount_point;
  bool serial_ok =
      !mount.serial.empty() && std::all_of(mount.serial.begin(), mount.serial.end(), [](char c) {
        return is_lower(c) || is_digit(c) || (c >= 'A' && c <= 'Z') || c == '_' || c == '-' ||
               c == '.';
      });
  if (!serial_ok) return fail(ErrorKind::kInvalid, "not a serial for a mount");
  bool fstype_ok =
      !mount.fstype.empty() && std::all_of(mount.fstype.begin(), mount.fstype.end(),
                                           [](char c) { return is_lower(c) || is_digit(c); });
  if (!fstype_ok) {
    return fail(ErrorKind::kInvalid, "\"{}\" is no file system", escape_controls(mount.fstype));
  }
  COCOON_TRY(model::check_fstab_mount(point));
  std::string device = COCOON_TRY(yaml_quoted("/dev/disk/by-id/virtio-" + mount.serial));
  std::string quoted = COCOON_TRY(yaml_quoted(point), "mount point");
  return fmt::format("  - [{}, {}, \"{}\", \"defaults,nofail\", \"0\", \"2\"]\n", device, quoted,
                     mount.fstype);
}

Result<std::string> render_mounts(const std::vector<SeedMount>& mounts) {
  if (mounts.empty()) return std::string();
  std::string out = "mounts:\n";
  for (const SeedMount& mount : mounts) {
    out += COCOON_TRY(render_mount(mount), "data disk \"{}\"", escape_controls(mount.serial));
  }
  return out;
}

}  // namespace

Result<CloudConfig> render_cloud_config(const SeedValues& values) {
  COCOON_TRY(check_account(values));
  CloudConfig config;
  config.scalars = render_scalars(values);
  config.document = "#cloud-config\n";
  config.document += COCOON_TRY(render_password(values));
  config.document += config.scalars;
  config.document += COCOON_TRY(render_shared_keys(values));
  config.document += COCOON_TRY(render_users(values));
  config.document += COCOON_TRY(render_mounts(values.mounts));
  std::string units = COCOON_TRY(render_network_units(values.nics, values.dns));
  if (!units.empty()) config.document += "write_files:\n" + units;
  if (!values.agent_program.empty()) {
    config.document += "bootcmd:\n  - [sh, -c, " +
                       COCOON_TRY(yaml_quoted(render_agent_install()), "agent") + "]\n";
  }
  return config;
}

}  // namespace cocoon::cidata
