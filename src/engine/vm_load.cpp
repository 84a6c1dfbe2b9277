// SPDX-License-Identifier: Apache-2.0
#include "engine/vm_load.h"

#include <algorithm>

#include "disk/file_copy.h"
#include "engine/cpu_facts.h"
#include "engine/memory_chain.h"
#include "engine/snapshot_files.h"
#include "engine/user_network.h"
#include "engine/vm_accel.h"
#include "engine/vm_files.h"
#include "engine/vm_launch.h"
#include "engine/vm_network.h"
#include "engine/vm_view.h"
#include "model/wording.h"
#include "store/snapshot_rows.h"
#include "sys/boot_file.h"
#include "sys/fault.h"
#include "sys/files.h"

namespace cocoon::engine {
namespace {

namespace fs = std::filesystem;

Result<void> place_text(const fs::path& dir, const model::Vm& vm, const vmm::LoadText& text) {
  COCOON_TRY(sys::write_boot_file(dir / text.name, text.text, 0440), "write {}", text.name);
  return sys::set_owner(dir / text.name, 0, vm.uid, 0440);
}

// The VM's own memory file with the snapshot's content.
Result<void> place_memory(Ports& ports, const model::Snapshot& snapshot, const vmm::LoadPlan& plan,
                          const model::Vm& vm) {
  if (plan.launch.memory_file_bytes == 0) return remove_memory(ports, vm);
  MemoryChain chain = COCOON_TRY(MemoryChain::open(ports, snapshot, plan.memory_copy));
  if (chain.bytes() != plan.launch.memory_file_bytes) {
    return fail(ErrorKind::kCorrupt, "member {} is not the {} bytes of the guest's memory",
                plan.memory_copy, plan.launch.memory_file_bytes);
  }
  COCOON_TRY(make_memory(ports, vm, plan.launch.memory_file_bytes));
  fs::path file = COCOON_TRY(memory_files(ports, vm))[0];
  sys::UniqueFd to = COCOON_TRY(sys::open_file(file, O_WRONLY | O_NOFOLLOW));
  COCOON_TRY(chain.copy_to(to.get()), "copy the memory");
  sys::side_effect("copy memory");
  return {};
}

// What the VMM would read of the snapshot itself, were it all there.
Result<void> put_memory_together(Ports& ports, const model::Snapshot& snapshot,
                                 const std::string& member, const model::Vm& vm) {
  MemoryChain chain = COCOON_TRY(MemoryChain::open(ports, snapshot, member));
  fs::path file = vm_dir(ports, vm) / member;
  sys::UniqueFd to =
      COCOON_TRY(sys::open_file(file, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600));
  sys::side_effect("create memory");
  COCOON_TRY(chain.copy_to(to.get()), "put the memory together");
  COCOON_TRY(sys::set_owner(file, 0, vm.uid, 0440));
  sys::side_effect("put memory together");
  return {};
}

Result<void> place_links(Ports& ports, const model::Snapshot& snapshot, const PlannedLoad& planned,
                         const model::Vm& vm) {
  for (const std::string& name : planned.plan.links) {
    if (name == planned.memory && !snapshot.parent.empty()) {
      COCOON_TRY(put_memory_together(ports, snapshot, name, vm));
      continue;
    }
    COCOON_TRY(sys::hard_link(snapshot_dir(ports, snapshot.id) / name, vm_dir(ports, vm) / name));
  }
  return {};
}

Result<void> check_trust(const model::Snapshot& snapshot) {
  if (!snapshot.untrusted) return {};
  return fail(ErrorKind::kUnsupported,
              "it was imported, and what its VMM's state would open cannot be checked: import it "
              "with --trust if you trust where it comes from");
}

// What was only needed for the load goes; a clone does not keep a snapshot's memory alive.
Result<void> remove_load_files(const fs::path& dir, const vmm::LoadPlan& plan) {
  auto is_kept = [&plan](const std::string& name) {
    return std::find(plan.kept.begin(), plan.kept.end(), name) != plan.kept.end();
  };
  for (const std::string& name : plan.links) {
    if (!is_kept(name)) COCOON_TRY(sys::remove_file(dir / name));
  }
  for (const vmm::LoadText& text : plan.texts) {
    if (!is_kept(text.name)) COCOON_TRY(sys::remove_file(dir / text.name));
  }
  sys::side_effect("remove load files");
  return {};
}

}  // namespace

Result<model::Snapshot> ready_snapshot(Ports& ports, const std::string& id) {
  auto snapshot = COCOON_TRY(store::get_snapshot(ports.db, id));
  if (!snapshot || snapshot->state != model::SnapshotState::kReady) {
    return fail(ErrorKind::kNotFound, "{}: {}", model::kSnapshotNotFound, id);
  }
  COCOON_TRY(model::validate(*snapshot), "snapshot {}", id);
  COCOON_TRY(check_members(ports, *snapshot), "snapshot {}", id);
  return std::move(*snapshot);
}

Result<PlannedLoad> plan_load(Ports& ports, const vmm::Backend& backend,
                              const model::Snapshot& snapshot, const model::Vm& vm,
                              vmm::RestoreMode mode, bool swap_nics) {
  PlannedLoad out;
  COCOON_TRY(check_trust(snapshot));
  out.choice = COCOON_TRY(choose_accel(ports, backend, vm));
  if (out.choice.accel == vmm::Accel::kKvm) COCOON_TRY(check_cpu(snapshot.cpu, host_cpu_facts()));
  vmm::SavedVm saved;
  saved.vm = &snapshot.vm;
  saved.dir = snapshot_dir(ports, snapshot.id);
  saved.files = COCOON_TRY(backend.saved_files(snapshot.vm));
  saved.swap_nics = swap_nics;
  for (const std::string& name : saved.files.state) {
    if (model::find_member(snapshot, name) != nullptr) continue;
    return fail(ErrorKind::kCorrupt, "{} is not among the members", name);
  }
  if (model::find_member(snapshot, saved.files.memory) == nullptr) {
    return fail(ErrorKind::kCorrupt, "{} is not among the members", saved.files.memory);
  }
  out.memory = saved.files.memory;
  if (!snapshot.parent.empty()) {
    saved.memory_bytes = COCOON_TRY(MemoryChain::open(ports, snapshot, out.memory)).bytes();
  }
  out.plan = COCOON_TRY(backend.plan_load(vm, saved, out.choice.accel, mode));
  return out;
}

Result<void> copy_disks(const model::Snapshot& snapshot, const fs::path& from, const model::Vm& vm,
                        const fs::path& dir, const std::vector<std::string>& leave) {
  std::vector<disk::CopyJob> jobs;
  std::vector<sys::UniqueFd> held;
  for (const model::Member& member : snapshot.members) {
    bool wanted = member.kind == model::MemberKind::kDisk &&
                  std::find(leave.begin(), leave.end(), member.name) == leave.end();
    if (!wanted) continue;
    held.push_back(COCOON_TRY(sys::open_file(from / member.name, O_RDONLY | O_NOFOLLOW)));
    int source = held.back().get();
    held.push_back(COCOON_TRY(
        sys::open_file(dir / member.name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600)));
    sys::side_effect("create disk");
    jobs.push_back({source, held.back().get(), member.name, {}});
  }
  COCOON_TRY(disk::copy_files(jobs));
  sys::side_effect("copy disks");
  for (const disk::CopyJob& job : jobs) {
    if (fchown(job.to, vm.uid, vm.uid) != 0) return fail_errno(fmt::format("own {}", job.what));
  }
  return {};
}

Result<void> load_vm(Ports& ports, const vmm::Backend& backend, const model::Snapshot& snapshot,
                     const PlannedLoad& planned, model::Vm& vm) {
  const vmm::LoadPlan& plan = planned.plan;
  fs::path dir = vm_dir(ports, vm);
  vm.accel = vmm::accel_name(planned.choice.accel);
  // The guest program that goes on speaks of its exit with the mark that it was given.
  vm.nonce = snapshot.vm.nonce;
  vm.restore_mode = vmm::restore_mode_name(plan.mode);
  COCOON_TRY(prepare_launch(ports, vm));
  auto able = COCOON_TRY(backend.capabilities());
  // For a guest that reboots in place.
  if (vm.boot.boot_kit) COCOON_TRY(make_initrd(ports, vm, able.ends_by_reboot));
  COCOON_TRY(place_memory(ports, snapshot, plan, vm));  // first: it clears an earlier load's files
  COCOON_TRY(place_links(ports, snapshot, planned, vm));
  for (const vmm::LoadText& text : plan.texts) COCOON_TRY(place_text(dir, vm, text));
  COCOON_TRY(start_user_network(ports, vm));
  COCOON_TRY(make_stand_ins(vm, plan.stand_ins), "make TAPs for the former NICs");
  COCOON_TRY(launch_vm(ports, planned.choice, vm, plan.launch,
                       [&](const vmm::RunningVmm& running, Deadline deadline) {
                         return backend.finish_load(plan, running, deadline);
                       }));
  if (!plan.stand_ins.empty()) COCOON_TRY(remove_stand_ins(vm));
  return remove_load_files(dir, plan);
}

}  // namespace cocoon::engine
