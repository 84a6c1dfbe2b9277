// SPDX-License-Identifier: Apache-2.0
#include "store/snapshot_rows.h"

#include "model/wording.h"
#include "store/reference.h"

namespace cocoon::store {
namespace {

Result<model::Snapshot> read_record(const Statement& row, int column) {
  auto json = COCOON_TRY(row.json(column));
  return model::parse_snapshot(json);
}

std::string record_text(const model::Snapshot& snapshot) {
  return model::to_stored_json(snapshot).dump(-1, ' ', false,
                                              nlohmann::json::error_handler_t::replace);
}

Result<void> pin_blob(Db& db, const std::string& id, const std::string& blob) {
  Statement insert =
      COCOON_TRY(db.prepare("INSERT INTO snapshot_blobs (snapshot_id, blob_id) "
                            "SELECT ?1, id FROM blobs WHERE id = ?2 AND state = 'ready'"));
  insert.bind(1, id).bind(2, blob);
  COCOON_TRY(insert.run());
  if (db.changes() > 0) return {};
  return fail(ErrorKind::kNotFound, "blob {} is not there any more", blob);
}

Result<void> check_parent(Db& db, const std::string& id) {
  if (id.empty()) return {};
  Statement query =
      COCOON_TRY(db.prepare("SELECT 1 FROM snapshots WHERE id = ?1 AND state = 'ready'"));
  query.bind(1, id);
  if (COCOON_TRY(query.step())) return {};
  return fail(ErrorKind::kNotFound, "snapshot {} is not there any more", id);
}

Result<std::vector<model::Snapshot>> records(Statement query) {
  std::vector<model::Snapshot> snapshots;
  while (COCOON_TRY(query.step())) snapshots.push_back(COCOON_TRY(read_record(query, 0)));
  return snapshots;
}

void bind_optional(Statement& statement, int position, const std::string& text) {
  if (text.empty()) {
    statement.bind_null(position);
  } else {
    statement.bind(position, text);
  }
}

Result<std::vector<std::string>> texts(Statement query) {
  std::vector<std::string> out;
  while (COCOON_TRY(query.step())) out.push_back(query.text(0));
  return out;
}

}  // namespace

Result<void> insert_snapshot(Db& db, const model::Snapshot& snapshot,
                             const std::vector<std::string>& blobs) {
  if (!snapshot.name.empty() && COCOON_TRY(snapshot_name_taken(db, snapshot.name))) {
    return fail(ErrorKind::kConflict, "snapshot \"{}\" {}", snapshot.name, model::kAlreadyExists);
  }
  COCOON_TRY(check_parent(db, snapshot.parent));
  Statement insert = COCOON_TRY(db.prepare(
      "INSERT INTO snapshots (id, name, state, source_vm, kernel_id, created_at, record, parent) "
      "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"));
  insert.bind(1, snapshot.id).bind(3, model::snapshot_state_name(snapshot.state));
  bind_optional(insert, 2, snapshot.name);
  insert.bind(4, snapshot.source_vm);
  bind_optional(insert, 5, snapshot.vm.boot.kernel_id);
  insert.bind(6, snapshot.created_at).bind(7, record_text(snapshot));
  bind_optional(insert, 8, snapshot.parent);
  COCOON_TRY(insert.run(), "add snapshot {}", snapshot.id);
  for (const std::string& blob : blobs) COCOON_TRY(pin_blob(db, snapshot.id, blob));
  return {};
}

Result<void> update_snapshot(Db& db, const model::Snapshot& snapshot) {
  Statement update = COCOON_TRY(
      db.prepare("UPDATE snapshots SET name = ?2, state = ?3, record = ?4 WHERE id = ?1"));
  update.bind(1, snapshot.id).bind(3, model::snapshot_state_name(snapshot.state));
  bind_optional(update, 2, snapshot.name);
  update.bind(4, record_text(snapshot));
  COCOON_TRY(update.run(), "update snapshot {}", snapshot.id);
  if (db.changes() > 0) return {};
  return fail(ErrorKind::kNotFound, "{}: {}", model::kSnapshotNotFound, snapshot.id);
}

Result<void> delete_snapshot(Db& db, const std::string& id) {
  Statement erase = COCOON_TRY(db.prepare("DELETE FROM snapshots WHERE id = ?1"));
  return erase.bind(1, id).run();
}

Result<std::optional<model::Snapshot>> get_snapshot(Db& db, const std::string& id) {
  Statement query = COCOON_TRY(db.prepare("SELECT record FROM snapshots WHERE id = ?1"));
  query.bind(1, id);
  if (!COCOON_TRY(query.step())) return std::optional<model::Snapshot>();
  return std::optional<model::Snapshot>(COCOON_TRY(read_record(query, 0), "snapshot {}", id));
}

Result<std::vector<model::Snapshot>> list_snapshots(Db& db) {
  Statement query = COCOON_TRY(db.prepare("SELECT record FROM snapshots ORDER BY created_at, id"));
  return COCOON_TRY(records(std::move(query)), "list snapshots");
}

Result<std::vector<model::Snapshot>> snapshot_children(Db& db, const std::string& id) {
  Statement query = COCOON_TRY(
      db.prepare("SELECT record FROM snapshots WHERE parent = ?1 ORDER BY created_at, id"));
  query.bind(1, id);
  return COCOON_TRY(records(std::move(query)), "list what builds on snapshot {}", id);
}

Result<std::string> resolve_snapshot(Db& db, std::string_view reference) {
  auto id = COCOON_TRY(resolve_reference(db, "snapshots", reference));
  if (id) return std::move(*id);
  return fail(ErrorKind::kNotFound, "{}: {}", model::kSnapshotNotFound, reference);
}

Result<bool> snapshot_name_taken(Db& db, std::string_view name) {
  Statement query = COCOON_TRY(db.prepare("SELECT 1 FROM snapshots WHERE name = ?1"));
  query.bind(1, name);
  return query.step();
}

Result<std::vector<std::string>> vm_blobs(Db& db, const std::string& vm_id) {
  Statement query =
      COCOON_TRY(db.prepare("SELECT blob_id FROM vm_blobs WHERE vm_id = ?1 ORDER BY blob_id"));
  query.bind(1, vm_id);
  return texts(std::move(query));
}

Result<std::vector<std::string>> snapshot_blobs(Db& db, const std::string& id) {
  Statement query = COCOON_TRY(
      db.prepare("SELECT blob_id FROM snapshot_blobs WHERE snapshot_id = ?1 ORDER BY blob_id"));
  query.bind(1, id);
  return texts(std::move(query));
}

}  // namespace cocoon::store
