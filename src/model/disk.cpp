// SPDX-License-Identifier: Apache-2.0
#include "model/disk.h"

#include <algorithm>
#include <array>
#include <set>

#include <nlohmann/json.hpp>

#include "base/text.h"
#include "model/json_fields.h"

namespace cocoon::model {
namespace {

constexpr std::size_t kMaxSerial = 20;  // VIRTIO_BLK_ID_BYTES
constexpr std::array<std::string_view, 4> kFileSystems{"ext4", "xfs", "btrfs", "none"};

// Nothing that a guest could take for a place elsewhere: "/" itself, "." and "..".
bool is_mount_point(std::string_view path) {
  if (path.empty() || path[0] != '/' || path.find_first_not_of('/') == std::string_view::npos) {
    return false;
  }
  auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
  if (std::any_of(path.begin(), path.end(), is_control)) return false;
  auto parts = split(path, '/');
  return std::none_of(parts.begin(), parts.end(),
                      [](std::string_view part) { return part == "." || part == ".."; });
}

Result<void> validate_data(const Disk& disk) {
  if (!is_disk_name(disk.serial)) {
    return fail(ErrorKind::kInvalid, "data disk \"{}\": not a disk name", disk.serial);
  }
  if (!is_data_fstype(disk.fstype)) {
    return fail(ErrorKind::kInvalid, "data disk \"{}\": unknown fstype \"{}\"", disk.serial,
                disk.fstype);
  }
  return check_mount(disk);
}

Result<void> validate_one(const Disk& disk) {
  if (disk.path.empty() || disk.path.find('/') != std::string::npos) {
    return fail(ErrorKind::kInvalid, "path \"{}\" is not a name in the VM directory", disk.path);
  }
  if (disk.serial.size() > kMaxSerial) {
    return fail(ErrorKind::kInvalid, "serial \"{}\" is longer than {}", disk.serial, kMaxSerial);
  }
  auto is_printed = [](char c) { return c > ' ' && c < 0x7f; };
  if (!std::all_of(disk.serial.begin(), disk.serial.end(), is_printed)) {
    return fail(ErrorKind::kInvalid, "serial \"{}\" is no word", escape_controls(disk.serial));
  }
  bool want_read_only = disk.role == DiskRole::kLayer || disk.role == DiskRole::kCidata;
  if (disk.read_only != want_read_only) {
    return fail(ErrorKind::kInvalid, "role {} must be {}", role_name(disk.role),
                want_read_only ? "read-only" : "writable");
  }
  if (!disk.backing.empty() && (disk.role != DiskRole::kCow || disk.backing == disk.path ||
                                disk.backing.find('/') != std::string::npos)) {
    return fail(ErrorKind::kInvalid, "backing file \"{}\" of role {}", disk.backing,
                role_name(disk.role));
  }
  if (disk.role == DiskRole::kData) return validate_data(disk);
  if (disk.direct_io) {
    return fail(ErrorKind::kInvalid, "direct I/O is set on role {}", role_name(disk.role));
  }
  return {};
}

Result<void> insert_unique(std::set<std::string>& seen, const std::string& value,
                           std::string_view what) {
  if (!value.empty() && !seen.insert(value).second) {
    return fail(ErrorKind::kInvalid, "two disks have the {} \"{}\"", what, value);
  }
  return {};
}

}  // namespace

std::string_view role_name(DiskRole role) {
  switch (role) {
    case DiskRole::kLayer:
      return "layer";
    case DiskRole::kCow:
      return "cow";
    case DiskRole::kCidata:
      return "cidata";
    case DiskRole::kData:
      return "data";
  }
  return "";
}

Result<DiskRole> parse_role(std::string_view text) {
  for (DiskRole role : {DiskRole::kLayer, DiskRole::kCow, DiskRole::kCidata, DiskRole::kData}) {
    if (role_name(role) == text) return role;
  }
  return fail(ErrorKind::kCorrupt, "unknown disk role \"{}\"", text);
}

bool is_data_fstype(std::string_view fstype) {
  return std::find(kFileSystems.begin(), kFileSystems.end(), fstype) != kFileSystems.end();
}

Result<void> check_mount(const Disk& disk) {
  if (disk.mount_point.empty()) return {};
  if (disk.fstype == "none") {
    return fail(ErrorKind::kInvalid, "data disk \"{}\": mount={} with fstype=none", disk.serial,
                disk.mount_point);
  }
  if (is_mount_point(disk.mount_point)) return {};
  return fail(ErrorKind::kInvalid,
              "data disk \"{}\": mount={}: must be an absolute path below / on one line, without "
              "\".\" and \"..\"",
              disk.serial, disk.mount_point);
}

Result<void> check_fstab_mount(std::string_view mount_point) {
  if (is_mount_point(mount_point) && mount_point.find_first_of(" \\") == std::string_view::npos) {
    return {};
  }
  return fail(ErrorKind::kInvalid,
              "mount point \"{}\": with a cloud image it must be an absolute path below /, without "
              "blanks, control characters and backslashes, and without \".\" and \"..\"",
              escape_controls(mount_point));
}

bool is_disk_name(std::string_view name) {
  auto in = [](char c, char low, char high) { return c >= low && c <= high; };
  if (name.empty() || name.size() > kMaxSerial || !in(name[0], 'a', 'z')) return false;
  if (name.substr(0, 7) == "cocoon-") return false;
  return std::all_of(name.begin(), name.end(), [&](char c) {
    return in(c, 'a', 'z') || in(c, '0', '9') || c == '_' || c == '-';
  });
}

Result<void> validate_disks(const std::vector<Disk>& disks) {
  std::set<std::string> paths;
  std::set<std::string> serials;
  std::set<std::string> mounts;
  int cows = 0;
  for (std::size_t i = 0; i < disks.size(); ++i) {
    const Disk& disk = disks[i];
    COCOON_TRY(validate_one(disk), "disk {}", i);
    COCOON_TRY(insert_unique(paths, disk.path, "path"), "disk {}", i);
    COCOON_TRY(insert_unique(serials, disk.serial, "serial"), "disk {}", i);
    COCOON_TRY(insert_unique(mounts, disk.mount_point, "mount point"), "disk {}", i);
    if (disk.role == DiskRole::kCow && ++cows > 1) {
      return fail(ErrorKind::kInvalid, "disk {}: a second disk with role cow", i);
    }
    if (disk.role == DiskRole::kCidata && i + 1 != disks.size()) {
      return fail(ErrorKind::kInvalid, "disk {}: role cidata must be the last disk", i);
    }
  }
  if (!disks.empty() && cows == 0) return fail(ErrorKind::kInvalid, "no disk has the role cow");
  return {};
}

void to_json(nlohmann::json& json, const Disk& disk) {
  json = {{"path", disk.path},
          {"ro", disk.read_only},
          {"serial", disk.serial},
          {"role", role_name(disk.role)}};
  if (!disk.mount_point.empty()) json["mount_point"] = disk.mount_point;
  if (!disk.fstype.empty()) json["fstype"] = disk.fstype;
  if (disk.direct_io) json["direct_io"] = *disk.direct_io;
  if (!disk.blob.empty()) json["blob"] = disk.blob;
  if (!disk.backing.empty()) json["backing"] = disk.backing;
}

Result<Disk> parse_disk(const nlohmann::json& json) {
  Fields fields(json, "disk");
  std::string role;
  Disk disk;
  bool direct_io = false;
  bool has_direct_io = json.is_object() && json.contains("direct_io");
  fields.get("path", disk.path);
  fields.get("ro", disk.read_only);
  fields.get("serial", disk.serial);
  fields.get("role", role);
  fields.get("mount_point", disk.mount_point);
  fields.get("fstype", disk.fstype);
  fields.get("direct_io", direct_io);
  fields.get("blob", disk.blob);
  fields.get("backing", disk.backing);
  COCOON_TRY(fields.check());
  if (has_direct_io) disk.direct_io = direct_io;
  disk.role = COCOON_TRY(parse_role(role));
  return disk;
}

}  // namespace cocoon::model
