// SPDX-License-Identifier: Apache-2.0
// `snapshot export`: a snapshot as one file, a stream or a directory that another host can take in
// (design §10; spec 04 §11). Links compressors and crypto libraries: cocoon_engine_acquire only.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "engine/ports.h"
#include "model/snapshot.h"
#include "snapshot/archive/byte_sink.h"

namespace cocoon::engine {

struct ExportRequest {
  // Empty: <name or ID>.tar.zst in the current directory (or what `packing` says; .tar with
  // `compat`); "-": standard output, a plain tar unless `packing` says otherwise.
  std::string file;
  std::filesystem::path to_dir;              // plain files into a new directory instead
  std::optional<snapshot::Packing> packing;  // over what the file's name says
  bool force = false;                        // a file of that name is replaced
  // Layers, base disk, kernel and firmware are carried along; without it the other host must have
  // them.
  bool with_image = false;
  // In the form that the original engine reads (Cloud Hypervisor's snapshots only). Standard output
  // gets it without being asked where that is possible; without an image and not as zstd.
  bool compat = false;
  int standard_output = 1;
  // How far it is, for the user: bytes of data written, and how many there are. May be empty.
  std::function<void(std::int64_t done, std::int64_t total)> progress;
};

struct ExportReport {
  model::Snapshot snapshot;
  std::filesystem::path file;  // what was made; empty for standard output
};

// What a file of that name is packed with: .tar.gz, .tgz, .tar.zst, .tzst; else nothing.
snapshot::Packing packing_of(std::string_view file_name);

// Exports the snapshot of that ID. A file or directory appears whole or not at all, and never takes
// the place of another without `force`: kConflict. Digests that are missing are taken and noted
// first. kNotFound, kCorrupt naming the member, kSystem (no room), kInterrupted; kUnsupported: the
// original has no place for the snapshot, or reads nothing that is packed so.
Result<ExportReport> export_snapshot(Ports& ports, const std::string& id,
                                     const ExportRequest& request);

}  // namespace cocoon::engine
