// SPDX-License-Identifier: Apache-2.0
#include "store/kernel_rows.h"

namespace cocoon::store {
namespace {

constexpr std::string_view kNamed =
    "SELECT kernel_names.name, kernel_names.is_default, kernels.record FROM kernel_names "
    "JOIN kernels ON kernels.id = kernel_names.kernel_id";

Result<model::KernelName> read_named(const Statement& row) {
  model::KernelName named;
  named.name = row.text(0);
  named.is_default = row.number(1) != 0;
  auto json = COCOON_TRY(row.json(2), "kernel \"{}\"", named.name);
  named.kernel = COCOON_TRY(model::parse_kernel(json), "kernel \"{}\"", named.name);
  return named;
}

Result<bool> run_counted(Db& db, Statement statement) {
  COCOON_TRY(statement.run());
  return db.changes() > 0;
}

}  // namespace

Result<std::optional<model::Kernel>> get_kernel(Db& db, const std::string& id) {
  Statement query =
      COCOON_TRY(db.prepare("SELECT record FROM kernels WHERE id = ?1 AND state = 'ready'"));
  query.bind(1, id);
  if (!COCOON_TRY(query.step())) return std::optional<model::Kernel>();
  auto json = COCOON_TRY(query.json(0), "kernel {}", id);
  return std::optional<model::Kernel>(COCOON_TRY(model::parse_kernel(json), "kernel {}", id));
}

Result<std::vector<std::string>> list_kernel_ids(Db& db) {
  Statement query = COCOON_TRY(db.prepare("SELECT id FROM kernels ORDER BY id"));
  std::vector<std::string> ids;
  while (COCOON_TRY(query.step())) ids.push_back(query.text(0));
  return ids;
}

Result<void> put_pending_kernel(Db& db, const model::Kernel& kernel) {
  Statement put = COCOON_TRY(
      db.prepare("INSERT INTO kernels (id, state, modules_blob, created_at, record) "
                 "VALUES (?1, 'pending', ?2, ?3, ?4) "
                 "ON CONFLICT (id) DO UPDATE SET state = 'pending', modules_blob = ?2, record = ?4 "
                 "WHERE state <> 'ready'"));
  put.bind(1, kernel.id).bind(3, kernel.created_at);
  put.bind(4, model::to_stored_json(kernel).dump());
  if (kernel.modules_blob.empty()) {
    put.bind_null(2);
  } else {
    put.bind(2, kernel.modules_blob);
  }
  COCOON_TRY(put.run(), "reserve kernel {}", kernel.id);
  if (db.changes() == 0) return fail(ErrorKind::kConflict, "kernel {} is ready already", kernel.id);
  return {};
}

Result<void> set_kernel_ready(Db& db, const model::Kernel& kernel) {
  Statement update =
      COCOON_TRY(db.prepare("UPDATE kernels SET state = 'ready', record = ?2 "
                            "WHERE id = ?1 AND state = 'pending'"));
  update.bind(1, kernel.id).bind(2, model::to_stored_json(kernel).dump());
  bool found = COCOON_TRY(run_counted(db, std::move(update)), "publish kernel {}", kernel.id);
  if (!found) return fail(ErrorKind::kInternal, "kernel {} lost its row", kernel.id);
  return {};
}

Result<void> put_kernel_name(Db& db, const std::string& name, const std::string& id) {
  Statement put = COCOON_TRY(
      db.prepare("INSERT INTO kernel_names (name, kernel_id, is_default) "
                 "SELECT ?1, id, NOT EXISTS (SELECT 1 FROM kernel_names WHERE is_default = 1) "
                 "FROM kernels WHERE id = ?2 AND state = 'ready' "
                 "ON CONFLICT (name) DO UPDATE SET kernel_id = excluded.kernel_id"));
  put.bind(1, name).bind(2, id);
  bool found = COCOON_TRY(run_counted(db, std::move(put)), "name kernel \"{}\"", name);
  if (!found) return fail(ErrorKind::kNotFound, "kernel object {} is not ready", id);
  return {};
}

Result<std::optional<model::KernelName>> get_kernel_name(Db& db, const std::string& name) {
  Statement query = COCOON_TRY(db.prepare(
      fmt::format("{} WHERE {}", kNamed,
                  name.empty() ? "kernel_names.is_default = 1" : "kernel_names.name = ?1")));
  if (!name.empty()) query.bind(1, name);
  if (!COCOON_TRY(query.step())) return std::optional<model::KernelName>();
  return std::optional<model::KernelName>(COCOON_TRY(read_named(query)));
}

Result<std::vector<model::KernelName>> list_kernel_names(Db& db) {
  Statement query = COCOON_TRY(db.prepare(fmt::format("{} ORDER BY kernel_names.name", kNamed)));
  std::vector<model::KernelName> names;
  while (COCOON_TRY(query.step())) names.push_back(COCOON_TRY(read_named(query)));
  return names;
}

Result<bool> set_default_kernel(Db& db, const std::string& name) {
  COCOON_TRY(db.execute("UPDATE kernel_names SET is_default = 0"));
  Statement update =
      COCOON_TRY(db.prepare("UPDATE kernel_names SET is_default = 1 WHERE name = ?1"));
  update.bind(1, name);
  return run_counted(db, std::move(update));
}

Result<bool> delete_kernel_name(Db& db, const std::string& name) {
  Statement erase = COCOON_TRY(db.prepare("DELETE FROM kernel_names WHERE name = ?1"));
  erase.bind(1, name);
  return run_counted(db, std::move(erase));
}

Result<std::vector<std::string>> vms_using_kernel(Db& db, const std::string& id) {
  Statement query =
      COCOON_TRY(db.prepare("SELECT name FROM vms WHERE kernel_id = ?1 UNION "
                            "SELECT 'snapshot ' || coalesce(name, id) FROM snapshots "
                            "WHERE kernel_id = ?1 AND state <> 'deleting' ORDER BY 1"));
  query.bind(1, id);
  std::vector<std::string> names;
  while (COCOON_TRY(query.step())) names.push_back(query.text(0));
  return names;
}

Result<bool> kernel_in_use(Db& db, const std::string& id) {
  Statement query =
      COCOON_TRY(db.prepare("SELECT EXISTS (SELECT 1 FROM kernel_names WHERE kernel_id = ?1) "
                            "OR EXISTS (SELECT 1 FROM snapshots WHERE kernel_id = ?1) "
                            "OR EXISTS (SELECT 1 FROM vms WHERE kernel_id = ?1)"));
  query.bind(1, id);
  COCOON_TRY(query.step());
  return query.number(0) != 0;
}

Result<bool> claim_unused_kernel(Db& db, const std::string& id) {
  Transaction tx = COCOON_TRY(db.begin());
  if (COCOON_TRY(kernel_in_use(db, id))) return false;
  Statement update = COCOON_TRY(db.prepare("UPDATE kernels SET state = 'deleting' WHERE id = ?1"));
  update.bind(1, id);
  bool found = COCOON_TRY(run_counted(db, std::move(update)));
  COCOON_TRY(tx.commit());
  return found;
}

Result<void> delete_kernel(Db& db, const std::string& id) {
  Statement erase = COCOON_TRY(db.prepare("DELETE FROM kernels WHERE id = ?1"));
  return erase.bind(1, id).run();
}

}  // namespace cocoon::store
