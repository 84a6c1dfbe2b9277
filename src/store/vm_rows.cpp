// SPDX-License-Identifier: Apache-2.0
#include "store/vm_rows.h"

#include "model/wording.h"
#include "store/kernel_rows.h"
#include "store/reference.h"

namespace cocoon::store {
namespace {

Result<model::Vm> read_record(const Statement& row, int column) {
  auto json = COCOON_TRY(row.json(column));
  return model::parse_vm(json);
}

Result<void> pin_blob(Db& db, const std::string& vm_id, const std::string& blob) {
  // Only a blob that is ready can be pinned: one that is being collected is as good as gone.
  Statement insert =
      COCOON_TRY(db.prepare("INSERT INTO vm_blobs (vm_id, blob_id) "
                            "SELECT ?1, id FROM blobs WHERE id = ?2 AND state = 'ready'"));
  insert.bind(1, vm_id).bind(2, blob);
  COCOON_TRY(insert.run());
  if (db.changes() == 0) {
    return fail(ErrorKind::kNotFound, "blob {} is not there any more: image removed concurrently",
                blob);
  }
  return {};
}

// Reasons quote a VMM's or a plugin's words, which need not be UTF-8.
std::string record_text(const model::Vm& vm) {
  return model::to_stored_json(vm).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

Result<bool> any_row(Statement query) { return query.step(); }

}  // namespace

Result<void> insert_vm(Db& db, const model::Vm& vm, const std::vector<std::string>& blobs) {
  if (COCOON_TRY(vm_name_taken(db, vm.config.name))) {
    return fail(ErrorKind::kConflict, "vm \"{}\" {}", vm.config.name, model::kAlreadyExists);
  }
  // A collection may have begun to remove it since it was looked up.
  if (!vm.boot.kernel_id.empty() && !COCOON_TRY(get_kernel(db, vm.boot.kernel_id))) {
    return fail(ErrorKind::kNotFound, "kernel {} is not there any more", vm.boot.kernel_id);
  }
  Statement insert = COCOON_TRY(
      db.prepare("INSERT INTO vms (id, name, hypervisor, state, uid, image_digest, kernel_id, "
                 "created_at, record) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"));
  insert.bind(1, vm.id).bind(2, vm.config.name).bind(3, vm.hypervisor);
  insert.bind(4, state_name(vm.state))
      .bind(5, std::int64_t{vm.uid})
      .bind(6, vm.config.image_digest);
  if (vm.boot.kernel_id.empty()) {
    insert.bind_null(7);
  } else {
    insert.bind(7, vm.boot.kernel_id);
  }
  insert.bind(8, vm.created_at).bind(9, record_text(vm));
  COCOON_TRY(insert.run(), "add vm \"{}\"", vm.config.name);
  for (const std::string& blob : blobs) COCOON_TRY(pin_blob(db, vm.id, blob));
  return {};
}

Result<void> update_vm(Db& db, const model::Vm& vm) {
  Statement update =
      COCOON_TRY(db.prepare("UPDATE vms SET name = ?2, state = ?3, record = ?4 WHERE id = ?1"));
  update.bind(1, vm.id).bind(2, vm.config.name).bind(3, state_name(vm.state));
  update.bind(4, record_text(vm));
  COCOON_TRY(update.run(), "update vm {}", vm.id);
  if (db.changes() == 0) return fail(ErrorKind::kNotFound, "{}: {}", model::kVmNotFound, vm.id);
  return {};
}

Result<void> delete_vm(Db& db, const std::string& id) {
  Statement erase = COCOON_TRY(db.prepare("DELETE FROM vms WHERE id = ?1"));
  return erase.bind(1, id).run();
}

Result<std::optional<model::Vm>> get_vm(Db& db, const std::string& id) {
  Statement query = COCOON_TRY(db.prepare("SELECT record FROM vms WHERE id = ?1"));
  query.bind(1, id);
  if (!COCOON_TRY(query.step())) return std::optional<model::Vm>();
  return std::optional<model::Vm>(COCOON_TRY(read_record(query, 0), "vm {}", id));
}

Result<std::vector<model::Vm>> list_vms(Db& db) {
  Statement query = COCOON_TRY(db.prepare("SELECT record FROM vms ORDER BY created_at, id"));
  std::vector<model::Vm> vms;
  while (COCOON_TRY(query.step())) vms.push_back(COCOON_TRY(read_record(query, 0), "list VMs"));
  return vms;
}

Result<std::vector<std::string>> vm_ids_in_state(Db& db, model::VmState state) {
  Statement query =
      COCOON_TRY(db.prepare("SELECT id FROM vms WHERE state = ?1 ORDER BY created_at, id"));
  query.bind(1, state_name(state));
  std::vector<std::string> ids;
  while (COCOON_TRY(query.step())) ids.push_back(query.text(0));
  return ids;
}

Result<std::string> resolve_vm(Db& db, std::string_view reference) {
  auto id = COCOON_TRY(resolve_reference(db, "vms", reference));
  if (id) return std::move(*id);
  return fail(ErrorKind::kNotFound, "{}: {}", model::kVmNotFound, reference);
}

Result<bool> vm_name_taken(Db& db, std::string_view name) {
  Statement query = COCOON_TRY(db.prepare("SELECT 1 FROM vms WHERE name = ?1"));
  query.bind(1, name);
  return any_row(std::move(query));
}

Result<bool> uid_taken(Db& db, std::uint32_t uid) {
  Statement query = COCOON_TRY(db.prepare("SELECT 1 FROM vms WHERE uid = ?1"));
  query.bind(1, std::int64_t{uid});
  return any_row(std::move(query));
}

}  // namespace cocoon::store
