// SPDX-License-Identifier: Apache-2.0
#include "engine/outside_temp.h"

#include <sys/stat.h>
#include <unistd.h>

#include <set>
#include <utility>

#include "base/id.h"
#include "engine/locks.h"
#include "sys/fault.h"
#include "sys/files.h"

namespace cocoon::engine {
namespace {

namespace fs = std::filesystem;

std::string name_of(const std::string& id) { return std::string(kOutsidePrefix) + id; }

Result<void> remove_noted(const fs::path& path, const fs::path& note) {
  if (!path.empty()) COCOON_TRY(sys::remove_tree(path));
  return sys::remove_file(note);
}

bool has_name(const fs::path& path) {
  struct stat info {};
  return !path.empty() && lstat(path.c_str(), &info) == 0;
}

// Where the note leads; empty when it is none of ours.
fs::path noted_path(const fs::path& note, const std::string& id) {
  std::error_code error;
  fs::path path = fs::read_symlink(note, error);
  return !error && path.is_absolute() && path.filename() == name_of(id) ? path : fs::path();
}

}  // namespace

Result<OutsideTemp> OutsideTemp::note(const Ports& ports, const fs::path& dir) {
  std::error_code error;
  // Its real name: the note outlives a link that is changed.
  fs::path parent = fs::canonical(dir, error);
  if (error) return fail(ErrorKind::kSystem, "find {}: {}", dir.native(), error.message());
  std::string id = COCOON_TRY(generate_id());
  auto lock = COCOON_TRY(lock_export(ports, id, "export"));
  fs::path note = ports.paths.exports() / id;
  fs::path path = parent / name_of(id);
  auto noted = [&]() -> Result<void> {
    COCOON_TRY(sys::make_dirs(note.parent_path(), 0700));
    if (symlink(path.c_str(), note.c_str()) != 0) return fail_errno("note where it is made");
    return sys::sync_dir(note.parent_path());
  }();
  OutsideTemp temp(std::move(path), std::move(note), std::move(lock));
  COCOON_TRY(noted);
  sys::side_effect("note export");
  return temp;
}

OutsideTemp::OutsideTemp(OutsideTemp&& other) noexcept
    : path_(std::exchange(other.path_, {})),
      note_(std::move(other.note_)),
      lock_(std::move(other.lock_)) {}

OutsideTemp::~OutsideTemp() {
  if (path_.empty()) return;
  auto removed = remove_noted(path_, note_);
  if (removed) lock_.unlink();
  ignore(removed, "gc has the note");
}

Result<image::Collected> collect_outside_temps(const Ports& ports, bool dry_run) {
  fs::path locks = ports.paths.lock("export", "x").parent_path();
  std::set<std::string> ids;
  for (const fs::path& dir : {ports.paths.exports(), locks}) {
    for (std::string& name : COCOON_TRY(sys::list_dir(dir))) {
      if (is_id(name)) ids.insert(std::move(name));
    }
  }
  image::Collected found;
  for (const std::string& id : ids) {
    fs::path note = ports.paths.exports() / id;
    fs::path path = noted_path(note, id);
    auto lock = lock_export(ports, id, "gc");
    bool there = has_name(path);
    Result<void> removed;
    if (!lock) {
      removed = pass(lock.error());
    } else if (!dry_run) {
      removed = remove_noted(path, note);
    }
    if (!removed) {
      found.skipped.push_back(
          fmt::format("export {}: {}", path.native(), removed.error().to_string()));
      continue;
    }
    if (there) found.removed.push_back({path.native(), 0});
    if (!dry_run) lock->unlink();
  }
  return found;
}

}  // namespace cocoon::engine
