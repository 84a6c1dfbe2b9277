// SPDX-License-Identifier: Apache-2.0
#include "engine/snapshot_files.h"

#include <sys/stat.h>

#include <cerrno>

#include "base/clock.h"
#include "engine/vm_view.h"
#include "sys/cancel.h"
#include "sys/fault.h"
#include "sys/file_lease.h"

namespace cocoon::engine {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSavePrefix = "save-";
// From the VMM's answer to the close of its file.
constexpr Milliseconds kCloseLimit{2'000};

Result<struct stat> look_at(int fd, const std::string& name) {
  struct stat info {};
  if (fstat(fd, &info) != 0) return fail_errno(fmt::format("look at {}", name));
  return info;
}

// Root's from now on, so that its old owner cannot open it for writing any more.
Result<void> own(int fd, const std::string& name) {
  if (fchown(fd, 0, 0) != 0 || fchmod(fd, 0400) != 0) {
    return fail_errno(fmt::format("take over {}", name));
  }
  return {};
}

Result<void> copy_member(int from, const fs::path& dir, const std::string& name) {
  sys::UniqueFd to = COCOON_TRY(create_member(dir, name));
  COCOON_TRY(disk::copy_file(from, to.get()), "copy {}", name);
  return {};
}

}  // namespace

fs::path snapshot_dir(const Ports& ports, const std::string& id) {
  return ports.paths.snapshot(id);
}

fs::path snapshot_part(const Ports& ports, const std::string& id) {
  return ports.paths.snapshot(id + kPartSuffix);
}

std::string save_dir_name(const std::string& snapshot_id) {
  return std::string(kSavePrefix) + snapshot_id;
}

Result<void> make_save_dir(const Ports& ports, const model::Vm& vm, const std::string& name) {
  fs::path path = vm_dir(ports, vm) / name;
  if (mkdir(path.c_str(), 0700) != 0) return fail_errno(fmt::format("make {}", path.native()));
  if (lchown(path.c_str(), vm.uid, vm.uid) != 0) {
    return fail_errno(fmt::format("give {} to the VMM", path.native()));
  }
  sys::side_effect("make save directory");
  return {};
}

Result<void> remove_save_dirs(const Ports& ports, const model::Vm& vm) {
  fs::path dir = vm_dir(ports, vm);
  for (const std::string& name : COCOON_TRY(sys::list_dir(dir))) {
    if (!name.starts_with(kSavePrefix)) continue;
    COCOON_TRY(sys::remove_tree(dir / name));
    sys::side_effect("remove save directory");
  }
  return {};
}

Result<sys::UniqueFd> open_vmm_file(int vm_dir, const model::Vm& vm, const std::string& name) {
  sys::UniqueFd fd =
      COCOON_TRY(sys::open_beneath(vm_dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
  struct stat info = COCOON_TRY(look_at(fd.get(), name));
  bool ours = info.st_uid == vm.uid || info.st_uid == 0;
  if (S_ISREG(info.st_mode) && ours && info.st_nlink == 1) return fd;
  return fail(ErrorKind::kCorrupt, "{} is not a file of this VM with this one name", name);
}

Result<sys::UniqueFd> create_member(const fs::path& dir, const std::string& name) {
  auto fd = COCOON_TRY(sys::open_file(dir / name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600));
  sys::side_effect("create member");
  return fd;
}

Result<model::Member> seal_member(const fs::path& dir, const std::string& name,
                                  model::MemberKind kind) {
  sys::UniqueFd fd = COCOON_TRY(sys::open_file(dir / name, O_RDONLY | O_NOFOLLOW));
  struct stat info = COCOON_TRY(look_at(fd.get(), name));
  if (kind != model::MemberKind::kShared) {
    if (fsync(fd.get()) != 0) return fail_errno(fmt::format("sync {}", name));
    if (fchmod(fd.get(), 0444) != 0) return fail_errno(fmt::format("seal {}", name));
  }
  return model::Member{name, kind, info.st_size, {}};
}

Result<std::vector<model::Member>> link_shared(const Ports& ports, const model::Vm& vm,
                                               const fs::path& dir) {
  std::vector<model::Member> members;
  for (const std::string& name : model::shared_files(vm)) {
    COCOON_TRY(sys::hard_link(vm_dir(ports, vm) / name, dir / name));
    members.push_back(COCOON_TRY(seal_member(dir, name, model::MemberKind::kShared)));
  }
  return members;
}

Result<void> take_saved_file(const Ports& ports, const model::Vm& vm, const std::string& save_dir,
                             const std::string& name, const fs::path& dir) {
  sys::UniqueFd vmdir = COCOON_TRY(sys::open_dir(vm_dir(ports, vm)));
  std::string from = save_dir + "/" + name;
  sys::UniqueFd fd = COCOON_TRY(open_vmm_file(vmdir.get(), vm, from));
  COCOON_TRY(own(fd.get(), from));
  auto writers = COCOON_TRY(sys::wait_no_writer(fd.get(), deadline_in(kCloseLimit)), "{}", name);
  struct stat info = COCOON_TRY(look_at(fd.get(), from));
  if (writers != sys::Writers::kNone || info.st_nlink != 1) return copy_member(fd.get(), dir, name);
  // Between the look and the rename its directory is still the VMM's: the name could lead to
  // another file by then, so what arrives is compared.
  COCOON_TRY(sys::rename_path(vm_dir(ports, vm) / from, dir / name));
  struct stat arrived {};
  if (lstat((dir / name).c_str(), &arrived) != 0)
    return fail_errno(fmt::format("look at {}", name));
  if (arrived.st_dev == info.st_dev && arrived.st_ino == info.st_ino && arrived.st_nlink == 1) {
    return {};
  }
  return fail(ErrorKind::kCorrupt, "{} was exchanged while it was taken", name);
}

Result<void> publish_snapshot(const Ports& ports, const model::Snapshot& snapshot) {
  fs::path part = snapshot_part(ports, snapshot.id);
  // What the user says of it may be no UTF-8.
  std::string text = model::to_stored_json(snapshot).dump(-1, ' ', false,
                                                          nlohmann::json::error_handler_t::replace);
  COCOON_TRY(sys::write_file_atomic(part / kSidecarFile, text, 0444));
  COCOON_TRY(sys::sync_dir(part));
  COCOON_TRY(sys::rename_path(part, snapshot_dir(ports, snapshot.id)));
  return sys::sync_dir(ports.paths.snapshots());
}

Result<void> remove_snapshot_files(const Ports& ports, const std::string& id) {
  COCOON_TRY(sys::remove_tree(snapshot_part(ports, id)));
  COCOON_TRY(sys::remove_tree(snapshot_dir(ports, id)));
  sys::side_effect("remove snapshot files");
  return {};
}

Result<void> check_members(const Ports& ports, const model::Snapshot& snapshot) {
  sys::UniqueFd dir = COCOON_TRY(sys::open_dir(snapshot_dir(ports, snapshot.id)));
  for (const model::Member& member : snapshot.members) {
    struct stat info {};
    if (fstatat(dir.get(), member.name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
      if (errno != ENOENT) return fail_errno(fmt::format("look at member {}", member.name));
      return fail(ErrorKind::kCorrupt, "member {} is missing", member.name);
    }
    if (!S_ISREG(info.st_mode)) {
      return fail(ErrorKind::kCorrupt, "member {} is not a regular file", member.name);
    }
    if (info.st_size != member.size) {
      return fail(ErrorKind::kCorrupt, "member {} has {} bytes instead of {}", member.name,
                  info.st_size, member.size);
    }
  }
  return {};
}

}  // namespace cocoon::engine
