// SPDX-License-Identifier: Apache-2.0
// `snapshot verify`: are the members still the bytes that they were? Digests are not taken inside a
// save (design §10), but here, and when a snapshot is exported or imported. Links crypto libraries:
// cocoon_engine_acquire only.
#pragma once

#include <cstdint>
#include <string>

#include "engine/ports.h"
#include "model/snapshot.h"

namespace cocoon::engine {

struct VerifyReport {
  model::Snapshot snapshot;
  std::size_t compared = 0;  // members that had a digest, and still have it
  std::size_t noted = 0;     // members whose digest was taken now, for the next time
  std::int64_t bytes = 0;    // of all of them
};

// Reads every member of the snapshot of that ID, and of those that it builds on. kCorrupt naming
// every member that differs; kNotFound, kBusy.
Result<VerifyReport> verify_snapshot(Ports& ports, const std::string& id);

// The snapshot with the digest of every member, which are noted in its row. The caller holds its
// lock. Members that have one are not read.
Result<model::Snapshot> with_digests(Ports& ports, model::Snapshot snapshot);

}  // namespace cocoon::engine
