// SPDX-License-Identifier: Apache-2.0
#include "engine/image_rm.h"

#include <map>

#include "image/catalog/catalog.h"
#include "store/image_rows.h"

namespace cocoon::engine {

Result<std::vector<RemovedImage>> remove_images(Ports& ports,
                                                const std::vector<std::string>& references,
                                                bool strict) {
  store::Transaction tx = COCOON_TRY(ports.db.begin());
  std::map<std::string, RemovedImage> found;
  for (const std::string& reference : references) {
    for (const auto& image : COCOON_TRY(image::find_image_names(ports.db, reference))) {
      found[image.name] = {image.name, image.digest, {}};
    }
  }
  std::vector<RemovedImage> removed;
  for (auto& [name, image] : found) {
    image.used_by = COCOON_TRY(store::users_of_image(ports.db, name));
    if (strict && !image.used_by.empty()) {
      return fail(ErrorKind::kConflict, "image \"{}\" is in use by {}", name,
                  fmt::join(image.used_by, ", "));
    }
    COCOON_TRY(store::delete_image(ports.db, name));
    removed.push_back(std::move(image));
  }
  COCOON_TRY(tx.commit());
  return removed;
}

}  // namespace cocoon::engine
