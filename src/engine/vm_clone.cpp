// SPDX-License-Identifier: Apache-2.0
#include "engine/vm_clone.h"

#include <unistd.h>

#include <algorithm>

#include "base/clock.h"
#include "base/id.h"
#include "engine/clone_disks.h"
#include "engine/live_vm.h"
#include "engine/locks.h"
#include "engine/reconcile.h"
#include "engine/seed.h"
#include "engine/snapshot_files.h"
#include "engine/vm_disk.h"
#include "engine/vm_files.h"
#include "engine/vm_identity.h"
#include "engine/vm_launch.h"
#include "engine/vm_load.h"
#include "engine/vm_network.h"
#include "engine/vm_reserve.h"
#include "engine/vm_view.h"
#include "store/snapshot_rows.h"
#include "store/vm_rows.h"
#include "sys/cancel.h"
#include "sys/fault.h"

namespace cocoon::engine {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kNamePart = 8;  // of the ID

// A clone under way.
struct Clone {
  Ports& ports;
  const CloneRequest& request;
  const vmm::Backend& backend;
  const model::Snapshot& snapshot;
  model::Vm vm;  // as it will be
  DiskChanges disks;
  bool wants_swap = false;  // of NICs
  int lock_fd = -1;
};

Result<std::int64_t> grown(const char* flag, const std::optional<std::int64_t>& wanted,
                           std::int64_t saved) {
  if (!wanted || *wanted == saved) return saved;
  if (*wanted > saved) return *wanted;
  return fail(ErrorKind::kInvalid, "{} {} is below the snapshot's {}", flag, *wanted, saved);
}

// Processors and memory are part of what was saved: more of them is for the next boot.
Result<void> set_size(const CloneRequest& request, model::VmConfig& config) {
  constexpr std::int64_t kMiB = std::int64_t{1} << 20;
  std::optional<std::int64_t> cpu;
  if (request.cpu) cpu = *request.cpu;
  config.cpu = static_cast<int>(COCOON_TRY(grown("--cpu", cpu, config.cpu)));
  config.memory = COCOON_TRY(grown("--memory", request.memory, config.memory)) / kMiB * kMiB;
  return {};
}

Result<void> check_nics(const CloneRequest& request, std::size_t saved) {
  if (!request.network.empty() && !request.bridge.empty()) {
    return fail(ErrorKind::kInvalid, "--network and --bridge exclude each other");
  }
  if (!request.nics || *request.nics == 0 || static_cast<std::size_t>(*request.nics) == saved) {
    return {};
  }
  return fail(ErrorKind::kUnsupported, "--nics {}: the snapshot's guest has {}", *request.nics,
              saved);
}

// Before the load: afterwards the guest has its NICs.
Result<bool> plan_nic_swap(const CloneRequest& request, const vmm::Backend& backend,
                           const model::Snapshot& snapshot) {
  if (request.nic_swap == NicSwap::kOff || snapshot.vm.nics.empty()) return false;
  if (request.nic_swap == NicSwap::kAuto) return is_mute(snapshot);
  if (has_agent(snapshot.vm)) {
    return fail(ErrorKind::kInvalid,
                "--nic-swap on: the guest has an agent, which gives its NICs their addresses");
  }
  if (COCOON_TRY(backend.capabilities()).nic_swap) return true;
  return fail(ErrorKind::kUnsupported,
              "--nic-swap on: {} cannot give a guest that goes on other NICs (capability nic_swap)",
              backend.name());
}

Result<model::Vm> plan_vm(Ports& ports, const CloneRequest& request, const vmm::Backend& backend,
                          const model::Snapshot& snapshot) {
  if (!request.name.empty()) COCOON_TRY(model::check_vm_name(request.name));
  COCOON_TRY(check_nics(request, snapshot.vm.nics.size()));
  model::Vm vm = snapshot.vm;
  vm.id = COCOON_TRY(generate_id());
  vm.state = model::VmState::kCreating;
  vm.config.name = request.name;
  vm.config.no_direct_io |= request.no_direct_io;
  COCOON_TRY(set_size(request, vm.config));
  COCOON_TRY(backend.replan_size(vm));  // it will be asked for at the next boot
  vm.config.storage = COCOON_TRY(grown("--storage", request.storage, snapshot.vm.config.storage));
  if (request.memory_backing) vm.memory_backing = *request.memory_backing;
  vm.hibernation.clear();
  vm.created_at = vm.updated_at = utc_now();
  vm.started_at.clear();
  vm.stopped_at.clear();
  auto able = COCOON_TRY(backend.capabilities());
  CreateRequest network;
  network.network = request.network;
  network.bridge = request.bridge;
  COCOON_TRY(plan_clone_network(ports, network, able, snapshot.imported, vm));
  return vm;
}

// The VM as it will be known once its row says so.
model::Vm as_running(model::Vm vm) {
  vm.state = model::VmState::kRunning;
  return vm;
}

// The NoCloud disk says who the machine is: a clone has its own, without accounts (the guest has
// them). Its size is the saved one's, which the guest has seen.
Result<void> make_own_seed(const Clone& clone) {
  CreateRequest request;
  request.guest_password.clear();
  request.no_agent = true;
  return make_seed(clone.ports, clone.vm, request);
}

std::vector<std::string> seed_names(const model::Vm& vm) {
  std::vector<std::string> names;
  for (const model::Disk& disk : vm.disks) {
    if (disk.role == model::DiskRole::kCidata) names.push_back(disk.path);
  }
  return names;
}

Result<void> make_files(const Clone& clone) {
  COCOON_TRY(make_vm_dirs(clone.ports, clone.vm));
  fs::path from = snapshot_dir(clone.ports, clone.snapshot.id);
  fs::path dir = vm_dir(clone.ports, clone.vm);
  for (const std::string& name : model::shared_files(clone.vm)) {
    COCOON_TRY(sys::hard_link(from / name, dir / name));
  }
  COCOON_TRY(sys::check_cancelled());
  COCOON_TRY(copy_disks(clone.snapshot, from, clone.vm, dir, seed_names(clone.vm)));
  COCOON_TRY(make_own_seed(clone), "make the NoCloud disk");
  return sys::check_cancelled();
}

const model::Disk& root_disk(const model::Vm& vm) {
  return *std::find_if(vm.disks.begin(), vm.disks.end(), [](const model::Disk& disk) {
    return disk.role == model::DiskRole::kCow;  // a valid snapshot has one
  });
}

// After the load, by the VMM: only so does the guest see it. Where the VMM cannot, the file grows
// and the next start shows it.
Result<void> grow_root(const Clone& clone) {
  std::int64_t bytes = clone.vm.config.storage;
  if (bytes == clone.snapshot.vm.config.storage) return {};
  const model::Disk& root = root_disk(clone.vm);
  auto able = COCOON_TRY(clone.backend.capabilities());
  if (!able.hotplug) {
    fs::path file = vm_dir(clone.ports, clone.vm) / root.path;
    if (truncate(file.c_str(), bytes) != 0) return fail_errno("grow its file");
    clone.ports.note("the guest sees the larger root disk at its next start");
    return {};
  }
  auto live = COCOON_TRY(LiveVm::open(clone.ports, as_running(clone.vm)));
  if (!live) return fail(ErrorKind::kVmm, "its VMM has just ended");
  return clone.backend.grow_disk(clone.vm, root.path, bytes, live->vmm(),
                                 deadline_in(kDiskCallLimit));
}

// What the user asked for and the guest cannot see yet.
void note_size(const Clone& clone) {
  const model::VmConfig& config = clone.vm.config;
  const model::VmConfig& saved = clone.snapshot.vm.config;
  if (config.cpu == saved.cpu && config.memory == saved.memory) return;
  clone.ports.note(fmt::format(
      "the guest goes on with the {} vCPUs and {} MiB of its snapshot; it has {} and {} MiB after "
      "its next `vm stop` and `vm start`",
      saved.cpu, saved.memory >> 20, config.cpu, config.memory >> 20));
}

Result<void> commit(Clone& clone, Rollback& undo) {
  mark_running(clone.vm);
  auto tx = COCOON_TRY(clone.ports.db.begin());
  COCOON_TRY(store::update_vm(clone.ports.db, clone.vm));
  COCOON_TRY(tx.commit());
  undo.commit();
  return {};
}

std::string untold_note(const Clone& clone, bool swapped) {
  if (swapped) return swap_note(clone.vm);
  return fmt::format(
      "no agent in the guest: it still has the snapshot's addresses and name; in the guest:\n{}",
      identity_hints(clone.vm, false));
}

// The guest runs behind a closed gate: it learns who it is, then the gate opens. `swapped`: its
// NICs are those of the record already.
Result<void> introduce(Clone& clone, bool swapped, Rollback& undo) {
  const model::Vm& before = swapped ? clone.vm : clone.snapshot.vm;
  auto told =
      tell_identity(clone.ports, as_running(clone.vm), before, true, is_mute(clone.snapshot));
  if (told) {
    if (!*told && !clone.vm.nics.empty()) note_lines(clone.ports, untold_note(clone, swapped));
    COCOON_TRY(open_network(clone.vm), "open the network");
    return commit(clone, undo);
  }
  if (told.error().kind == ErrorKind::kInterrupted) return pass(std::move(told).error());
  sys::CancelShield shield;
  COCOON_TRY(commit(clone, undo));
  clone.ports.note(fmt::format(
      "the clone is kept, running, with its network closed: `cocoon vm logs {0}` shows its "
      "console, `cocoon vm rm --force {0}` removes it",
      clone.vm.config.name));
  return pass(std::move(told).error());
}

Result<PlannedLoad> plan_clone_load(const Clone& clone, const model::Vm& loaded) {
  auto planned = COCOON_TRY(plan_load(clone.ports, clone.backend, clone.snapshot, loaded,
                                      clone.request.mode, clone.wants_swap));
  bool refused =
      clone.request.nic_swap == NicSwap::kOn && clone.wants_swap && planned.plan.stand_ins.empty();
  if (!refused) return planned;
  return fail(ErrorKind::kUnsupported,
              "--nic-swap on: the guest's machine has no room for as many NICs again");
}

Result<void> load(Clone& clone, const PlannedLoad& planned) {
  auto loaded = load_vm(clone.ports, clone.backend, clone.snapshot, planned, clone.vm);
  bool held =
      !loaded && loaded.error().kind == ErrorKind::kTimeout && !planned.plan.stand_ins.empty();
  if (held) loaded.error().cause += "; --nic-swap off leaves it the NICs that it has";
  return loaded;
}

Result<void> make_clone(Clone& clone, Rollback& undo) {
  Ports& ports = clone.ports;
  model::Vm& vm = clone.vm;
  // Everything that could refuse is asked before anything is made.
  COCOON_TRY(plan_clone_load(clone, as_loaded(clone.disks, vm)));
  vm.op = op_of("clone", clone.snapshot.id);
  auto blobs = COCOON_TRY(store::snapshot_blobs(ports.db, clone.snapshot.id));
  std::string base = "cocoon-clone-" + vm.id.substr(0, kNamePart);
  COCOON_TRY(reserve_vm(
      ports, vm, blobs, [&] { return choose_vm_name(ports, clone.request.name, base); }, undo));
  COCOON_TRY(make_network(ports, vm, 0, clone.lock_fd, false));
  COCOON_TRY(make_files(clone));
  undo_launch(ports, vm, undo);
  model::Vm loaded = as_host_can(ports, as_loaded(clone.disks, vm));
  auto planned = COCOON_TRY(plan_clone_load(clone, loaded));
  COCOON_TRY(load(clone, planned));
  COCOON_TRY(grow_root(clone), "grow the root disk");
  note_size(clone);
  COCOON_TRY(change_disks(ports, clone.backend, clone.disks, as_running(vm), clone.lock_fd));
  return introduce(clone, !planned.plan.stand_ins.empty(), undo);
}

}  // namespace

