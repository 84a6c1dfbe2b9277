// SPDX-License-Identifier: Apache-2.0
#include "store/image_rows.h"

namespace cocoon::store {
namespace {

Result<model::Image> read_image(const Statement& row) {
  auto json = COCOON_TRY(row.json(0));
  return model::parse_image(json);
}

Result<std::optional<model::Image>> read_one(Statement query) {
  if (!COCOON_TRY(query.step())) return std::optional<model::Image>();
  return std::optional<model::Image>(COCOON_TRY(read_image(query)));
}

Result<std::vector<model::Image>> read_all(Statement query) {
  std::vector<model::Image> images;
  while (COCOON_TRY(query.step())) images.push_back(COCOON_TRY(read_image(query)));
  return images;
}

Result<void> pin_blob(Db& db, const std::string& image, const std::string& blob) {
  Statement insert =
      COCOON_TRY(db.prepare("INSERT INTO image_blobs (image, blob_id) "
                            "SELECT ?1, id FROM blobs WHERE id = ?2 AND state = 'ready'"));
  insert.bind(1, image).bind(2, blob);
  COCOON_TRY(insert.run());
  if (db.changes() == 0) return fail(ErrorKind::kNotFound, "blob {} is not ready", blob);
  return {};
}

}  // namespace

Result<std::optional<model::Image>> get_image(Db& db, std::string_view name) {
  Statement query = COCOON_TRY(db.prepare("SELECT record FROM images WHERE name = ?1"));
  query.bind(1, name);
  return read_one(std::move(query));
}

Result<std::optional<model::Image>> get_image_by_canonical(Db& db, std::string_view canonical) {
  Statement query = COCOON_TRY(db.prepare("SELECT record FROM images WHERE canonical = ?1"));
  query.bind(1, canonical);
  return read_one(std::move(query));
}

Result<std::vector<model::Image>> images_by_digest(Db& db, const std::string& prefix) {
  Statement query = COCOON_TRY(
      db.prepare("SELECT record FROM images WHERE digest >= ?1 AND digest < ?2 ORDER BY name"));
  query.bind(1, prefix).bind(2, prefix + "~");
  return read_all(std::move(query));
}

Result<std::vector<model::Image>> list_images(Db& db) {
  Statement query = COCOON_TRY(db.prepare("SELECT record FROM images ORDER BY type DESC, name"));
  return read_all(std::move(query));
}

Result<void> put_image(Db& db, const model::Image& image) {
  Statement erase = COCOON_TRY(db.prepare("DELETE FROM images WHERE canonical = ?1 OR name = ?2"));
  erase.bind(1, image.canonical).bind(2, image.name);
  COCOON_TRY(erase.run(), "replace image \"{}\"", image.name);
  Statement insert = COCOON_TRY(
      db.prepare("INSERT INTO images (name, canonical, digest, type, created_at, record) "
                 "VALUES (?1, ?2, ?3, ?4, ?5, ?6)"));
  insert.bind(1, image.name).bind(2, image.canonical).bind(3, image.digest).bind(4, image.type);
  insert.bind(5, image.created_at).bind(6, model::to_stored_json(image).dump());
  COCOON_TRY(insert.run(), "add image \"{}\"", image.name);
  for (const std::string& blob : model::image_blobs(image)) {
    COCOON_TRY(pin_blob(db, image.name, blob), "add image \"{}\"", image.name);
  }
  return {};
}

Result<bool> delete_image(Db& db, const std::string& name) {
  Statement erase = COCOON_TRY(db.prepare("DELETE FROM images WHERE name = ?1"));
  COCOON_TRY(erase.bind(1, name).run(), "remove image \"{}\"", name);
  return db.changes() > 0;
}

Result<ImageSizes> image_sizes(Db& db, const std::string& name) {
  Statement query =
      COCOON_TRY(db.prepare("SELECT blobs.size, EXISTS (SELECT 1 FROM image_blobs AS other "
                            "WHERE other.blob_id = mine.blob_id AND other.image != ?1) "
                            "FROM image_blobs AS mine JOIN blobs ON blobs.id = mine.blob_id "
                            "WHERE mine.image = ?1"));
  query.bind(1, name);
  ImageSizes sizes;
  while (COCOON_TRY(query.step())) {
    (query.number(1) != 0 ? sizes.shared : sizes.unique) += query.number(0);
  }
  return sizes;
}

Result<std::vector<std::string>> users_of_image(Db& db, const std::string& name) {
  std::vector<std::string> names;
  auto add = [&](const char* sql) -> Result<void> {
    Statement query = COCOON_TRY(db.prepare(sql));
    query.bind(1, name);
    while (COCOON_TRY(query.step())) names.push_back(query.text(0));
    return {};
  };
  COCOON_TRY(
      add("SELECT DISTINCT vms.name FROM vms "
          "JOIN vm_blobs ON vm_blobs.vm_id = vms.id "
          "JOIN image_blobs ON image_blobs.blob_id = vm_blobs.blob_id "
          "WHERE image_blobs.image = ?1 ORDER BY vms.name"));
  COCOON_TRY(
      add("SELECT DISTINCT 'snapshot ' || coalesce(snapshots.name, snapshots.id) AS user "
          "FROM snapshots "
          "JOIN snapshot_blobs ON snapshot_blobs.snapshot_id = snapshots.id "
          "JOIN image_blobs ON image_blobs.blob_id = snapshot_blobs.blob_id "
          "WHERE image_blobs.image = ?1 ORDER BY user"));
  return names;
}

}  // namespace cocoon::store
