// SPDX-License-Identifier: Apache-2.0
#include "engine/firmware.h"

#include <sys/stat.h>

#include <cerrno>

#include "base/text.h"
#include "engine/vm_files.h"
#include "engine/vm_view.h"
#include "sys/cancel.h"
#include "sys/fault.h"
#include "sys/files.h"
#include "vmm/launch.h"

namespace cocoon::engine {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxFirmware = std::size_t{64} << 20;
// A garbage collector may take the kept file away between the look and the link.
constexpr int kAttempts = 10;

fs::path firmware_dir(const Ports& ports) { return ports.paths.root() / "firmware"; }

// Named after the file that it is a copy of, as that was then.
Result<std::string> kept_name(const fs::path& code) {
  struct stat info {};
  if (stat(code.c_str(), &info) != 0) return fail_errno(fmt::format("stat {}", code.native()));
  return fmt::format("{}-{}-{}.{:09}.fd", code.stem().native(), info.st_size, info.st_mtim.tv_sec,
                     info.st_mtim.tv_nsec);
}

// "OVMF_CODE_4M-3653632-1699999999.123456789.fd": a copy of ours, as opposed to a firmware that the
// user has put there.
bool is_kept_name(std::string_view name) {
  constexpr std::string_view kEnd = ".fd";
  if (!name.ends_with(kEnd)) return false;
  auto dashes = split(name.substr(0, name.size() - kEnd.size()), '-');
  if (dashes.size() < 3) return false;
  auto time = split(dashes.back(), '.');
  return time.size() == 2 && time[1].size() == 9 && parse_decimal(time[0]) &&
         parse_decimal(time[1]) && parse_decimal(dashes[dashes.size() - 2]);
}

Result<void> keep(const Ports& ports, const fs::path& code, const fs::path& kept) {
  if (sys::exists(kept)) return {};
  std::string bytes = COCOON_TRY(sys::read_file(code, kMaxFirmware));
  COCOON_TRY(sys::make_dirs(firmware_dir(ports), 0700));
  return sys::write_file_atomic(kept, bytes, 0444);
}

Result<void> link_code(const Ports& ports, const model::Vm& vm, const fs::path& code) {
  fs::path kept = firmware_dir(ports) / COCOON_TRY(kept_name(code));
  for (int attempt = 1;; ++attempt) {
    COCOON_TRY(sys::check_cancelled());
    COCOON_TRY(keep(ports, code, kept));
    auto linked = link_into_vm(ports, vm, kept, vmm::kFirmwareFile);
    if (linked) return {};
    if (linked.error().saved_errno != ENOENT || attempt == kAttempts) return linked;
  }
}

}  // namespace

Result<void> make_firmware(const Ports& ports, const model::Vm& vm, const vmm::Firmware& firmware) {
  COCOON_TRY(link_code(ports, vm, firmware.code), "place the firmware");
  if (firmware.variables.empty()) return {};
  fs::path target = vm_dir(ports, vm) / vmm::kVariablesFile;
  std::string bytes = COCOON_TRY(sys::read_file(firmware.variables, kMaxFirmware));
  COCOON_TRY(sys::write_file_atomic(target, bytes, 0600), "place the firmware's variables");
  return sys::set_owner(target, vm.uid, vm.uid, 0600);
}

Result<std::vector<FirmwareGarbage>> collect_firmware(const Ports& ports, bool dry_run) {
  std::vector<FirmwareGarbage> garbage;
  for (const std::string& name : COCOON_TRY(sys::list_dir(firmware_dir(ports)))) {
    fs::path path = firmware_dir(ports) / name;
    struct stat info {};
    if (!is_kept_name(name) || lstat(path.c_str(), &info) != 0 || info.st_nlink != 1) continue;
    if (!dry_run) {
      COCOON_TRY(sys::remove_file(path), "remove firmware {}", name);
      sys::side_effect("remove firmware");
    }
    garbage.push_back({name, info.st_blocks * 512});
  }
  return garbage;
}

}  // namespace cocoon::engine
