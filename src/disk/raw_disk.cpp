// SPDX-License-Identifier: Apache-2.0
#include "disk/raw_disk.h"

#include <array>

#include "base/clock.h"
#include "sys/fault.h"
#include "sys/files.h"
#include "sys/spawn.h"

namespace cocoon::disk {
namespace {

constexpr Milliseconds kMkfsLimit{120'000};
// Where children that we start for the work find the VM's lock.
constexpr int kLockFdInChild = 10;

struct Mkfs {
  std::string_view fstype;
  const char* program;
  const char* package;
  std::vector<std::string> args;
};

// What differs from the programs' defaults: nothing is reserved, nothing is asked, and inode tables
// and journal are initialised by the guest, or a sparse file would not stay small.
const std::array<Mkfs, 3>& all_mkfs() {
  static const std::array<Mkfs, 3> all{
      Mkfs{"ext4",
           "mkfs.ext4",
           "e2fsprogs",
           {"-F", "-m", "0", "-q", "-E", "lazy_itable_init=1,lazy_journal_init=1,discard"}},
      Mkfs{"xfs", "mkfs.xfs", "xfsprogs", {"-f", "-q", "-K"}},
      Mkfs{"btrfs", "mkfs.btrfs", "btrfs-progs", {"-f", "-q", "-K"}}};
  return all;
}

Result<void> format(const RawDisk& disk, const Mkfs& mkfs) {
  if (!sys::find_program(mkfs.program)) {
    return fail(ErrorKind::kUnsupported, "{} is not installed; the package {} has it", mkfs.program,
                mkfs.package);
  }
  sys::SpawnSpec spec;
  spec.program = mkfs.program;
  spec.args = mkfs.args;
  spec.args.push_back(disk.path.native());
  if (disk.lock_fd >= 0) spec.fds = {{disk.lock_fd, kLockFdInChild}};
  COCOON_TRY(sys::run_program(std::move(spec), kMkfsLimit));
  sys::side_effect("mkfs");
  return {};
}

}  // namespace

Result<void> make_raw_disk(const RawDisk& disk) {
  COCOON_TRY(sys::create_sparse_file(disk.path, disk.bytes, 0600)).reset();
  if (disk.fstype == "none") return {};
  for (const Mkfs& mkfs : all_mkfs()) {
    if (mkfs.fstype == disk.fstype) return format(disk, mkfs);
  }
  return fail(ErrorKind::kInvalid, "unknown file system \"{}\"", disk.fstype);
}

}  // namespace cocoon::disk
