// SPDX-License-Identifier: Apache-2.0
#include "engine/snapshot_verify.h"

#include "engine/locks.h"
#include "engine/snapshot_files.h"
#include "engine/vm_load.h"
#include "snapshot/archive/member_digest.h"
#include "store/blob_rows.h"
#include "store/snapshot_rows.h"

namespace cocoon::engine {
namespace {

// Digests of members by their place in the list; files are open only while they are read.
class Digests {
 public:
  Digests(const Ports& ports, const model::Snapshot& snapshot)
      : dir_(snapshot_dir(ports, snapshot.id)) {}

  Result<void> add(const model::Member& member) {
    fds_.push_back(COCOON_TRY(sys::open_file(dir_ / member.name, O_RDONLY | O_NOFOLLOW)));
    bool pages = member.kind != model::MemberKind::kShared;
    jobs_.push_back({fds_.back().get(), member.name, pages});
    return {};
  }
  Result<void> run() { return snapshot::take_digests(jobs_); }
  // The digest of a member that was added; empty: it was not.
  std::string digest(const std::string& name) const {
    for (const snapshot::DigestJob& job : jobs_) {
      if (job.what == name) return job.digest;
    }
    return {};
  }

 private:
  store::fs::path dir_;
  std::vector<sys::UniqueFd> fds_;
  std::vector<snapshot::DigestJob> jobs_;
};

// What the store knows of a shared member: blobs have their digest in their row.
Result<std::string> known_digest(Ports& ports, const model::Snapshot& snapshot,
                                 const model::Member& member) {
  for (const model::Disk& disk : snapshot.vm.disks) {
    bool is_it = disk.path == member.name || disk.backing == member.name;
    if (member.kind != model::MemberKind::kShared || !is_it) continue;
    auto blob = COCOON_TRY(store::get_blob(ports.db, disk.blob));
    if (blob) return blob->sha256;
  }
  return std::string();
}

Result<void> fill_in_known(Ports& ports, model::Snapshot& snapshot) {
  for (model::Member& member : snapshot.members) {
    if (!member.sha256.empty()) continue;
    member.sha256 = COCOON_TRY(known_digest(ports, snapshot, member));
  }
  return {};
}

// Others may have noted the same meanwhile; what is noted stays.
Result<void> note_digests(Ports& ports, const model::Snapshot& snapshot) {
  auto tx = COCOON_TRY(ports.db.begin());
  auto now = COCOON_TRY(store::get_snapshot(ports.db, snapshot.id));
  if (!now) return {};
  for (model::Member& member : now->members) {
    const model::Member* known = model::find_member(snapshot, member.name);
    if (member.sha256.empty() && known != nullptr) member.sha256 = known->sha256;
  }
  COCOON_TRY(store::update_snapshot(ports.db, *now));
  return tx.commit();
}

}  // namespace

Result<model::Snapshot> with_digests(Ports& ports, model::Snapshot snapshot) {
  COCOON_TRY(fill_in_known(ports, snapshot));
  Digests digests(ports, snapshot);
  bool missing = false;
  for (const model::Member& member : snapshot.members) {
    if (!member.sha256.empty()) continue;
    COCOON_TRY(digests.add(member));
    missing = true;
  }
  if (!missing) return snapshot;
  COCOON_TRY(digests.run());
  for (model::Member& member : snapshot.members) {
    if (member.sha256.empty()) member.sha256 = digests.digest(member.name);
  }
  COCOON_TRY(note_digests(ports, snapshot), "note the digests");
  return snapshot;
}

namespace {

Result<VerifyReport> verify_one(Ports& ports, const std::string& id) {
  auto lock = COCOON_TRY(lock_snapshot(ports, id, sys::FileLock::Mode::kShared, "verify"));
  VerifyReport report;
  report.snapshot = COCOON_TRY(ready_snapshot(ports, id));
  model::Snapshot& snapshot = report.snapshot;
  COCOON_TRY(fill_in_known(ports, snapshot));
  Digests digests(ports, snapshot);
  for (const model::Member& member : snapshot.members) COCOON_TRY(digests.add(member));
  COCOON_TRY(digests.run());
  std::string damaged;
  for (model::Member& member : snapshot.members) {
    std::string digest = digests.digest(member.name);
    report.bytes += member.size;
    if (member.sha256.empty()) {
      member.sha256 = digest;
      ++report.noted;
    } else if (member.sha256 == digest) {
      ++report.compared;
    } else {
      damaged += fmt::format("{}member {} has changed", damaged.empty() ? "" : ", ", member.name);
    }
  }
  if (!damaged.empty()) return fail(ErrorKind::kCorrupt, "snapshot {}: {}", id, damaged);
  COCOON_TRY(note_digests(ports, snapshot), "note the digests");
  return report;
}

}  // namespace

Result<VerifyReport> verify_snapshot(Ports& ports, const std::string& id) {
  VerifyReport report = COCOON_TRY(verify_one(ports, id));
  std::string parent = report.snapshot.parent;
  // What it builds on cannot go as long as it is there.
  while (!parent.empty()) {
    VerifyReport below = COCOON_TRY(verify_one(ports, parent));
    report.compared += below.compared;
    report.noted += below.noted;
    report.bytes += below.bytes;
    parent = below.snapshot.parent;
  }
  return report;
}

}  // namespace cocoon::engine
