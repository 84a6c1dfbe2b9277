// SPDX-License-Identifier: Apache-2.0
// From a reference to the image that is meant: manifests, index, config. No layer is touched.
#pragma once

#include <functional>
#include <string>

#include "base/error.h"
#include "image/acquire/documents.h"
#include "image/acquire/image_input.h"
#include "image/acquire/remote/downloads.h"

namespace cocoon::image {

struct ResolvedImage {
  std::string digest;  // hex digits: of the manifest for the platform
  OciManifest manifest;
  Platform platform;  // that was asked for
};

// A manifest document by tag or "sha256:…", verified where it is a digest: text and its digest.
struct ManifestText {
  std::string text;
  std::string digest;
};
using ManifestFetch = std::function<Result<ManifestText>(const std::string& reference)>;

// Follows indexes to the manifest for `platform`. kNotFound, kCorrupt, kUnsupported.
Result<ResolvedImage> resolve_image(const ManifestFetch& fetch, const std::string& reference,
                                    const Platform& platform);

// The image with its config, which is downloaded, and with layers that are downloaded once they are
// opened. `downloads` outlives it. kCorrupt; kUnsupported for another platform than was asked for.
Result<ImageInput> open_remote_image(Downloads& downloads, const ResolvedImage& image);

}  // namespace cocoon::image
