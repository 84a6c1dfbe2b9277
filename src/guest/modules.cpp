// SPDX-License-Identifier: Apache-2.0
#include "guest/modules.h"

#include <sys/syscall.h>

#include <algorithm>

#include "guest/fd.h"

namespace cocoon::guest {
namespace {

constexpr std::size_t kOrderLimit = 64 * 1024;

/// Takes the next word off the line.
std::string_view next_word(std::string_view& line) {
  constexpr std::string_view kBlank = " \t\r";
  line.remove_prefix(std::min(line.find_first_not_of(kBlank), line.size()));
  const std::string_view word = line.substr(0, line.find_first_of(kBlank));
  line.remove_prefix(word.size());
  return word;
}

/// 0 or an errno value.
int load(int directory, const std::string& file) {
  const UniqueFd fd(::openat(directory, file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return errno;
  // glibc 2.36 has no wrapper. No parameters, no flags.
  return ::syscall(SYS_finit_module, fd.get(), "", 0) == 0 ? 0 : errno;
}

}  // namespace

std::vector<ModuleLine> parse_module_order(std::string_view text) {
  std::vector<ModuleLine> lines;
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    const std::string_view file = next_word(line);
    const std::string_view fstype = next_word(line);
    if (file.empty() || file.starts_with('#') || file.find('/') != std::string_view::npos) continue;
    lines.push_back({std::string(file), std::string(fstype)});
  }
  return lines;
}

std::vector<std::string> mounted_fstypes(const BootConfig& config) {
  std::vector<std::string> fstypes{config.cow.fstype};
  for (const DataMount& mount : config.mounts) fstypes.push_back(mount.fstype);
  return fstypes;
}

void load_modules(const char* directory, const std::vector<std::string>& fstypes,
                  Console& console) {
  const UniqueFd dir(::open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC));
  const auto order = read_file_at(dir.get(), "order", kOrderLimit);
  if (!dir || !order) {
    console.say("no kernel modules to load");
    return;
  }
  for (const ModuleLine& line : parse_module_order(*order)) {
    if (!line.fstype.empty() &&
        std::find(fstypes.begin(), fstypes.end(), line.fstype) == fstypes.end())
      continue;
    const int error = load(dir.get(), line.file);
    // ENODEV: a driver that finds nothing to drive.
    if (error == 0 || error == EEXIST || error == ENODEV) continue;
    console.say("module " + line.file + ": " + errno_text(error));
  }
}

}  // namespace cocoon::guest
