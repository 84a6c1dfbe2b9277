// SPDX-License-Identifier: Apache-2.0
#include "cli/image/image_table.h"

#include "base/clock.h"
#include "base/units.h"
#include "cli/table.h"

namespace cocoon::cli {

std::string image_table(const std::vector<model::Image>& images) {
  constexpr std::size_t kShownDigest = 19;  // "sha256:" and twelve digits
  if (images.empty()) return "No images found.\n";
  Table table({"TYPE", "NAME", "DIGEST", "SIZE", "CREATED"});
  for (const model::Image& image : images) {
    table.add({image.type, image.name, image.digest.substr(0, kShownDigest), human_size(image.size),
               local_time(image.created_at)});
  }
  return table.render();
}

}  // namespace cocoon::cli
