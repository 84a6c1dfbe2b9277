// SPDX-License-Identifier: Apache-2.0
#include "engine/image_list.h"

#include "image/catalog/catalog.h"
#include "store/image_rows.h"

namespace cocoon::engine {

Result<std::vector<model::Image>> list_images(Ports& ports) { return store::list_images(ports.db); }

Result<model::Image> inspect_image(Ports& ports, std::string_view reference) {
  return image::find_image(ports.db, reference);
}

}  // namespace cocoon::engine
