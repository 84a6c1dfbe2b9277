// SPDX-License-Identifier: Apache-2.0
#include "engine/image_list.h"

#include "image/catalog/catalog.h"
#include "store/image_rows.h"

namespace cocoon::engine {

Result<std::vector<model::Image>> list_images(Ports& ports) { return store::list_images(ports.db); }

Result<model::Image> inspect_image(Ports& ports, std::string_view reference) {
  return image::find_image(ports.db, reference);
}

Result<ImageUse> image_use(Ports& ports, const model::Image& image) {
  ImageUse use;
  auto sizes = COCOON_TRY(store::image_sizes(ports.db, image.name));
  use.shared_size = sizes.shared;
  use.unique_size = sizes.unique;
  use.used_by = COCOON_TRY(store::users_of_image(ports.db, image.name));
  return use;
}

}  // namespace cocoon::engine