Result<NicSwap> parse_nic_swap(std::string_view text) {
  if (text == "auto") return NicSwap::kAuto;
  if (text == "on") return NicSwap::kOn;
  if (text == "off") return NicSwap::kOff;
  return fail(ErrorKind::kInvalid, "NIC swap \"{}\": must be auto, on or off", text);
}

Result<model::Vm> clone_vm(Ports& ports, const std::string& snapshot_id,
                           const CloneRequest& request) {
  auto snapshot_lock =
      COCOON_TRY(lock_snapshot(ports, snapshot_id, sys::FileLock::Mode::kShared, "clone"));
  model::Snapshot snapshot = COCOON_TRY(ready_snapshot(ports, snapshot_id));
  return clone_snapshot(ports, snapshot, request);
}

Result<model::Vm> clone_snapshot(Ports& ports, const model::Snapshot& snapshot,
                                 const CloneRequest& request) {
  auto backend = COCOON_TRY(vmm::make_backend(snapshot.vm.hypervisor, ports.config));
  COCOON_TRY(check_layout(ports));
  COCOON_TRY(reclaim_vm_name(ports, request.name));
  std::string what = snapshot.name.empty() ? snapshot.id : snapshot.name;
  model::Vm vm =
      COCOON_TRY(plan_vm(ports, request, *backend, snapshot), "clone snapshot \"{}\"", what);
  DiskChanges disks =
      COCOON_TRY(plan_disk_changes(*backend, request.dropped_disks, request.data_disks, vm),
                 "clone snapshot \"{}\"", what);
  bool swap = COCOON_TRY(plan_nic_swap(request, *backend, snapshot), "clone snapshot \"{}\"", what);
  auto lock = COCOON_TRY(lock_vm(ports, vm.id, "clone"));
  Rollback undo_lock;
  undo_lock.add("remove the lock file", [&lock]() -> Result<void> {
    lock.unlink();
    return {};
  });
  Rollback undo;
  Clone clone{ports, request, *backend, snapshot, std::move(vm), std::move(disks), swap, lock.fd()};
  auto made = make_clone(clone, undo);
  // A clone that is kept in spite of an error keeps its lock file too.
  if (clone.vm.state == model::VmState::kRunning) undo_lock.commit();
  COCOON_TRY(std::move(made), "clone snapshot \"{}\"", what);
  return std::move(clone.vm);
}

}  // namespace cocoon::engine
