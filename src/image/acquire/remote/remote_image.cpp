// SPDX-License-Identifier: Apache-2.0
#include "image/acquire/remote/remote_image.h"

namespace cocoon::image {
namespace {

constexpr int kDeepestIndex = 4;

std::string short_digest(const std::string& digest) { return digest.substr(0, 12); }

}  // namespace

Result<ResolvedImage> resolve_image(const ManifestFetch& fetch, const std::string& reference,
                                    const Platform& platform) {
  std::string next = reference;
  std::int64_t size = -1;
  for (int depth = 0; depth <= kDeepestIndex; ++depth) {
    ManifestText text = COCOON_TRY(fetch(next), "manifest {}", next);
    if (size >= 0 && static_cast<std::int64_t>(text.text.size()) != size) {
      return fail(ErrorKind::kCorrupt, "manifest {} has {} bytes instead of {}", next,
                  text.text.size(), size);
    }
    OciDocument document = COCOON_TRY(parse_oci_document(text.text), "manifest {}", next);
    if (document.manifest) {
      return ResolvedImage{text.digest, std::move(*document.manifest), platform};
    }
    Descriptor child = COCOON_TRY(choose_manifest(document.manifests, platform));
    next = "sha256:" + child.digest;
    size = child.size;
  }
  return fail(ErrorKind::kCorrupt, "indexes are nested too deeply");
}

Result<ImageInput> open_remote_image(Downloads& downloads, const ResolvedImage& image) {
  const OciManifest& manifest = image.manifest;
  if (manifest.config.size > static_cast<std::int64_t>(kMaxDocument)) {
    return fail(ErrorKind::kCorrupt, "the config has more than {} bytes", kMaxDocument);
  }
  auto source =
      COCOON_TRY(downloads.open({manifest.config.digest, manifest.config.size, "the config"}));
  std::string text = COCOON_TRY(read_all(*source, kMaxDocument, "the config"));
  ImageDocument config = COCOON_TRY(parse_image_document(text), "config");
  if (config.platform != image.platform) {
    return fail(ErrorKind::kUnsupported, "the image is made for {}, not for {}",
                to_text(config.platform), to_text(image.platform));
  }
  if (manifest.layers.size() != config.diff_ids.size()) {
    return fail(ErrorKind::kCorrupt, "the manifest has {} layers, the config {}",
                manifest.layers.size(), config.diff_ids.size());
  }
  ImageInput input;
  input.digest = "sha256:" + image.digest;
  input.architecture = config.platform.architecture;
  input.config = std::move(config.config);
  for (std::size_t i = 0; i < manifest.layers.size(); ++i) {
    const Descriptor& stored = manifest.layers[i];
    LayerInput layer;
    layer.diff_id = config.diff_ids[i];
    layer.least_size = stored.size;
    layer.label = fmt::format("layer {} of {} (sha256:{})", i + 1, manifest.layers.size(),
                              short_digest(stored.digest));
    DownloadOrder order{stored.digest, stored.size, layer.label};
    layer.open = [&downloads, order] { return downloads.open(order); };
    layer.claim = [&downloads, order] { return downloads.claim(order); };
    layer.start = [&downloads, digest = stored.digest] { downloads.start(digest); };
    layer.release = [&downloads, digest = stored.digest] { downloads.release(digest); };
    input.layers.push_back(std::move(layer));
  }
  return input;
}

}  // namespace cocoon::image
