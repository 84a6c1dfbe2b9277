// SPDX-License-Identifier: Apache-2.0
// The documents of the original engine's archives of Cloud Hypervisor guests (spec 04 §1.3, §4.1,
// §11.5): what they say of a guest, under the names that its files have in a VM directory of ours,
// and the same written for it. What comes in is hostile. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "model/snapshot.h"
#include "snapshot/archive/documents.h"

namespace cocoon::snapshot {

// Where the original keeps what guests share, unless it is told otherwise.
inline constexpr std::string_view kOriginalRoot = "/var/lib/cocoon";

// A file of the original's store that many guests share.
struct OriginalBlob {
  std::string path;    // as the guest's records name it
  std::string digest;  // the 64 hex digits in that path; empty for firmware
  bool operator==(const OriginalBlob&) const = default;
};

// Below the root of the original's store (spec 02 §1).
enum class OriginalKind { kLayer, kKernel, kInitrd, kBase, kFirmware };
// "oci/blobs/<digest>.erofs", "oci/boot/<digest>/vmlinuz", "firmware/CLOUDHV.fd" …
std::string original_place(OriginalKind kind, std::string_view digest);
// The digest in a path that ends so; an absolute path without "." and "..". kCorrupt.
Result<OriginalBlob> parse_original_place(OriginalKind kind, const std::string& path);

struct OriginalGuest {
  // name, description, and of the VM: config (CPUs and memory 0 where they are not said), disks,
  // boot files, state. The VM's name is made up: an archive has none. No ID, members, NICs, plan.
  model::Snapshot snapshot;
  std::vector<std::string> paths;         // of the disks, as config.json has them
  std::vector<OriginalBlob> layers;       // of the disks with that role, in their order
  OriginalBlob kernel, initrd, firmware;  // empty paths: none
  std::string base;  // digest of the disk below the overlay; empty: no overlay, or not said
  int nics = 0;      // as snapshot.json counts them
};

// Reads both. kCorrupt; kUnsupported: not a Cloud Hypervisor guest.
Result<OriginalGuest> parse_original(const Envelope& envelope, const nlohmann::json& sidecar);

// The keys that the original reads in cocoon.json: storage_configs and boot_config.
nlohmann::json original_sidecar(const OriginalGuest& guest);

// snapshot.json with the digests of `guest` as image_blob_ids.
std::string original_envelope(const OriginalGuest& guest);

}  // namespace cocoon::snapshot
