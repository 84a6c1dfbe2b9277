// SPDX-License-Identifier: Apache-2.0
#include "engine/doctor.h"

#include <sys/stat.h>
#include <unistd.h>

#include <array>

#include "base/units.h"
#include "engine/vm_network.h"
#include "network/cni/conflist.h"
#include "network/cni/plugin.h"
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

void check_backends(Checks& checks, const model::Config& config) {
  auto backend = vmm::make_backend("qemu", config);
  if (!backend) return;
  auto capabilities = (*backend)->capabilities();
  if (capabilities) {
    add(checks, CheckStatus::kPass, "qemu",
        fmt::format("version {}, up to {} disks", capabilities->version.to_string(),
                    capabilities->max_disks));
  } else {
    add(checks, CheckStatus::kFail, "qemu",
        capabilities.error().to_string() + "; install qemu-system-x86");
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

network::cni::Host plugin_host(const model::Config& config) {
  network::cni::Host host;
  host.plugin_dirs = network::cni::plugin_dirs(config.cni_bin_dir);
  return host;
}

void check_plugins(Checks& checks, const model::Config& config,
                   const network::cni::Conflist& list) {
  network::cni::Host host = plugin_host(config);
  std::vector<std::string> missing;
  for (const auto& plugin : list.plugins) {
    std::string type = plugin.at("type");
    if (!network::cni::find_plugin(host, type)) missing.push_back(std::move(type));
  }
  std::string name = fmt::format("network {}", list.name);
  if (missing.empty()) {
    add(checks, CheckStatus::kPass, std::move(name), list.file);
  } else {
    add(checks, CheckStatus::kWarn, std::move(name),
        fmt::format("plugins {} are in none of {}: install containernetworking-plugins",
                    fmt::join(missing, ", "), fmt::join(host.plugin_dirs, ", ")));
  }
}

void check_network(Checks& checks, const model::Config& config) {
  auto tun = check_tun_access();
  add(checks, tun ? CheckStatus::kPass : CheckStatus::kWarn, "tun",
      tun ? "VMMs may open /dev/net/tun" : tun.error().to_string());
  auto networks = network::cni::find_networks(config.cni_conf_dir);
  if (!networks || networks->lists.empty()) {
    add(checks, CheckStatus::kWarn, "network",
        fmt::format("no CNI network in {}: VMs get none; --fix writes one", config.cni_conf_dir));
    return;
  }
  for (const std::string& problem : networks->problems) {
    add(checks, CheckStatus::kWarn, "network", problem);
  }
  for (const auto& list : networks->lists) check_plugins(checks, config, list);
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
  check_network(checks, config);
  return checks;
}

Result<std::vector<std::string>> fix_host(const model::Config& config) {
  std::vector<std::string> done;
  constexpr const char* kTun = "/dev/net/tun";
  struct stat info {};
  if (stat(kTun, &info) == 0 && S_ISCHR(info.st_mode) && (info.st_mode & 06) != 06) {
    if (chmod(kTun, 0666) != 0) return fail_errno(fmt::format("chmod {}", kTun));
    done.push_back(fmt::format("{} has mode 0666 now", kTun));
  }
  auto networks = COCOON_TRY(network::cni::find_networks(config.cni_conf_dir));
  if (!networks.lists.empty()) return done;
  fs::path file = fs::path(config.cni_conf_dir) / network::cni::kDefaultConflistFile;
  if (sys::exists(file)) {
    return fail(ErrorKind::kConflict, "{} is there, but is no network", file.native());
  }
  COCOON_TRY(sys::make_dirs(config.cni_conf_dir, 0755));
  COCOON_TRY(sys::write_file_atomic(file, network::cni::default_conflist(), 0644));
  done.push_back(fmt::format("wrote {}: bridge cni0 with 10.88.0.0/16", file.native()));
  return done;
}

}  // namespace cocoon::engine
