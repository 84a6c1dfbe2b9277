// SPDX-License-Identifier: Apache-2.0
// From the documents in a container to the one image that is meant.
#pragma once

#include <memory>
#include <string>

#include "image/acquire/container.h"
#include "image/acquire/image_input.h"

namespace cocoon::image {

// OCI layout: index.json, nested indexes, the host's platform; every blob's digest is verified.
// With several images for this host the one called `name` is meant.
Result<ImageInput> read_oci_layout(const std::shared_ptr<Container>& container,
                                   const std::string& name);

// docker save: manifest.json. The image's ID is the digest of its config, as Docker shows it.
Result<ImageInput> read_docker_archive(const std::shared_ptr<Container>& container,
                                       const std::string& name);

}  // namespace cocoon::image
