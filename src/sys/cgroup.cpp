// SPDX-License-Identifier: Apache-2.0
#include "sys/cgroup.h"

#include <cerrno>
#include <ctime>
#include <thread>

#include "base/clock.h"
#include "base/text.h"
#include "sys/fault.h"

namespace cocoon::sys {
namespace {

constexpr const char* kParent = "cocoon";
constexpr Milliseconds kKillLimit{2'000};

std::optional<fs::path> find_root() {
  auto mounts = read_file("/proc/self/mountinfo", 4 * 1024 * 1024);
  if (!mounts) return std::nullopt;
  for (std::string_view line : split(*mounts, '\n')) {
    // "… mount-point options … - type source super-options" (proc(5))
    auto dash = line.find(" - cgroup2 ");
    if (dash == std::string_view::npos) continue;
    auto fields = split(line.substr(0, dash), ' ');
    if (fields.size() < 6) continue;
    fs::path point(fields[4]);
    if (access(point.c_str(), W_OK) == 0) return point;
  }
  return std::nullopt;
}

// The kernel lets go of a killed process a moment after the write.
bool remove_populated(const fs::path& dir) {
  auto file = open_file(dir / "cgroup.kill", O_WRONLY);
  if (!file || !write_all(file->get(), "1")) return false;
  for (Deadline deadline = deadline_in(kKillLimit); time_left(deadline).count() > 0;) {
    if (::rmdir(dir.c_str()) == 0) return true;
    if (errno != EBUSY) return false;
    std::this_thread::sleep_for(Milliseconds(2));
  }
  return false;
}

}  // namespace

std::optional<fs::path> cgroup2_root() {
  static const std::optional<fs::path> root = find_root();  // nobody moves it during a command
  return root;
}

Result<fs::path> make_cgroup(const std::string& name) {
  auto root = cgroup2_root();
  if (!root) return fs::path();
  fs::path dir = *root / kParent / name;
  auto made = make_dirs(dir, 0755);
  // A hierarchy that is there but refuses new groups (a container's) is as good as none.
  if (!made && (made.error().saved_errno == EROFS || made.error().saved_errno == EACCES ||
                made.error().saved_errno == EPERM)) {
    return fs::path();
  }
  if (!made) return pass(std::move(made).error(), "make a cgroup");
  return dir;
}

void remove_cgroup(const std::string& name, bool kill) {
  auto root = cgroup2_root();
  if (!root) return;
  fs::path dir = *root / kParent / name;
  bool gone = ::rmdir(dir.c_str()) == 0;
  if (!gone && errno == EBUSY && kill) gone = remove_populated(dir);
  if (gone) side_effect("remove cgroup");
}

std::vector<std::string> list_cgroups(std::chrono::seconds age) {
  std::vector<std::string> names;
  auto root = cgroup2_root();
  if (!root) return names;
  auto entries = list_dir(*root / kParent);
  if (!entries) return names;
  for (const std::string& name : *entries) {
    struct stat info {};
    if (stat((*root / kParent / name).c_str(), &info) != 0 || !S_ISDIR(info.st_mode)) continue;
    if (info.st_ctim.tv_sec + age.count() <= time(nullptr)) names.push_back(name);
  }
  return names;
}

}  // namespace cocoon::sys
