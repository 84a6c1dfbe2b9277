// SPDX-License-Identifier: Apache-2.0
// What the use cases of `vm disk` share: finding a disk, and taking a half-done change back (in the
// command itself and, after kill -9, in the next one).
//
// A change reserves, acts and commits: the row gets an op with one of these verbs and, as its
// phase, what the change is about; only then something happens to files and VMM.
#pragma once

#include <string>
#include <string_view>

#include "base/clock.h"
#include "engine/live_vm.h"
#include "engine/ports.h"
#include "model/vm.h"
#include "vmm/backend.h"

namespace cocoon::engine {

// Verbs of ops. Phases: of an attach "make FILE" while the file is made, "plug FILE" once it is
// complete; of a detach "FILE", or "FILE -> PATH" when it is kept there; of a growth "FILE".
inline constexpr std::string_view kDiskAttach = "disk attach";
inline constexpr std::string_view kDiskDetach = "disk detach";
inline constexpr std::string_view kDiskResize = "disk resize";

// One call to the VMM that needs no help of the guest.
inline constexpr Milliseconds kDiskCallLimit{10'000};
// A guest that works lets go of a disk in a tenth of a second; emulated hosts take longer.
inline constexpr Milliseconds kUnplugLimit{30'000};

// The name of a disk for people: its serial, else its file without the ending ("overlay").
std::string disk_label(const model::Disk& disk);

// The disk that a user means: a data disk by its name, else the root disk by "root" or its label.
// kNotFound; kInvalid: another disk, which cannot be changed.
Result<model::Disk> find_disk(const model::Vm& vm, std::string_view name);

// Refuses, before anything is done, what the VMM cannot do to a running guest (kUnsupported naming
// the capability), and any change while the VM is hibernated (kWrongState).
Result<void> check_hotplug(const vmm::Backend& backend, const model::Vm& vm);

// The record with one more data disk, behind its others, device plan included; that of a running VM
// is one to be hot-plugged. kUnsupported: no place is free; kInvalid as model::validate.
Result<model::Vm> with_disk(const vmm::Backend& backend, model::Vm vm, const model::Disk& disk);

// The record without a disk, its device plan included.
Result<model::Vm> without_disk(const vmm::Backend& backend, model::Vm vm, const std::string& path);

// Takes an attach back: unplugged, file removed, row as it was. A guest that does not let go of the
// disk keeps it, and the row says so. Clears the op.
Result<model::Vm> undo_attach(Ports& ports, const model::Vm& vm, const std::string& path);

// Is this op one of ours, left by a command that is dead?
bool is_disk_op(const model::Vm& vm);

// Undoes or finishes it, with the VM's lock held; returns the row without the op. What the VMM
// cannot be asked about stays in the record, where the next start finds it.
Result<model::Vm> settle_disk_op(Ports& ports, const model::Vm& vm);

}  // namespace cocoon::engine
