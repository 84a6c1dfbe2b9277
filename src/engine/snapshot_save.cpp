// SPDX-License-Identifier: Apache-2.0
#include "engine/snapshot_save.h"

#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <functional>

#include "base/clock.h"
#include "base/id.h"
#include "disk/file_copy.h"
#include "engine/cpu_facts.h"
#include "engine/guardian.h"
#include "engine/live_vm.h"
#include "engine/locks.h"
#include "engine/memory_chain.h"
#include "engine/reconcile.h"
#include "engine/restore_files.h"
#include "engine/rollback.h"
#include "engine/snapshot_files.h"
#include "engine/snapshot_settle.h"
#include "engine/vm_files.h"
#include "engine/vm_identity.h"
#include "engine/vm_view.h"
#include "store/snapshot_rows.h"
#include "store/vm_rows.h"
#include "sys/cancel.h"
#include "sys/fault.h"

namespace cocoon::engine {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

// The VMM writes the guest's memory in this time: as long as a slow disk takes for a large guest.
constexpr Milliseconds kSaveLimit{600'000};
constexpr Milliseconds kResumeLimit{30'000};

// A save under way.
struct Save {
  Ports& ports;
  const vmm::Backend& backend;
  model::Vm vm;
  model::Snapshot snapshot;
  vmm::SavedFiles files;
  fs::path part;         // where the snapshot is built
  std::string save_dir;  // below the VM's directory
};

// The record as a snapshot keeps it: what the VM is, not what happens to it.
model::Vm as_saved(const model::Vm& vm) {
  model::Vm out = vm;
  out.state = model::VmState::kStopped;
  out.uid = 0;
  out.vmm = {};
  out.op.reset();
  out.exit_code.reset();
  out.exit_reason.clear();
  out.ports.clear();  // of the host, not of the guest
  return out;
}

Result<model::Snapshot> plan_snapshot(Ports& ports, const vmm::Capabilities& able,
                                      const model::Vm& vm, const SaveRequest& request) {
  if (!request.name.empty()) COCOON_TRY(model::check_snapshot_name(request.name));
  model::Snapshot snapshot;
  snapshot.id = COCOON_TRY(generate_id());
  snapshot.name = request.name;
  snapshot.description = request.description;
  snapshot.vm = as_saved(vm);
  snapshot.source_vm = vm.id;
  snapshot.vmm_version = able.version.to_string();
  if (vm.accel == vmm::accel_name(vmm::Accel::kKvm)) snapshot.cpu = host_cpu_facts();
  snapshot.created_at = utc_now();
  COCOON_TRY(check_layout(ports));
  return snapshot;
}

// The row of the snapshot, and the mark on the VM that stays `running`.
Result<void> reserve(Save& save, Rollback& undo) {
  Ports& ports = save.ports;
  COCOON_TRY(reclaim_name(ports, save.snapshot.name));
  auto tx = COCOON_TRY(ports.db.begin());
  auto blobs = COCOON_TRY(store::vm_blobs(ports.db, save.vm.id));
  COCOON_TRY(store::insert_snapshot(ports.db, save.snapshot, blobs));
  save.vm.op = op_of(save.snapshot.hibernated ? kHibernateOp : kSaveOp, save.snapshot.id);
  COCOON_TRY(store::update_vm(ports.db, save.vm));
  COCOON_TRY(tx.commit());
  undo.add("remove the snapshot",
           [&ports, id = save.snapshot.id] { return drop_snapshot(ports, id); });
  undo.add("clear the op", [&ports, id = save.vm.id] { return clear_op(ports, id); });
  return {};
}

Result<void> prepare(Save& save, Rollback& undo) {
  Ports& ports = save.ports;
  save.part = snapshot_part(ports, save.snapshot.id);
  save.save_dir = save_dir_name(save.snapshot.id);
  undo.add("remove the save directory",
           [&ports, vm = save.vm] { return remove_save_dirs(ports, vm); });
  COCOON_TRY(remove_save_dirs(ports, save.vm));
  COCOON_TRY(sys::make_dirs(save.part, 0700));
  sys::side_effect("make snapshot directory");
  COCOON_TRY(make_save_dir(ports, save.vm, save.save_dir));
  save.snapshot.members = COCOON_TRY(link_shared(ports, save.vm, save.part), "link shared files");
  return {};
}

// Source and target of what is copied while the guest stands still; opened before.
class Copies {
 public:
  void add(sys::UniqueFd from, sys::UniqueFd to, std::string what, disk::CopyOptions options) {
    jobs_.push_back({from.get(), to.get(), std::move(what), options});
    held_.push_back(std::move(from));
    held_.push_back(std::move(to));
  }
  Result<void> run() const { return disk::copy_files(jobs_); }
  // What lies in the page cache is written now, so that a reflink in the pause need not wait.
  // Twice, since the first time may take long, and the guest goes on writing meanwhile.
  void flush_sources() const {
    for (int round = 0; round < 2; ++round) {
      for (const disk::CopyJob& job : jobs_) fdatasync(job.from);
    }
  }

 private:
  std::vector<disk::CopyJob> jobs_;
  std::vector<sys::UniqueFd> held_;
};

// The guest's memory where it lies in a file: below the VM directory, or on a tmpfs behind a link
// of ours.
Result<sys::UniqueFd> open_memory(const Save& save) {
  fs::path file = COCOON_TRY(memory_files(save.ports, save.vm))[0];
  sys::UniqueFd fd = COCOON_TRY(sys::open_file(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
  struct stat info {};
  if (fstat(fd.get(), &info) != 0) return fail_errno("look at the guest's memory");
  if (!S_ISREG(info.st_mode) || info.st_nlink != 1) {
    return fail(ErrorKind::kCorrupt, "the guest's memory is no file with one name");
  }
  return fd;
}

Result<Copies> open_copies(const Save& save) {
  Copies copies;
  sys::UniqueFd dir = COCOON_TRY(sys::open_dir(vm_dir(save.ports, save.vm)));
  for (const std::string& name : disk_members(save.ports, save.vm)) {
    sys::UniqueFd from = COCOON_TRY(open_vmm_file(dir.get(), save.vm, name));
    sys::UniqueFd to = COCOON_TRY(create_member(save.part, name));
    copies.add(std::move(from), std::move(to), name, {});
  }
  if (save.files.memory_by_vmm) return copies;
  sys::UniqueFd from = COCOON_TRY(open_memory(save), "open the memory");
  sys::UniqueFd to = COCOON_TRY(create_member(save.part, save.files.memory));
  copies.add(std::move(from), std::move(to), save.files.memory, {.drop_zeroes = true});
  return copies;
}

// Between pause and resume. Errors name what was being done; the caller resumes.
Result<void> capture(const Save& save, const vmm::RunningVmm& vmm, const Copies& copies) {
  Deadline deadline = deadline_in(kSaveLimit);
  COCOON_TRY(save.backend.pause(vmm, deadline));
  sys::side_effect("pause guest");
  COCOON_TRY(save.backend.save(save.vm, vmm, save.save_dir, deadline));
  sys::side_effect("save VMM state");
  COCOON_TRY(copies.run());
  sys::side_effect("copy disks");
  return sys::check_cancelled();
}

Result<void> resume(const Save& save, const vmm::RunningVmm& vmm) {
  sys::CancelShield shield;
  COCOON_TRY(save.backend.resume(vmm, deadline_in(kResumeLimit)));
  sys::side_effect("resume guest");
  return {};
}

// The pause window. `then` is what else has to succeed before the guest may not come back: after it
// the guest stays paused. Without it the guest is resumed.
Result<void> pause_and_capture(Save& save, const LiveVm& live, const Copies& copies,
                               const std::function<Result<void>()>& then) {
  vmm::RunningVmm vmm = live.vmm();
  Guardian guardian = COCOON_TRY(Guardian::start(save.backend, vmm));
  sys::side_effect("start guardian");
  auto began = Clock::now();
  auto captured = capture(save, vmm, copies);
  if (captured && then) captured = then();
  if (captured && then) {
    guardian.dismiss();
    return {};
  }
  auto resumed = resume(save, vmm);
  save.snapshot.pause_us =
      std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - began).count();
  if (resumed) guardian.dismiss();  // else it goes on trying
  COCOON_TRY(std::move(captured), "save the guest");
  COCOON_TRY(std::move(resumed), "the guest was saved, but");
  return {};
}

// Everything captured becomes members, and the directory gets its name.
Result<void> finish(Save& save) {
  model::Snapshot& snapshot = save.snapshot;
  std::vector<std::string> state = save.files.state;
  if (save.files.memory_by_vmm) state.push_back(save.files.memory);
  for (const std::string& name : state) {
    COCOON_TRY(take_saved_file(save.ports, save.vm, save.save_dir, name, save.part));
  }
  auto seal = [&](const std::string& name, model::MemberKind kind) -> Result<void> {
    snapshot.members.push_back(COCOON_TRY(seal_member(save.part, name, kind)));
    return {};
  };
  for (const std::string& name : save.files.state) {
    COCOON_TRY(seal(name, model::MemberKind::kState));
  }
  if (!snapshot.parent.empty()) {
    COCOON_TRY(thin_memory(save.ports, snapshot, save.files.memory), "leave out old memory");
  }
  COCOON_TRY(seal(save.files.memory, model::MemberKind::kMemory));
  for (const std::string& name : disk_members(save.ports, save.vm)) {
    COCOON_TRY(seal(name, model::MemberKind::kDisk));
  }
  COCOON_TRY(sys::check_cancelled());
  snapshot.state = model::SnapshotState::kReady;
  COCOON_TRY(model::validate(snapshot));
  return publish_snapshot(save.ports, snapshot);
}

// The commit: the snapshot is there, and nobody works on the VM any more.
Result<void> commit(Save& save, const std::function<void(model::Vm&)>& change) {
  Ports& ports = save.ports;
  COCOON_TRY(ports.db.set_durable(true));
  auto tx = COCOON_TRY(ports.db.begin());
  COCOON_TRY(store::update_snapshot(ports.db, save.snapshot));
  auto now = COCOON_TRY(store::get_vm(ports.db, save.vm.id));
  if (now) {
    now->op.reset();
    if (change) change(*now);
    COCOON_TRY(store::update_vm(ports.db, *now));
    save.vm = std::move(*now);
  }
  COCOON_TRY(tx.commit());
  return ports.db.set_durable(false);
}

// The VM's record and backend, once everything that could refuse has been asked.
Result<Save> begin(Ports& ports, const vmm::Backend& backend, model::Vm vm,
                   const SaveRequest& request) {
  if (vm.state != model::VmState::kRunning) {
    return fail(ErrorKind::kWrongState, "it is {}, and only a running VM has memory to save",
                model::state_name(vm.state));
  }
  COCOON_TRY(model::validate(vm));
  auto able = COCOON_TRY(backend.capabilities());
  auto files = COCOON_TRY(backend.saved_files(vm));
  auto snapshot = COCOON_TRY(plan_snapshot(ports, able, vm, request));
  if (request.parent) {
    if (!able.incremental) {
      return fail(ErrorKind::kUnsupported,
                  "{} saves all of a guest's memory (capability incremental)", backend.name());
    }
    snapshot.parent =
        COCOON_TRY(choose_parent(ports, vm, *request.parent, files), "--incremental").id;
  }
  return Save{ports, backend, std::move(vm), std::move(snapshot), std::move(files), {}, {}};
}

std::function<Result<void>()> unlink_lock(sys::FileLock& lock) {
  return [&lock]() -> Result<void> {
    lock.unlink();
    return {};
  };
}

Result<LiveVm> open_live(const Save& save) {
  auto live = COCOON_TRY(LiveVm::open(save.ports, save.vm));
  if (!live) return fail(ErrorKind::kWrongState, "its VMM has just ended");
  return std::move(*live);
}

// How a clone of the guest will get its MACs has to be known before it is loaded. Only where that
// makes a difference: the boot kit has an agent, and a VMM that cannot exchange NICs never will.
Result<void> look_for_agent(Save& save) {
  if (save.vm.nics.empty() || has_agent(save.vm)) return {};
  if (!COCOON_TRY(save.backend.capabilities()).nic_swap) return {};
  save.snapshot.agent = COCOON_TRY(find_agent(save.ports, save.vm));
  return {};
}

Result<void> save_running(Save& save, Rollback& undo) {
  COCOON_TRY(reserve(save, undo));
  COCOON_TRY(prepare(save, undo));
  Copies copies = COCOON_TRY(open_copies(save));
  if (save.vm.memory_backing == "file") copies.flush_sources();
  LiveVm live = COCOON_TRY(open_live(save));
  COCOON_TRY(look_for_agent(save));
  COCOON_TRY(sys::check_cancelled());
  COCOON_TRY(pause_and_capture(save, live, copies, nullptr));
  COCOON_TRY(finish(save));
  COCOON_TRY(remove_save_dirs(save.ports, save.vm));
  return commit(save, nullptr);
}

// As save_running, but the guest never comes back from the pause: the row that says so is written
// before its VMM is ended, so whoever comes after a death in between ends it.
Result<void> hibernate_running(Save& save, Rollback& undo) {
  COCOON_TRY(reserve(save, undo));
  COCOON_TRY(prepare(save, undo));
  Copies copies = COCOON_TRY(open_copies(save));
  if (save.vm.memory_backing == "file") copies.flush_sources();
  LiveVm live = COCOON_TRY(open_live(save));
  COCOON_TRY(sys::check_cancelled());
  return pause_and_capture(save, live, copies, [&]() -> Result<void> {
    COCOON_TRY(finish(save));
    return commit(save, [&](model::Vm& row) {
      row.op = op_of(kHibernateOp, save.snapshot.id);
      row.hibernation = save.snapshot.id;
    });
  });
}

}  // namespace

std::vector<std::string> disk_members(const Ports& ports, const model::Vm& vm) {
  std::vector<std::string> names = model::disk_files(vm);
  bool has_variables = sys::exists(vm_dir(ports, vm) / vmm::kVariablesFile);
  if (has_variables) names.emplace_back(vmm::kVariablesFile);
  return names;
}

Result<model::Snapshot> save_snapshot(Ports& ports, const std::string& vm_id,
                                      const SaveRequest& request) {
  auto lock = COCOON_TRY(lock_vm(ports, vm_id, "snapshot save"));
  model::Vm vm = COCOON_TRY(settle_locked(ports, vm_id));
  auto backend = COCOON_TRY(vmm::make_backend(vm.hypervisor, ports.config));
  std::string name = vm.config.name;
  Save save = COCOON_TRY(begin(ports, *backend, std::move(vm), request), "save vm \"{}\"", name);
  auto snapshot_lock = COCOON_TRY(
      lock_snapshot(ports, save.snapshot.id, sys::FileLock::Mode::kExclusive, "snapshot save"));
  Rollback undo;
  undo.add("remove the lock file", unlink_lock(snapshot_lock));
  COCOON_TRY(save_running(save, undo), "save vm \"{}\"", name);
  undo.commit();
  return std::move(save.snapshot);
}

Result<model::Vm> hibernate_vm(Ports& ports, const std::string& vm_id) {
  auto lock = COCOON_TRY(lock_vm(ports, vm_id, "hibernate"));
  model::Vm vm = COCOON_TRY(settle_locked(ports, vm_id));
  if (!vm.hibernation.empty() && vm.state != model::VmState::kRunning) return vm;
  auto backend = COCOON_TRY(vmm::make_backend(vm.hypervisor, ports.config));
  std::string name = vm.config.name;
  SaveRequest request;
  request.description = fmt::format("hibernated vm {}", name);
  Save save =
      COCOON_TRY(begin(ports, *backend, std::move(vm), request), "hibernate vm \"{}\"", name);
  save.snapshot.hibernated = true;
  auto snapshot_lock = COCOON_TRY(
      lock_snapshot(ports, save.snapshot.id, sys::FileLock::Mode::kExclusive, "hibernate"));
  Rollback undo;
  undo.add("remove the lock file", unlink_lock(snapshot_lock));
  COCOON_TRY(hibernate_running(save, undo), "hibernate vm \"{}\"", name);
  undo.commit();
  sys::CancelShield shield;  // it sleeps; what is left is to say so
  COCOON_TRY(remove_save_dirs(ports, save.vm));
  return COCOON_TRY(fall_asleep(ports, std::move(save.vm)), "hibernate vm \"{}\"", name);
}

}  // namespace cocoon::engine
