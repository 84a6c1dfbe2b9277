// SPDX-License-Identifier: Apache-2.0
#include "store/blob_rows.h"

namespace cocoon::store {
namespace {

constexpr std::string_view kColumns = "id, kind, state, file, size, sha256, created_at, record";

Result<model::Blob> read_blob(const Statement& row) {
  model::Blob blob;
  blob.id = row.text(0);
  blob.kind = row.text(1);
  blob.state = COCOON_TRY(model::parse_blob_state(row.text(2)), "blob {}", blob.id);
  blob.file = row.text(3);
  blob.size = row.number(4);
  blob.sha256 = row.text(5);
  blob.created_at = row.text(6);
  auto record = COCOON_TRY(row.json(7), "blob {}", blob.id);
  COCOON_TRY(model::parse_blob_record(record, blob), "blob {}", blob.id);
  return blob;
}

Result<std::vector<model::Blob>> read_blobs(Statement query) {
  std::vector<model::Blob> blobs;
  while (COCOON_TRY(query.step())) blobs.push_back(COCOON_TRY(read_blob(query)));
  return blobs;
}

}  // namespace

Result<std::optional<model::Blob>> get_blob(Db& db, const std::string& id) {
  Statement query =
      COCOON_TRY(db.prepare(fmt::format("SELECT {} FROM blobs WHERE id = ?1", kColumns)));
  query.bind(1, id);
  if (!COCOON_TRY(query.step())) return std::optional<model::Blob>();
  return std::optional<model::Blob>(COCOON_TRY(read_blob(query)));
}

Result<std::vector<model::Blob>> list_blobs(Db& db) {
  Statement query =
      COCOON_TRY(db.prepare(fmt::format("SELECT {} FROM blobs ORDER BY id", kColumns)));
  return read_blobs(std::move(query));
}

Result<std::vector<model::Blob>> ready_blobs(Db& db, const std::string& prefix) {
  Statement query = COCOON_TRY(db.prepare(
      fmt::format("SELECT {} FROM blobs WHERE id >= ?1 AND id < ?2 AND state = 'ready' ORDER BY id",
                  kColumns)));
  query.bind(1, prefix).bind(2, prefix + "~");  // '~' sorts after all that stands in an ID
  return read_blobs(std::move(query));
}

Result<void> put_pending_blob(Db& db, const model::Blob& blob) {
  Statement put =
      COCOON_TRY(db.prepare("INSERT INTO blobs (id, kind, state, file, created_at, record) "
                            "VALUES (?1, ?2, 'pending', ?3, ?4, ?5) "
                            "ON CONFLICT (id) DO UPDATE SET state = 'pending', record = ?5"));
  put.bind(1, blob.id).bind(2, blob.kind).bind(3, blob.file).bind(4, blob.created_at);
  put.bind(5, model::to_blob_record(blob).dump());
  COCOON_TRY(put.run(), "reserve blob {}", blob.id);
  return {};
}

Result<void> set_blob_ready(Db& db, const model::Blob& blob) {
  Statement update =
      COCOON_TRY(db.prepare("UPDATE blobs SET state = 'ready', size = ?2, sha256 = ?3, record = ?4 "
                            "WHERE id = ?1 AND state = 'pending'"));
  update.bind(1, blob.id).bind(2, blob.size).bind(3, blob.sha256);
  update.bind(4, model::to_blob_record(blob).dump());
  COCOON_TRY(update.run(), "publish blob {}", blob.id);
  if (db.changes() == 0) return fail(ErrorKind::kInternal, "blob {} lost its row", blob.id);
  return {};
}

Result<bool> blob_in_use(Db& db, const std::string& id) {
  Statement query =
      COCOON_TRY(db.prepare("SELECT EXISTS (SELECT 1 FROM image_blobs WHERE blob_id = ?1) "
                            "OR EXISTS (SELECT 1 FROM vm_blobs WHERE blob_id = ?1) "
                            "OR EXISTS (SELECT 1 FROM snapshot_blobs WHERE blob_id = ?1) "
                            "OR EXISTS (SELECT 1 FROM kernels WHERE modules_blob = ?1)"));
  query.bind(1, id);
  COCOON_TRY(query.step());
  return query.number(0) != 0;
}

Result<bool> claim_unused_blob(Db& db, const std::string& id) {
  Transaction tx = COCOON_TRY(db.begin());
  if (COCOON_TRY(blob_in_use(db, id))) return false;
  Statement update = COCOON_TRY(db.prepare("UPDATE blobs SET state = 'deleting' WHERE id = ?1"));
  update.bind(1, id);
  COCOON_TRY(update.run());
  bool found = db.changes() > 0;
  COCOON_TRY(tx.commit());
  return found;
}

Result<void> delete_blob(Db& db, const std::string& id) {
  Statement erase = COCOON_TRY(db.prepare("DELETE FROM blobs WHERE id = ?1"));
  return erase.bind(1, id).run();
}

}  // namespace cocoon::store
