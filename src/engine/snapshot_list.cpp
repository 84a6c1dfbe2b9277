// SPDX-License-Identifier: Apache-2.0
#include "engine/snapshot_list.h"

#include <algorithm>

#include <fmt/ranges.h>

#include "engine/locks.h"
#include "engine/snapshot_files.h"
#include "engine/snapshot_settle.h"
#include "model/wording.h"
#include "store/snapshot_rows.h"
#include "store/vm_rows.h"
#include "sys/cancel.h"

namespace cocoon::engine {
namespace {

Result<void> check_unneeded(Ports& ports, const model::Snapshot& snapshot) {
  if (!snapshot.hibernated) return {};
  auto vm = COCOON_TRY(store::get_vm(ports.db, snapshot.source_vm));
  if (!vm || vm->hibernation != snapshot.id) return {};
  return fail(ErrorKind::kConflict, "vm \"{}\" is hibernated in it: start or remove that",
              vm->config.name);
}

// What a dead command has left of its children holds nothing.
Result<void> settle_children(Ports& ports, const std::string& id) {
  for (const model::Snapshot& child : COCOON_TRY(store::snapshot_children(ports.db, id))) {
    if (child.state != model::SnapshotState::kReady) COCOON_TRY(settle_snapshot(ports, child));
  }
  return {};
}

Result<void> check_no_children(Ports& ports, const std::string& id) {
  std::vector<std::string> names;
  for (const model::Snapshot& child : COCOON_TRY(store::snapshot_children(ports.db, id))) {
    names.push_back(child.name.empty() ? child.id : fmt::format("\"{}\"", child.name));
  }
  if (names.empty()) return {};
  return fail(ErrorKind::kConflict, "what has changed since it is in {}: remove {} first",
              fmt::join(names, ", "), names.size() == 1 ? "that" : "those");
}

// From the commit on it is gone for the world, its name free; what a dead command leaves is
// settled by the next one.
Result<void> mark_deleting(Ports& ports, model::Snapshot snapshot) {
  snapshot.state = model::SnapshotState::kDeleting;
  snapshot.name.clear();
  COCOON_TRY(settle_children(ports, snapshot.id));
  COCOON_TRY(ports.db.set_durable(true));
  auto tx = COCOON_TRY(ports.db.begin());
  COCOON_TRY(check_no_children(ports, snapshot.id));
  COCOON_TRY(store::update_snapshot(ports.db, snapshot));
  COCOON_TRY(tx.commit());
  return ports.db.set_durable(false);
}

}  // namespace

Result<std::vector<model::Snapshot>> list_snapshots(Ports& ports, const std::string& vm_id) {
  std::vector<model::Snapshot> out;
  for (model::Snapshot& snapshot : COCOON_TRY(store::list_snapshots(ports.db), "list snapshots")) {
    bool wanted = snapshot.state == model::SnapshotState::kReady &&
                  (vm_id.empty() || snapshot.source_vm == vm_id);
    if (wanted) out.push_back(std::move(snapshot));
  }
  return out;
}

Result<model::Snapshot> inspect_snapshot(Ports& ports, std::string_view reference) {
  std::string id = COCOON_TRY(store::resolve_snapshot(ports.db, reference));
  auto snapshot = COCOON_TRY(store::get_snapshot(ports.db, id));
  if (snapshot && snapshot->state == model::SnapshotState::kReady) return std::move(*snapshot);
  return fail(ErrorKind::kNotFound, "{}: {}", model::kSnapshotNotFound, reference);
}

nlohmann::json snapshot_json(const Ports& ports, const model::Snapshot& snapshot) {
  std::int64_t allocated = 0;
  for (const model::Member& member : snapshot.members) {
    if (member.kind == model::MemberKind::kShared) continue;
    allocated += sys::allocated_bytes(snapshot_dir(ports, snapshot.id) / member.name);
  }
  return model::to_public_json(snapshot, allocated);
}

Result<std::vector<std::string>> resolve_snapshots(Ports& ports,
                                                   const std::vector<std::string>& references) {
  std::vector<std::string> ids;
  for (const std::string& reference : references) {
    std::string id = COCOON_TRY(store::resolve_snapshot(ports.db, reference));
    if (std::find(ids.begin(), ids.end(), id) == ids.end()) ids.push_back(id);
  }
  return ids;
}

Result<RemovalOrder> removal_order(Ports& ports, std::vector<std::string> ids) {
  RemovalOrder order;
  // A child was made after its parent, and snapshots are listed by their age.
  auto all = COCOON_TRY(store::list_snapshots(ports.db));
  for (auto snapshot = all.rbegin(); snapshot != all.rend(); ++snapshot) {
    auto wanted = std::find(ids.begin(), ids.end(), snapshot->id);
    if (wanted == ids.end()) continue;
    order.linked |= !snapshot->parent.empty();
    order.ids.push_back(std::move(*wanted));
    ids.erase(wanted);
  }
  order.ids.insert(order.ids.end(), ids.begin(), ids.end());  // gone meanwhile
  return order;
}

Result<void> remove_snapshot(Ports& ports, const std::string& id) {
  auto lock = COCOON_TRY(lock_snapshot(ports, id, sys::FileLock::Mode::kExclusive, "snapshot rm"));
  auto snapshot = COCOON_TRY(store::get_snapshot(ports.db, id));
  if (!snapshot) {
    lock.unlink();  // another rm was faster
    return {};
  }
  std::string what = snapshot->name.empty() ? id : snapshot->name;
  COCOON_TRY(check_unneeded(ports, *snapshot), "remove snapshot \"{}\"", what);
  COCOON_TRY(sys::check_cancelled());
  COCOON_TRY(mark_deleting(ports, std::move(*snapshot)), "remove snapshot \"{}\"", what);
  sys::CancelShield shield;  // from here on it only goes forward
  COCOON_TRY(drop_snapshot(ports, id), "remove snapshot \"{}\"", what);
  lock.unlink();
  return {};
}

}  // namespace cocoon::engine
