// SPDX-License-Identifier: Apache-2.0
#include "engine/gc.h"

#include <sys/stat.h>

#include <array>
#include <functional>
#include <set>

#include "base/id.h"
#include "base/text.h"
#include "engine/cgroups.h"
#include "engine/firmware.h"
#include "engine/locks.h"
#include "engine/outside_temp.h"
#include "engine/reconcile.h"
#include "engine/snapshot_files.h"
#include "engine/snapshot_settle.h"
#include "engine/uids.h"
#include "engine/vm_files.h"
#include "engine/vm_network.h"
#include "engine/vm_view.h"
#include "image/catalog/collect.h"
#include "network/bridge.h"
#include "network/cni/runtime.h"
#include "store/snapshot_rows.h"
#include "store/vm_rows.h"
#include "sys/cancel.h"
#include "sys/files.h"

namespace cocoon::engine {
namespace {

namespace fs = std::filesystem;

constexpr std::array kBackends{"cloud-hypervisor", "firecracker", "qemu"};

struct Collector {
  Ports& ports;
  bool dry_run;
  GcReport report;

  void removed(std::string kind, std::string name, std::int64_t bytes = 0) {
    report.removed.push_back({std::move(kind), std::move(name), bytes});
  }
};

// Half-made VMs of dead commands go when they are looked at.
Result<void> settle_vms(Collector& gc) {
  for (const model::Vm& vm : COCOON_TRY(store::list_vms(gc.ports.db))) {
    bool half_made = vm.state == model::VmState::kCreating || vm.op.has_value();
    if (gc.dry_run) {
      if (!half_made) continue;
      auto lock = lock_vm(gc.ports, vm.id, "gc", Milliseconds(0));
      if (lock && vm.state == model::VmState::kCreating) gc.removed("vm", vm.id);
      continue;
    }
    auto now = observe_vm(gc.ports, vm);
    if (!now) {
      gc.report.skipped.push_back(fmt::format("vm {}: {}", vm.id, now.error().to_string()));
    } else if (!*now) {
      gc.removed("vm", vm.id);
    }
  }
  return {};
}

// Removes what belongs to `id`, which has no row, under its lock: nobody is making such a VM now.
Result<void> collect_orphan(Collector& gc, const std::string& kind, const std::string& id,
                            std::int64_t bytes, const std::function<Result<void>()>& remove) {
  auto lock = lock_vm(gc.ports, id, "gc", Milliseconds(0));
  if (!lock) {
    gc.report.skipped.push_back(fmt::format("{} {}: {}", kind, id, lock.error().to_string()));
    return {};
  }
  if (COCOON_TRY(store::get_vm(gc.ports.db, id))) return {};
  if (!gc.dry_run) COCOON_TRY(remove());
  lock->unlink();
  gc.removed(kind, id, bytes);
  return {};
}

Result<void> collect_directories_in(Collector& gc, const fs::path& parent,
                                    std::string_view hypervisor,
                                    const std::set<std::string>& known) {
  for (const std::string& name : COCOON_TRY(sys::list_dir(parent))) {
    if (!is_id(name) || known.count(name) != 0) continue;
    model::Vm vm;
    vm.id = name;
    vm.hypervisor = hypervisor;
    auto remove = [&]() -> Result<void> {
      COCOON_TRY(end_recorded_vmm(gc.ports, vm));
      return sys::remove_tree(parent / name);
    };
    COCOON_TRY(collect_orphan(gc, "directory", name, 0, remove));
  }
  return {};
}

Result<void> collect_directories(Collector& gc, const std::set<std::string>& known) {
  for (std::string_view hypervisor : kBackends) {
    std::string directory = model::backend_directory(hypervisor);
    for (const fs::path& home : {gc.ports.paths.run(), gc.ports.paths.log()}) {
      COCOON_TRY(collect_directories_in(gc, home / directory, hypervisor, known));
    }
  }
  return {};
}

Result<void> collect_memory(Collector& gc, const std::set<std::string>& known) {
  fs::path dir = COCOON_TRY(memory_dir(gc.ports));
  for (const std::string& name : COCOON_TRY(sys::list_dir(dir))) {
    if (known.count(name) != 0) continue;
    fs::path file = dir / name;
    COCOON_TRY(collect_orphan(gc, "memory", name, sys::allocated_bytes(file),
                              [&] { return sys::remove_file(file); }));
  }
  // The directory goes when this root directory has no VM left that could be starting now.
  if (!gc.dry_run && known.empty()) rmdir(dir.c_str());
  return {};
}

Result<void> collect_uids(Collector& gc, const std::set<std::string>& known) {
  for (const UidClaim& claim : COCOON_TRY(list_uid_claims(gc.ports))) {
    if (known.count(claim.vm_id) != 0) continue;
    COCOON_TRY(collect_orphan(gc, "uid", claim.vm_id, 0,
                              [&] { return release_uid(gc.ports, claim.uid, claim.vm_id); }));
  }
  return {};
}

// Namespaces with what is in them, ports of bridges, leases: of VMs that are not there.
Result<void> collect_networks(Collector& gc, const std::set<std::string>& known) {
  std::set<std::string> owners;
  network::cni::Host host = cni_host(gc.ports);
  for (const auto& cached : COCOON_TRY(network::cni::list_cache(host, ""))) {
    if (is_id(cached.attachment.container)) owners.insert(cached.attachment.container);
  }
  for (const std::string& name : COCOON_TRY(network::cni::list_unfinished(host))) {
    for (std::string_view part : split(name, '-')) {
      if (is_id(part)) owners.emplace(part);
    }
  }
  std::string mine = COCOON_TRY(install_id(gc.ports.db));
  for (std::string& id : COCOON_TRY(network::claimed_netns(mine))) owners.insert(std::move(id));
  for (std::string& id : COCOON_TRY(network::port_owners(mine))) owners.insert(std::move(id));
  for (const std::string& id : owners) {
    if (known.count(id) != 0) continue;
    model::Vm vm;
    vm.id = id;
    // A plugin that fails must not keep the rest of the garbage.
    auto collected =
        collect_orphan(gc, "network", id, 0, [&] { return give_up_network(gc.ports, vm, 0); });
    if (!collected) {
      gc.report.skipped.push_back(
          fmt::format("network of vm {}: {}", id, collected.error().to_string()));
    }
  }
  return {};
}

// NICs that a VM has lost, but whose plugins failed to let go of them.
Result<void> collect_lost_nics(Collector& gc) {
  for (const auto& cached : COCOON_TRY(network::cni::list_cache(cni_host(gc.ports), ""))) {
    const std::string& id = cached.attachment.container;
    auto seen = COCOON_TRY(store::get_vm(gc.ports.db, id));
    if (!seen || !is_lost_nic(*seen, cached)) continue;
    auto lock = lock_vm(gc.ports, id, "gc", Milliseconds(0));
    if (!lock) continue;  // somebody works on it, and on its NICs perhaps
    auto vm = COCOON_TRY(store::get_vm(gc.ports.db, id));
    if (!vm || vm->op || !is_lost_nic(*vm, cached)) continue;
    auto trimmed = gc.dry_run ? Result<void>() : give_up_network(gc.ports, *vm, vm->nics.size());
    if (trimmed) {
      gc.removed("nic", vm->id);
    } else {
      gc.report.skipped.push_back(
          fmt::format("lost NICs of vm {}: {}", vm->id, trimmed.error().to_string()));
    }
  }
  return {};
}

Result<void> collect_exit_records(Collector& gc, const std::set<std::string>& known) {
  for (const std::string& name : COCOON_TRY(sys::list_dir(gc.ports.paths.exits()))) {
    std::string id = name.substr(0, name.find('.'));
    if (known.count(id) != 0) continue;
    fs::path file = gc.ports.paths.exits() / name;
    if (!is_id(id)) {  // the temporary file of a shim that was killed while it wrote
      if (!gc.dry_run) COCOON_TRY(sys::remove_file(file));
      gc.removed("exit-record", name);
      continue;
    }
    COCOON_TRY(collect_orphan(gc, "exit-record", id, 0, [&] { return sys::remove_file(file); }));
  }
  return {};
}

Result<void> collect_locks(Collector& gc, const std::set<std::string>& known) {
  fs::path dir = gc.ports.paths.lock("vm", "x").parent_path();
  for (const std::string& id : COCOON_TRY(sys::list_dir(dir))) {
    if (known.count(id) != 0) continue;
    COCOON_TRY(collect_orphan(gc, "lock", id, 0, []() -> Result<void> { return {}; }));
  }
  return {};
}

// Does a hibernated VM wait for it?
Result<bool> is_awaited(Collector& gc, const model::Snapshot& snapshot) {
  auto vm = COCOON_TRY(store::get_vm(gc.ports.db, snapshot.source_vm));
  return vm && vm->hibernation == snapshot.id;
}

// Half-made and half-removed snapshots of dead commands, and hibernations that nobody waits for.
Result<void> settle_snapshots(Collector& gc) {
  for (const model::Snapshot& snapshot : COCOON_TRY(store::list_snapshots(gc.ports.db))) {
    bool ready = snapshot.state == model::SnapshotState::kReady;
    if (ready && (!snapshot.hibernated || COCOON_TRY(is_awaited(gc, snapshot)))) continue;
    auto lock = lock_snapshot(gc.ports, snapshot.id, sys::FileLock::Mode::kExclusive, "gc",
                              Milliseconds(0));
    if (!lock) {
      gc.report.skipped.push_back(
          fmt::format("snapshot {}: {}", snapshot.id, lock.error().to_string()));
      continue;
    }
    // A wake or a save may have ended since.
    auto now = COCOON_TRY(store::get_snapshot(gc.ports.db, snapshot.id));
    if (now && now->state == model::SnapshotState::kReady &&
        (!now->hibernated || COCOON_TRY(is_awaited(gc, *now)))) {
      continue;
    }
    if (!gc.dry_run) {
      COCOON_TRY(drop_snapshot(gc.ports, snapshot.id));
      lock->unlink();
    }
    gc.removed("snapshot", snapshot.id);
  }
  return {};
}

// Directories and locks of snapshots that have no row.
Result<void> collect_snapshot_files(Collector& gc) {
  std::set<std::string> known;
  for (const model::Snapshot& snapshot : COCOON_TRY(store::list_snapshots(gc.ports.db))) {
    known.insert(snapshot.id);
  }
  std::set<std::string> found;
  for (const std::string& name : COCOON_TRY(sys::list_dir(gc.ports.paths.snapshots()))) {
    found.insert(name.substr(0, name.find('.')));
  }
  fs::path locks = gc.ports.paths.lock("snapshot", "x").parent_path();
  for (const std::string& name : COCOON_TRY(sys::list_dir(locks))) found.insert(name);
  for (const std::string& id : found) {
    if (!is_id(id) || known.count(id) != 0) continue;
    auto lock = lock_snapshot(gc.ports, id, sys::FileLock::Mode::kExclusive, "gc", Milliseconds(0));
    if (!lock || COCOON_TRY(store::get_snapshot(gc.ports.db, id))) continue;
    if (!gc.dry_run) COCOON_TRY(remove_snapshot_files(gc.ports, id));
    lock->unlink();
    gc.removed("snapshot", id);
  }
  return {};
}

// Empty leaves of VMs that are not there any more; a leaf in use cannot be removed.
Result<void> collect_cgroups(Collector& gc, const std::set<std::string>& known) {
  if (gc.dry_run) return {};
  for (const std::string& id : COCOON_TRY(list_vm_cgroups(gc.ports))) {
    if (known.count(id) != 0) continue;
    auto lock = lock_vm(gc.ports, id, "gc", Milliseconds(0));
    if (!lock || COCOON_TRY(store::get_vm(gc.ports.db, id))) continue;  // made meanwhile
    COCOON_TRY(remove_vm_cgroup(gc.ports, id));
    lock->unlink();
  }
  return {};
}

Result<void> collect_unused_firmware(Collector& gc) {
  for (auto& item : COCOON_TRY(collect_firmware(gc.ports, gc.dry_run))) {
    gc.removed("firmware", item.name, item.bytes);
  }
  return {};
}

void add(Collector& gc, std::string_view kind, image::Collected collected) {
  for (auto& item : collected.removed) gc.removed(std::string(kind), item.name, item.bytes);
  for (auto& text : collected.skipped) gc.report.skipped.push_back(std::move(text));
}

}  // namespace

Result<GcReport> collect_garbage(Ports& ports, bool dry_run) {
  Collector gc{ports, dry_run, {}};
  COCOON_TRY(settle_vms(gc), "collect VMs");
  COCOON_TRY(settle_snapshots(gc), "collect snapshots");
  COCOON_TRY(collect_snapshot_files(gc), "collect snapshot directories");
  std::set<std::string> known;
  for (const model::Vm& vm : COCOON_TRY(store::list_vms(ports.db))) known.insert(vm.id);
  COCOON_TRY(sys::check_cancelled());
  COCOON_TRY(collect_directories(gc, known), "collect VM directories");
  COCOON_TRY(collect_memory(gc, known), "collect memory files");
  COCOON_TRY(collect_uids(gc, known), "collect uids");
  COCOON_TRY(collect_networks(gc, known), "collect networks");
  COCOON_TRY(collect_lost_nics(gc), "collect lost NICs");
  COCOON_TRY(collect_exit_records(gc, known), "collect exit records");
  COCOON_TRY(collect_locks(gc, known), "collect lock files");
  COCOON_TRY(collect_cgroups(gc, known), "collect cgroups");
  COCOON_TRY(collect_unused_firmware(gc), "collect firmware");
  COCOON_TRY(sys::check_cancelled());
  add(gc, "export",
      COCOON_TRY(collect_outside_temps(ports, dry_run), "collect unfinished exports"));
  add(gc, "temp",
      COCOON_TRY(image::collect_temp(ports.paths, dry_run), "collect work directories"));
  add(gc, "download",
      COCOON_TRY(image::collect_downloads(ports.paths, dry_run), "collect downloads"));
  add(gc, "kernel",
      COCOON_TRY(image::collect_kernels(ports.db, ports.paths, dry_run), "collect kernels"));
  add(gc, "blob",
      COCOON_TRY(image::collect_blobs(ports.db, ports.paths, dry_run), "collect blobs"));
  return std::move(gc.report);
}

}  // namespace cocoon::engine
