// SPDX-License-Identifier: Apache-2.0
#include "engine/guest_mount.h"

#include <algorithm>
#include <thread>

#include "base/text.h"
#include "engine/vm_identity.h"
#include "engine/vm_reseed.h"

namespace cocoon::engine {
namespace {

constexpr Milliseconds kKnownLimit{60'000};

Result<bool> ask(Ports& ports, const model::Vm& vm, const model::Disk& disk, bool unmount,
                 Milliseconds connect_limit) {
  if (vm.state != model::VmState::kRunning || disk.mount_point.empty()) return false;
  auto place = std::find_if(vm.disks.begin(), vm.disks.end(),
                            [&disk](const model::Disk& one) { return one.path == disk.path; });
  agent_wire::IdentityMount mount;
  mount.serial = disk.serial;
  mount.index = place - vm.disks.begin();
  mount.fstype = disk.fstype;
  mount.path = disk.mount_point;
  mount.unmount = unmount;
  agent_wire::Identity identity;
  identity.mounts.push_back(std::move(mount));
  auto report = apply_identity(ports, vm, identity, connect_limit);
  if (!report && report.error().kind == ErrorKind::kInterrupted) {
    return pass(std::move(report).error());
  }
  if (!report) return false;
  if (report->failed.empty()) return true;
  return fail(ErrorKind::kVmm, "the guest says: {}", escape_controls(report->failed.front()));
}

}  // namespace

Milliseconds agent_limit(const model::Vm& vm) { return has_agent(vm) ? kKnownLimit : kGuessLimit; }

Result<bool> mount_in_guest(Ports& ports, const model::Vm& vm, const model::Disk& disk,
                            Milliseconds connect_limit) {
  // A guest knows a new disk by its name a moment before it can open it.
  constexpr int kAttempts = 5;
  constexpr Milliseconds kPause{300};
  for (int attempt = 1;; ++attempt) {
    auto mounted = ask(ports, vm, disk, false, connect_limit);
    bool again = !mounted && mounted.error().kind == ErrorKind::kVmm && attempt < kAttempts;
    if (!again) return mounted;
    std::this_thread::sleep_for(kPause);
  }
}

Result<bool> unmount_in_guest(Ports& ports, const model::Vm& vm, const model::Disk& disk,
                              Milliseconds connect_limit) {
  return ask(ports, vm, disk, true, connect_limit);
}

}  // namespace cocoon::engine
