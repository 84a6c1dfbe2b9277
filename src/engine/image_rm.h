// SPDX-License-Identifier: Apache-2.0
// `image rm`: drops names. VMs keep what they rest on; files go with `gc`.
#pragma once

#include <string>
#include <vector>

#include "engine/ports.h"
#include "model/image.h"

namespace cocoon::engine {

struct RemovedImage {
  std::string name;
  std::string digest;
  std::vector<std::string> used_by;  // what still rests on its blobs: VMs, "snapshot NAME"
};

// Removes the images that the references name: all of them or none. A digest means every name of
// that image. kNotFound, kConflict when a reference is ambiguous, or with `strict` when a VM or a
// snapshot rests on one of them.
Result<std::vector<RemovedImage>> remove_images(Ports& ports,
                                                const std::vector<std::string>& references,
                                                bool strict);

}  // namespace cocoon::engine
