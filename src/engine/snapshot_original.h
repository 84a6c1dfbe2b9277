// SPDX-License-Identifier: Apache-2.0
// Interchange with the original engine's archives (design §10; spec 04 §11): what it wrote becomes
// a snapshot of ours, and a snapshot of ours what it reads. Cloud Hypervisor guests only. Links
// archive and crypto libraries: cocoon_engine_acquire only.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "engine/ports.h"
#include "model/snapshot.h"
#include "snapshot/archive/documents.h"
#include "snapshot/archive/original.h"
#include "snapshot/archive/unpack.h"
#include "vmm/saved.h"

namespace cocoon::engine {

// What the user says of the files that such a guest rests on: its archive holds no digest of them.
struct OriginalOffer {
  std::filesystem::path store;  // root directory of the original's store; empty: none
  bool assume_same = false;     // this store's files of those names are the same bytes
};

// An unpacked archive of the original as if it were one of ours: `unpacked` has the guest's own
// files, under our names and in the form of a save of ours, and those that come from
// `offer.store`; digests and sizes are said in the sidecar. `id`: of a VM. kUnsupported: neither
// offer was made; kNotFound: a file that the guest rests on; kCorrupt.
Result<snapshot::Sidecar> take_original(Ports& ports, const OriginalOffer& offer,
                                        const std::string& id, const std::filesystem::path& part,
                                        snapshot::Unpacked& unpacked);

// A snapshot of ours as the original has it.
struct OriginalForm {
  snapshot::OriginalGuest guest;     // what its documents say
  std::vector<vmm::LoadText> texts;  // take the place of the members of those names
  std::string memory_member;         // the member that the original calls `memory_name`
  std::string memory_name;
  // Of the member `overlay`: what its first bytes are there. Empty: there is no overlay.
  std::string overlay, overlay_head;
};

// `shared`: where the shared members come from; all members have digests. kUnsupported, naming the
// member: what the original has no place for. kCorrupt.
Result<OriginalForm> original_form(const Ports& ports, const model::Snapshot& snapshot,
                                   const std::map<std::string, snapshot::SharedSource>& shared);

// The other way, for an archive that we wrote in that form (Sidecar::original_form): the files in
// `part` get our form again, and are what the sidecar says then. Both documents are read. kCorrupt:
// the two forms are not of one guest.
Result<void> take_own_form(Ports& ports, const std::filesystem::path& part,
                           snapshot::Sidecar& sidecar, snapshot::Unpacked& unpacked);

// Steps of both.

// What config.json calls the files of such a guest.
vmm::OriginalPaths original_paths(const snapshot::OriginalGuest& guest);

// Gives an unpacked file another head, and notes its digest anew.
Result<void> replace_head(const std::filesystem::path& part, snapshot::Unpacked& unpacked,
                          const std::string& name, std::string_view head);

}  // namespace cocoon::engine
