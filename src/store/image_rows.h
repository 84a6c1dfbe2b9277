// SPDX-License-Identifier: Apache-2.0
// Image records. Functions that change rows expect the caller's transaction.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "model/image.h"
#include "store/db.h"

namespace cocoon::store {

// The image whose name is exactly this.
Result<std::optional<model::Image>> get_image(Db& db, std::string_view name);

// The image with this canonical name.
Result<std::optional<model::Image>> get_image_by_canonical(Db& db, std::string_view canonical);

// All images whose digest starts with `prefix` ("sha256:" and at least one digit), by name.
Result<std::vector<model::Image>> images_by_digest(Db& db, const std::string& prefix);

// All images, by type and then name (spec 02 §17 B10).
Result<std::vector<model::Image>> list_images(Db& db);

// Adds the row with its pins, in place of the image with the same canonical name. kNotFound when
// one of its blobs is not ready.
Result<void> put_image(Db& db, const model::Image& image);

// Drops row and pins; false when there was none.
Result<bool> delete_image(Db& db, const std::string& name);

// Bytes of the image's blobs, by whether another image has the blob, too.
struct ImageSizes {
  std::int64_t shared = 0;
  std::int64_t unique = 0;
};
Result<ImageSizes> image_sizes(Db& db, const std::string& name);

// What rests on a blob of the image (spec 02 §17 B18): VMs by name, then "snapshot NAME", by its ID
// when it has no name; each sorted.
Result<std::vector<std::string>> users_of_image(Db& db, const std::string& name);

}  // namespace cocoon::store
