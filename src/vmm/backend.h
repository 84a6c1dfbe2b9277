// SPDX-License-Identifier: Apache-2.0
// The interface between engine and VMMs: stateless and narrow. A backend gets the record and hands
// values back; the engine alone writes records, places files, spawns and kills.
//
// The life of a VM, as the engine drives it:
//   create   capabilities() → plan_devices() → stored as Vm::device_plan
//   start    choose_accel() → plan_launch() → files placed, shim starts Launch → finish_start();
//            any failure: end this process; one VMM process is one attempt (design §4)
//   stop     ask_guest_to_stop() → quit() → the engine kills by pidfd
//   save     pause() → save() into a directory below the VM's → the engine copies disks → resume()
//   load     choose_accel() → plan_load() → files placed, shim starts LoadPlan::launch →
//            finish_load(): the guest goes on from where it was saved
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "model/config.h"
#include "model/vm.h"
#include "vmm/accel.h"
#include "vmm/capabilities.h"
#include "vmm/launch.h"
#include "vmm/running_vmm.h"
#include "vmm/saved.h"

namespace cocoon::vmm {

// Firmware that is installed here, for guests that boot a disk.
struct Firmware {
  std::filesystem::path code;       // read-only
  std::filesystem::path variables;  // each VM gets a writable copy; empty: the firmware has none
};

// What the VMM says about its guest.
struct VmmStatus {
  bool running = false;  // vCPUs run
  bool paused = false;   // stopped by us
  std::string detail;    // the VMM's own word: "running", "paused", "io-error", …
};

// Where the guest's agent is reached: a socket of the VMM, below the VM directory.
struct AgentSocket {
  std::string name;
  // One byte stream, which cocoon-mux shares between commands; else the VMM's hybrid vsock.
  bool one_stream = false;
};

class Backend {
 public:
  virtual ~Backend() = default;

  virtual std::string_view name() const = 0;       // stored in records: "qemu"
  virtual std::string_view directory() const = 0;  // below run and log: "qemu"

  // Looks at the installed VMM. kUnsupported: not installed, or older than what we work with. The
  // answer is remembered per binary (path, inode, size, mtime) in the run directory, because asking
  // costs 20–30 ms.
  virtual Result<Capabilities> capabilities() const = 0;

  // Where the UEFI firmware for this VMM lies. kUnsupported: the VMM boots none (see
  // Capabilities::uefi), or it is not installed; then the package is named.
  virtual Result<Firmware> firmware() const = 0;

  // The devices of a new VM, with everything that a guest or a snapshot can see fixed: machine
  // version, CPU models, addresses, queue counts, memory size. Reads config and disks of the
  // record, which must be complete. kUnsupported with the numbers when the VM needs more devices
  // or vCPUs than there are places; kInvalid for a record that no VMM could run.
  virtual Result<model::DevicePlan> plan_devices(const model::Vm& vm) const = 0;

  // The record's stored plan with its NICs as they are now in the record, for a VM that is not
  // running; nothing else in it changes. kUnsupported where a plan cannot change.
  virtual Result<model::DevicePlan> replan_nics(const model::Vm& vm) const;

  // The record's stored plan for the disks that are in the record now: one that is gone gives its
  // place up, a new one gets a place, everything else stays as it is. What is added to a VM that
  // runs by its record gets a place for hot-plug. kUnsupported with the numbers when no place is
  // free; kCorrupt as plan_launch.
  virtual Result<model::DevicePlan> replan_disks(const model::Vm& vm) const = 0;

  // The record's stored plan for the vCPUs and the memory that are in the record now, for a VM that
  // is about to boot. kUnsupported with the numbers; kInvalid, kCorrupt as plan_launch.
  virtual Result<model::DevicePlan> replan_size(const model::Vm& vm) const = 0;

  // The launch of a VM from its stored plan; no side effect. kCorrupt: the plan is not one of ours
  // or does not fit the record's disks. kUnsupported: the plan needs a newer VMM than is installed.
  virtual Result<Launch> plan_launch(const model::Vm& vm, Accel accel) const = 0;

  // From "the process exists" to "the guest runs": waits for the API socket, makes the calls of the
  // launch where the VMM wants any. kVmm: the VMM refused or died (its last words are quoted);
  // kTimeout; kInterrupted. After an error the process has to be ended.
  virtual Result<void> finish_start(const Launch& launch, const RunningVmm& vmm,
                                    Deadline deadline) const = 0;

  // Asks the guest to shut down, again and again (guests that still boot lose the request), and
  // waits for the end of the process: true = it ended, false = the deadline passed. kInterrupted,
  // kVmm when the VMM cannot be talked to. kUnsupported when GracefulStop is kNone.
  virtual Result<bool> ask_guest_to_stop(const RunningVmm& vmm, Deadline deadline) const = 0;

  // Tells the VMM to end now, without the guest. Returns when it was told; the caller waits for the
  // process, and kills it when that takes too long. A VMM that is gone already is success.
  virtual Result<void> quit(const RunningVmm& vmm, Deadline deadline) const = 0;

  // Where the guest's agent is reached.
  virtual AgentSocket agent_socket() const { return {"sock/vsock", false}; }

