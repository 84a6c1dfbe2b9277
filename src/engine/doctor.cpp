// SPDX-License-Identifier: Apache-2.0
#include "engine/doctor.h"

#include <sys/stat.h>
#include <unistd.h>

#include <array>

#include "base/units.h"
#include "sys/cgroup.h"
#include "sys/files.h"
#include "sys/spawn.h"
#include "vmm/accel.h"
#include "vmm/backend.h"

namespace cocoon::engine {
namespace {

namespace fs = std::filesystem;
using Checks = std::vector<Check>;

constexpr std::uint32_t kProbeUid = 65534;  // nobody: the probe needs no claim

void add(Checks& checks, CheckStatus status, std::string name, std::string detail) {
  checks.push_back({status, std::move(name), std::move(detail)});
}

struct Program {
  const char* name;
  const char* package;
  CheckStatus missing;
  const char* use;
};

constexpr std::array kPrograms{
    Program{"mkfs.ext4", "e2fsprogs", CheckStatus::kFail, "root disks"},
    Program{"mkfs.erofs", "erofs-utils", CheckStatus::kFail, "image layers"},
    Program{"depmod", "kmod", CheckStatus::kWarn, "kernel import from an unpacked package"},
    Program{"qemu-img", "qemu-utils", CheckStatus::kWarn, "cloud images"},
};

void check_programs(Checks& checks) {
  for (const Program& program : kPrograms) {
    if (auto path = sys::find_program(program.name)) {
      add(checks, CheckStatus::kPass, program.name, *path);
    } else {
      add(checks, program.missing, program.name,
          fmt::format("not found; needed for {}: install {}", program.use, program.package));
    }
  }
}

void check_helpers(Checks& checks) {
  auto dir = sys::libexec_dir();
  for (const char* name : {"cocoon-shim", "cocoon-image", "cocoon-guest"}) {
    std::string path = dir ? *dir + "/" + name : name;
    bool found = access(path.c_str(), X_OK) == 0;
    add(checks, found ? CheckStatus::kPass : CheckStatus::kFail, name,
        found ? path : path + " is missing: the installation is incomplete");
  }
}

// One of them is enough.
void check_backends(Checks& checks, const model::Config& config) {
  bool any = false;
  Checks found;
  for (const char* name : {"cloud-hypervisor", "firecracker", "qemu"}) {
    auto backend = vmm::make_backend(name, config);
    if (!backend) continue;  // not in this build
    auto able = (*backend)->capabilities();
    any |= able.has_value();
    add(found, able ? CheckStatus::kPass : CheckStatus::kWarn, name,
        able ? describe(*able) : able.error().to_string());
    if (!able || !able->uefi) continue;
    auto firmware = (*backend)->firmware();
    add(found, firmware ? CheckStatus::kPass : CheckStatus::kWarn, fmt::format("{} firmware", name),
        firmware ? firmware->code.native()
                 : firmware.error().to_string() + "; cloud images need it");
  }
  for (Check& check : found) {
    if (!any) check.status = CheckStatus::kFail;
    checks.push_back(std::move(check));
  }
}

void check_kvm(Checks& checks, const model::Config& config) {
  vmm::AccelRequest request;
  request.run_dir = config.run_dir;
  request.uid = kProbeUid;
  auto choice = vmm::choose_accel(request);
  if (!choice) {
    add(checks, CheckStatus::kWarn, "kvm", choice.error().to_string());
  } else if (choice->accel == vmm::Accel::kKvm) {
    add(checks, CheckStatus::kPass, "kvm", "usable");
  } else {
    add(checks, CheckStatus::kWarn, "kvm",
        choice->note.empty() ? "not usable: guests run in software emulation" : choice->note);
  }
}

// The closest ancestor that exists: directories are made on first use.
fs::path existing_parent(fs::path path) {
  while (!sys::exists(path) && path != path.root_path()) path = path.parent_path();
  return path;
}

void check_directories(Checks& checks, const model::Config& config) {
  struct stat root {};
  struct stat run {};
  fs::path root_at = existing_parent(config.root_dir);
  fs::path run_at = existing_parent(config.run_dir);
  if (stat(root_at.c_str(), &root) != 0 || stat(run_at.c_str(), &run) != 0) {
    add(checks, CheckStatus::kFail, "directories", "cannot be read");
    return;
  }
  bool one = root.st_dev == run.st_dev;
  add(checks, one ? CheckStatus::kPass : CheckStatus::kFail, "directories",
      one ? fmt::format("root {} and run {} share a file system", config.root_dir.native(),
                        config.run_dir.native())
          : fmt::format("root {} and run {} are on different file systems: set --run-dir",
                        config.root_dir.native(), config.run_dir.native()));
  auto room = sys::free_bytes(root_at);
  if (room) {
    add(checks, *room < kGiB ? CheckStatus::kWarn : CheckStatus::kPass, "disk space",
        fmt::format("{} free below {}", bytes_size(*room), root_at.native()));
  }
}

void check_memory(Checks& checks, const model::Config& config) {
  auto room = sys::free_bytes(config.memory_dir);
  if (!room) {
    add(checks, CheckStatus::kFail, "guest memory", room.error().to_string());
    return;
  }
  add(checks, *room < kGiB ? CheckStatus::kWarn : CheckStatus::kPass, "guest memory",
      fmt::format("{} free on {}", bytes_size(*room), config.memory_dir.native()));
}

void check_host(Checks& checks) {
  bool root = geteuid() == 0;
  add(checks, root ? CheckStatus::kPass : CheckStatus::kFail, "root",
      root ? "running as root" : "VMs are made by root; each VMM then runs under a uid of its own");
  auto cgroup = sys::cgroup2_root();
  add(checks, cgroup ? CheckStatus::kPass : CheckStatus::kWarn, "cgroup v2",
      cgroup ? cgroup->native() : "not found or not writable: VMMs get no cgroup of their own");
}

}  // namespace

std::vector<Check> run_doctor(const model::Config& config) {
  Checks checks;
  check_host(checks);
  check_programs(checks);
  check_helpers(checks);
  check_backends(checks, config);
  check_kvm(checks, config);
  check_directories(checks, config);
  check_memory(checks, config);
  return checks;
}

}  // namespace cocoon::engine
