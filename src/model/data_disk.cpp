// SPDX-License-Identifier: Apache-2.0
#include "model/data_disk.h"

#include <algorithm>
#include <set>

#include "base/text.h"
#include "base/units.h"
#include "model/wording.h"

namespace cocoon::model {
namespace {

constexpr std::string_view kNameRule =
    "a lower-case letter, then up to 19 of a-z, 0-9, - and _, not beginning with cocoon-";

Failure bad_value(std::string_view key, std::string_view value, std::string_view wanted) {
  return fail(ErrorKind::kInvalid, "{}={}: {}", key, value, wanted);
}

Result<void> set_size(DataDiskSpec& spec, std::string_view value) {
  auto bytes = parse_size(value);
  if (!bytes) return bad_value("size", value, "not a size such as 20G");
  if (*bytes < kMinDataDisk) return bad_value("size", value, "below the minimum of 16MiB");
  spec.size = *bytes;
  return {};
}

Result<void> set_fstype(DataDiskSpec& spec, std::string_view value) {
  if (!is_data_fstype(value)) return bad_value("fstype", value, "wanted ext4, xfs, btrfs or none");
  spec.fstype = value;
  return {};
}

Result<void> set_direct_io(DataDiskSpec& spec, std::string_view value) {
  if (value == "on" || value == "off") {
    spec.direct_io = value == "on";
  } else if (value == "auto") {
    spec.direct_io.reset();
  } else {
    return bad_value("directio", value, "wanted on, off or auto");
  }
  return {};
}

Result<void> set_key(DataDiskSpec& spec, std::string_view key, std::string_view value) {
  if (key == "size") return set_size(spec, value);
  if (key == "fstype") return set_fstype(spec, value);
  if (key == "directio") return set_direct_io(spec, value);
  if (key == "name") {
    if (!is_disk_name(value)) return bad_value(key, value, fmt::format("wanted {}", kNameRule));
    spec.name = value;
    return {};
  }
  if (key == "mount") {
    spec.mount = std::string(value);
    return {};
  }
  return fail(ErrorKind::kInvalid, "unknown key \"{}\": wanted size, name, fstype, mount, directio",
              key);
}

// Names that the user chose, and those of disks that are there; a made one must not take them.
Result<std::set<std::string>> taken_names(const std::vector<DataDiskSpec>& specs,
                                          const std::vector<Disk>& others) {
  std::set<std::string> names;
  for (const DataDiskSpec& spec : specs) {
    bool exists = std::any_of(others.begin(), others.end(), [&spec](const Disk& other) {
      return !spec.name.empty() && other.serial == spec.name;
    });
    if (exists) {
      return fail(ErrorKind::kConflict, "data disk \"{}\" {}", spec.name, kAlreadyExists);
    }
    if (!spec.name.empty() && !names.insert(spec.name).second) {
      return fail(ErrorKind::kInvalid, "name={}: two data disks have this name", spec.name);
    }
  }
  for (const Disk& other : others) names.insert(other.serial);
  return names;
}

Result<void> check_mount_free(const DataDiskSpec& spec, const std::vector<Disk>& others) {
  for (const Disk& other : others) {
    if (spec.mount->empty() || other.mount_point != *spec.mount) continue;
    return fail(ErrorKind::kConflict, "mount={}: data disk \"{}\" is mounted there", *spec.mount,
                other.serial);
  }
  return {};
}

Result<void> check_room(const DataDiskSpec& spec) {
  std::int64_t least = spec.fstype == "xfs"     ? kMinXfsDisk
                       : spec.fstype == "btrfs" ? kMinBtrfsDisk
                                                : kMinDataDisk;
  if (spec.size >= least) return {};
  return fail(ErrorKind::kInvalid, "data disk \"{}\": size {} is below the {} that {} needs",
              spec.name, bytes_size(spec.size), bytes_size(least), spec.fstype);
}

}  // namespace

Result<DataDiskSpec> parse_data_disk(std::string_view text) {
  DataDiskSpec spec;
  if (trim(text).empty()) return fail(ErrorKind::kInvalid, "empty; size=SIZE is required");
  for (std::string_view part : split(text, ',')) {
    auto equals = part.find('=');
    if (equals == std::string_view::npos) {
      return fail(ErrorKind::kInvalid, "\"{}\": wanted key=value", part);
    }
    COCOON_TRY(set_key(spec, trim(part.substr(0, equals)), trim(part.substr(equals + 1))));
  }
  if (spec.size == 0) return fail(ErrorKind::kInvalid, "size=SIZE is required");
  return spec;
}

Result<std::vector<DataDiskSpec>> complete_data_disks(std::vector<DataDiskSpec> specs,
                                                      const std::vector<Disk>& others) {
  std::set<std::string> names = COCOON_TRY(taken_names(specs, others));
  std::set<std::string> mounts;
  int number = 0;
  for (DataDiskSpec& spec : specs) {
    while (spec.name.empty()) {
      std::string candidate = fmt::format("data{}", ++number);
      if (names.insert(candidate).second) spec.name = candidate;
    }
    if (spec.fstype.empty()) spec.fstype = "ext4";
    if (!spec.mount) spec.mount = spec.fstype == "none" ? "" : "/mnt/" + spec.name;
    COCOON_TRY(check_room(spec));
    COCOON_TRY(check_mount(data_disk(spec)));
    if (!spec.mount->empty() && !mounts.insert(*spec.mount).second) {
      return fail(ErrorKind::kInvalid, "mount={}: two data disks have this mount point",
                  *spec.mount);
    }
    COCOON_TRY(check_mount_free(spec, others));
  }
  return specs;
}

Disk data_disk(const DataDiskSpec& spec) {
  Disk disk;
  disk.path = fmt::format("data-{}.raw", spec.name);
  disk.serial = spec.name;
  disk.role = DiskRole::kData;
  disk.fstype = spec.fstype;
  disk.mount_point = spec.mount.value_or("");
  disk.direct_io = spec.direct_io;
  return disk;
}

}  // namespace cocoon::model
