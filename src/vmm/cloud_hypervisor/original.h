// SPDX-License-Identifier: Apache-2.0
// Snapshots of the original engine (spec 04 §4.1, §7.2): its config.json and state.json name files
// by absolute paths of its own and have console, TAPs and queues as it sets them up. What comes
// from there becomes what a save of ours has, made anew from an allow-list (spec 04 §17 row 16),
// and keeps what the device state refers to: device IDs, their order, queues. The other way round,
// too. Pure.
#pragma once

#include "base/error.h"
#include "model/vm.h"
#include "vmm/cloud_hypervisor/snapshot.h"
#include "vmm/saved.h"

namespace cocoon::vmm::cloud_hypervisor {

// A saved guest: its record and the files that go with it.
struct SavedGuest {
  model::Vm vm;
  SavedTexts texts;
};

// A guest of the original as one of ours. `vm` has disks and boot files under our names; its vCPUs
// and memory are 0 where snapshot.json does not say them. It gets them, its NICs and its device
// plan from the files. kCorrupt, naming the member: what is not in the allow-list, or contradicts
// the record, `paths`, or the other file.
Result<SavedGuest> from_original(const model::Vm& vm, const OriginalPaths& paths,
                                 const SavedTexts& texts);

// And back: the files as the original writes them. The guest's memory has to lie beside them as
// kMemoryRangesFile. kCorrupt: the files are not those of `vm`. kUnsupported: more vCPUs at the
// next boot.
Result<SavedTexts> to_original(const model::Vm& vm, const OriginalPaths& paths,
                               const SavedTexts& texts);

}  // namespace cocoon::vmm::cloud_hypervisor
