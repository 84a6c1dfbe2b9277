// SPDX-License-Identifier: Apache-2.0
// The two documents of an archive (spec 04 §4, §11.5): snapshot.json, the envelope that the
// original reads, and cocoon.json, our sidecar. What comes in is hostile. Pure.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "model/kernel.h"
#include "model/snapshot.h"

namespace cocoon::snapshot {

inline constexpr std::string_view kEnvelopeFile = "snapshot.json";
inline constexpr std::string_view kSidecarFile = "cocoon.json";
inline constexpr std::size_t kMaxDocument = std::size_t{4} << 20;

// Carried files of a kernel object (`--with-image`) are entries named so: this and their own name.
inline constexpr std::string_view kKernelPrefix = "kernel-object.";

// Where the store that wrote the archive had a shared member from.
struct SharedSource {
  enum class Home { kBlob, kKernel, kFirmware };
  Home home = Home::kBlob;
  std::string id;    // of the blob or of the kernel object; empty for firmware
  std::string kind;  // of the blob: layer, merged, modules, boot, disk
  std::string file;  // of a kernel object: "kernel" or "vmlinux"
  bool operator==(const SharedSource&) const = default;
};

// Everything that our sidecar says in an archive.
struct Sidecar {
  model::Snapshot snapshot;
  std::map<std::string, SharedSource> shared;  // by member name
  std::optional<model::Kernel> kernel_object;  // carried along
  // The archive has the form of the original engine: state files and the overlay's head name what
  // it would have, and the document has its keys besides ours. Of state files the members tell what
  // is in the archive, of all others what is in the store.
  bool original_form = false;
};

// snapshot.json: two-space JSON and a newline, version 1. The object's keys are those of spec 01
// §10.3, which the original reads.
std::string render_envelope(const model::Snapshot& snapshot);
// The same with other image_blob_ids: the store's own names of blobs mean nothing elsewhere.
std::string render_envelope(const model::Snapshot& snapshot, const nlohmann::json& blob_ids);

// What of snapshot.json counts: name and description, which ours has in the sidecar as well.
// `config` is kept for archives of the original. kCorrupt; kUnsupported: another version.
struct Envelope {
  std::string name;
  std::string description;
  nlohmann::json config;
};
Result<Envelope> parse_envelope(std::string_view text);

std::string render_sidecar(const Sidecar& sidecar);
// The same with keys that others read; ours have none of their names.
std::string render_sidecar(const Sidecar& sidecar, const nlohmann::json& more);

// Is it one of ours? The original's has no `format`.
bool is_own_sidecar(const nlohmann::json& json);

// kCorrupt. The snapshot's own rules (model::validate) are the caller's to ask.
Result<Sidecar> parse_sidecar(const nlohmann::json& json);

// Any JSON text of an archive. kCorrupt, naming `what`.
Result<nlohmann::json> parse_document(std::string_view text, std::string_view what);

}  // namespace cocoon::snapshot
