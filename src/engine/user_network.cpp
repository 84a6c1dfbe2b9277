// SPDX-License-Identifier: Apache-2.0
#include "engine/user_network.h"

#include <unistd.h>

#include <algorithm>
#include <thread>

#include "base/text.h"
#include "engine/cgroups.h"
#include "engine/vm_view.h"
#include "sys/boot_file.h"
#include "sys/cancel.h"
#include "sys/fault.h"
#include "sys/files.h"
#include "sys/process.h"
#include "sys/spawn.h"
#include "vmm/launch.h"

namespace cocoon::engine {
namespace {

namespace fs = std::filesystem;

constexpr Milliseconds kSocketLimit{5'000};
constexpr const char* kRecordFile = "passt";
constexpr const char* kSocketName = "net0";

bool is_user_network(const model::Vm& vm) {
  return !vm.nics.empty() && vm.nics.front().backend == model::kUserNic;
}

// "<pid> <start time> <boot id>"
Result<void> record(const fs::path& file, pid_t pid) {
  auto start = sys::process_start_time(pid);
  if (!start || !sys::is_alive({pid, *start})) {
    return fail(ErrorKind::kSystem, "passt ended at once");
  }
  std::string boot_id = COCOON_TRY(sys::host_boot_id());
  return sys::write_boot_file(file, fmt::format("{} {} {}", pid, *start, boot_id), 0600);
}

Result<std::optional<sys::ProcessRef>> recorded(const fs::path& file) {
  std::optional<sys::ProcessRef> none;
  auto text = sys::read_file(file, 256);
  if (!text) return none;
  auto parts = split(*text, ' ');
  if (parts.size() != 3 || parts[2] != COCOON_TRY(sys::host_boot_id())) return none;
  auto pid = parse_decimal(parts[0]);
  auto start = parse_decimal(parts[1]);
  if (!pid || !start || *pid == 0 || *pid > 0x7fffffff) return none;
  return std::optional(sys::ProcessRef{static_cast<pid_t>(*pid), *start});
}

Result<void> wait_for_socket(const fs::path& socket, sys::Child& child, const fs::path& log) {
  Deadline deadline = deadline_in(kSocketLimit);
  while (!sys::exists(socket)) {
    COCOON_TRY(sys::check_cancelled());
    bool ended = COCOON_TRY(sys::wait_readable(child.pidfd(), 5));
    if (ended || time_left(deadline).count() == 0) {
      std::string words(trim(last_lines(sys::read_tail(log, 4096), 3)));
      return fail(ErrorKind::kVmm, "passt {}{}{}", ended ? "ended" : "makes no socket",
                  words.empty() ? "" : ": ", words);
    }
  }
  return {};
}

}  // namespace

std::vector<std::string> passt_arguments(const model::Vm& vm) {
  const model::Nic& nic = vm.nics.front();
  std::vector<std::string> args{"--foreground", "--one-off", "--socket",
                                fmt::format("{}/{}", vmm::kSocketDir, kSocketName),
                                // The gateway's address must not lead to the host's own services.
                                "--no-map-gw", "--mtu", "1500"};
  if (nic.network) {
    args.insert(args.end(),
                {"--address", nic.network->ip, "--netmask", model::netmask(nic.network->prefix),
                 "--gateway", nic.network->gateway});
  }
  for (const std::string& server : nic.dns) args.insert(args.end(), {"--dns", server});
  for (const char* protocol : {"tcp", "udp"}) {
    std::vector<std::string> ports;
    for (const model::PortMapping& port : vm.ports) {
      if (port.protocol != protocol) continue;
      std::string at = port.host_ip.empty() ? "" : port.host_ip + "/";
      ports.push_back(fmt::format("{}{}:{}", at, port.host_port, port.guest_port));
    }
    for (std::string& port : ports) {
      args.push_back(fmt::format("--{}-ports", protocol));
      args.push_back(std::move(port));
    }
  }
  return args;
}

Result<void> start_user_network(const Ports& ports, const model::Vm& vm) {
  if (!is_user_network(vm)) return {};
  COCOON_TRY(stop_user_network(ports, vm));
  fs::path dir = vm_dir(ports, vm);
  fs::path socket = dir / vmm::kSocketDir / kSocketName;
  COCOON_TRY(sys::remove_file(socket));
  fs::path log = vm_log_dir(ports, vm) / "passt.log";
  sys::UniqueFd errors =
      COCOON_TRY(sys::open_file(log, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600));
  sys::SpawnSpec spec;
  spec.program = "passt";
  spec.args = passt_arguments(vm);
  spec.cwd = dir;
  spec.fds = {{errors.get(), 1}, {errors.get(), 2}};
  spec.new_session = true;
  spec.die_with_parent = false;
  spec.user = {{vm.uid, vm.uid}};
  // Nothing on it says whose it is once it runs, so it is recorded before.
  spec.before_exec = [&dir](pid_t pid) -> Result<void> {
    COCOON_TRY(record(dir / kRecordFile, pid));
    sys::side_effect("record passt");
    return {};
  };
  if (auto group = make_vm_cgroup(ports, vm.id)) spec.cgroup = *group;
  sys::Child child = COCOON_TRY(sys::spawn(spec), "start passt");
  sys::side_effect("start passt");
  COCOON_TRY(wait_for_socket(socket, child, log), "user-mode network");
  child.detach();
  return {};
}

Result<void> stop_user_network(const Ports& ports, const model::Vm& vm) {
  fs::path file = vm_dir(ports, vm) / kRecordFile;
  auto process = COCOON_TRY(recorded(file));
  if (process) COCOON_TRY(sys::terminate(*process, Milliseconds(0)), "end passt");
  return sys::remove_file(file);
}

}  // namespace cocoon::engine