  // A VMM is gone and nobody saw how it ended: are there signs in the VM directory that it ended in
  // order, as by a guest's power-off? False: none, or this VMM leaves none.
  virtual bool left_in_order(int /*vm_dir*/) const { return false; }

  // The disks of a running guest (Capabilities::hotplug; kUnsupported without it). `vm` is the
  // record, and its stored plan has the disk; `path` names it. Each may be repeated: what is so
  // already is success. Errors as quit.

  // Paths of those disks of the record that the VMM has.
  virtual Result<std::vector<std::string>> plugged_disks(const model::Vm& vm, const RunningVmm& vmm,
                                                         Deadline deadline) const;
  // Hands the disk to the guest, which sees it a moment later.
  virtual Result<void> plug_disk(const model::Vm& vm, const std::string& path,
                                 const RunningVmm& vmm, Deadline deadline) const;
  // Could a running guest lose it? kUnsupported: its place allows that only cold. No side effect.
  virtual Result<void> check_unplug(const model::Vm& vm, const std::string& path) const;
  // Takes it away and waits until guest and VMM let go of it: its file is free then. kTimeout: the
  // guest did not (it still may). kUnsupported as check_unplug.
  virtual Result<void> unplug_disk(const model::Vm& vm, const std::string& path,
                                   const RunningVmm& vmm, Deadline deadline) const;
  // Grows the disk with its file; the guest is told.
  virtual Result<void> grow_disk(const model::Vm& vm, const std::string& path, std::int64_t bytes,
                                 const RunningVmm& vmm, Deadline deadline) const;

  // Saving and loading (Capabilities::snapshots; kUnsupported without it). Errors as quit.

  // Stops the vCPUs, with what the guest has written handed to its disks. A guest that is paused
  // already is success. After any error the caller resumes all the same: the answer may be lost.
  virtual Result<void> pause(const RunningVmm& vmm, Deadline deadline) const;
  // Lets them run again; a guest that runs is success. Also gets a VMM out of an unfinished save.
  virtual Result<void> resume(const RunningVmm& vmm, Deadline deadline) const;
  // Of a paused guest: writes everything but disks into `dir`, an empty directory below the VM's
  // that belongs to the VMM's uid. What lies in a file of the VM directory already is left out.
  virtual Result<void> save(const model::Vm& vm, const RunningVmm& vmm, const std::string& dir,
                            Deadline deadline) const;
  // What a save of this VM consists of. No side effect.
  virtual Result<SavedFiles> saved_files(const model::Vm& vm) const;

  // The launch of a VMM that goes on from a snapshot. `vm` is the new record (its own names, MACs,
  // TAPs; the snapshot's device plan), `saved` the snapshot. Reads the VMM's files in it, which are
  // hostile when the snapshot came from elsewhere: what they say is checked against `saved.vm`.
  // kUnsupported: not with this version, or not in the mode that was asked for; kCorrupt.
  virtual Result<LoadPlan> plan_load(const model::Vm& vm, const SavedVm& saved, Accel accel,
                                     RestoreMode mode) const;
  // Interchange with the original engine (spec 04 §11; Cloud Hypervisor's alone, kUnsupported for
  // all others). Both read the VMM's files in `dir`, which may be hostile.

  // A guest that the original saved, as one of ours. `vm` is what its documents say, with disks and
  // boot files under our names; vCPUs and memory that they do not say are 0. NICs, device plan and
  // state files come from what the VMM wrote. kCorrupt, naming the member: it contradicts `vm` or
  // `paths`, or has what no guest of ours could have.
  virtual Result<OriginalGuest> take_original(const model::Vm& vm, const OriginalPaths& paths,
                                              const std::filesystem::path& dir) const;
  // The state files of a snapshot of ours as the original would have them. kCorrupt.
  virtual Result<std::vector<LoadText>> render_original(const model::Vm& vm,
                                                        const OriginalPaths& paths,
                                                        const std::filesystem::path& dir) const;

  // From "the process exists" to "the guest runs on". Errors as finish_start; kTimeout also for a
  // guest that does not let go of what LoadPlan::leaving names.
  virtual Result<void> finish_load(const LoadPlan& plan, const RunningVmm& vmm,
                                   Deadline deadline) const;

  // For inspect.
  virtual Result<VmmStatus> status(const RunningVmm& vmm, Deadline deadline) const = 0;
};

// The backend of that name ("qemu", "cloud-hypervisor", "firecracker"): kInvalid for any other,
// kUnsupported for one that this build does not contain. Starts nothing and looks at nothing.
Result<std::unique_ptr<Backend>> make_backend(std::string_view name, const model::Config& config);

// What a new VM asks of its backend.
struct BackendNeeds {
  bool firmware = false;  // it boots a disk through UEFI
  bool windows = false;
};

// The name of the backend for a new VM: `requested` (--fc, --qemu, --backend; empty: not given)
// over config.hypervisor over config.use_firecracker over auto. "auto", also when it is requested:
// Cloud Hypervisor where it is installed, new enough, has the firmware if one is needed, and
// `kvm_usable` (called only then) says yes; else QEMU, but never for Windows. Errors as
// make_backend.
Result<std::string> select_backend(std::string_view requested, const model::Config& config,
                                   const BackendNeeds& needs,
                                   const std::function<bool()>& kvm_usable);

}  // namespace cocoon::vmm
