// SPDX-License-Identifier: Apache-2.0
// The files of a VM (design §5): its directory, disks, initrd, memory, logs. Each maker has its
// remover here; owners and modes are those of the table in design §5.
#pragma once

#include <string>
#include <vector>

#include "engine/ports.h"
#include "model/data_disk.h"
#include "model/vm.h"

namespace cocoon::engine {

// Root and run directory must share a file system, because sharing is by hard link. kUnsupported
// with the reason otherwise. Makes both.
Result<void> check_layout(const Ports& ports);

// <run>/<backend>/<id>/ with sock/, and the log directory.
Result<void> make_vm_dirs(const Ports& ports, const model::Vm& vm);

// A hard link `name` in the VM directory to an immutable file of the store (absolute path).
Result<void> link_into_vm(const Ports& ports, const model::Vm& vm, const store::fs::path& file,
                          const std::string& name);

// The disk of role cow, owned by the VMM: sparse and ext4 (flags of spec 03 §6), or a qcow2 overlay
// on its backing file. `lock_fd` goes to the programs that do the work, so that the VM's lock is
// not free while they run.
Result<void> make_root_disk(const Ports& ports, const model::Vm& vm, int lock_fd);

// The data disks of complete specs, each sparse, formatted and owned by the VMM. What was made
// before a failure goes with the VM's directory.
Result<void> make_data_disks(const Ports& ports, const model::Vm& vm,
                             const std::vector<model::DataDiskSpec>& specs, int lock_fd);

// The record as this host can launch it: direct I/O is a wish (unless a disk demands it), and not
// every file system has it.
model::Vm as_host_can(const Ports& ports, const model::Vm& vm);

// The boot-kit initrd of this start: the kernel object's initramfs with boot.json appended.
// `ends_by_reboot` as in render_boot_json.
Result<void> make_initrd(const Ports& ports, const model::Vm& vm, bool ends_by_reboot);

// The guest's memory file: on the configured tmpfs behind a symbolic link (after an admission
// check: kUnsupported when it does not fit), or in the VM directory with --memory-backing file.
Result<void> make_memory(const Ports& ports, const model::Vm& vm, std::int64_t bytes);

// Where the memory file of a VM lies, and its link; they go when its VMM ends, together with what a
// load has left.
Result<std::vector<store::fs::path>> memory_files(const Ports& ports, const model::Vm& vm);
Result<void> remove_memory(const Ports& ports, const model::Vm& vm);
// The directory on the tmpfs that all memory files of this root directory share.
Result<store::fs::path> memory_dir(const Ports& ports);

// Everything above, exit record and cgroup included; what is not there is fine.
Result<void> remove_vm_files(const Ports& ports, const model::Vm& vm);

}  // namespace cocoon::engine
