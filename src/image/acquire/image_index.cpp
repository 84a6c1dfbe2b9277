// SPDX-License-Identifier: Apache-2.0
#include "image/acquire/image_index.h"

#include <algorithm>
#include <set>

#include "base/text.h"
#include "image/catalog/reference.h"

namespace cocoon::image {
namespace {

constexpr int kDeepestIndex = 4;
constexpr std::size_t kMostDocuments = 256;

std::string blob_name(const std::string& digest) { return "blobs/sha256/" + digest; }

std::string short_digest(const std::string& digest) { return digest.substr(0, 12); }

Result<std::string> read_verified(const Container& container, const Descriptor& descriptor) {
  auto text = COCOON_TRY(container.read(blob_name(descriptor.digest), kMaxDocument));
  if (static_cast<std::int64_t>(text.size()) != descriptor.size ||
      sha256_hex(text) != descriptor.digest) {
    return fail(ErrorKind::kCorrupt, "sha256:{} has other content than its digest says",
                descriptor.digest);
  }
  return text;
}

Result<void> check_platform(const Platform& platform) {
  Platform host = host_platform();
  if (platform == host) return {};
  return fail(ErrorKind::kUnsupported, "the image is made for {}, this host is {}",
              to_text(platform), to_text(host));
}

std::string layer_label(std::size_t index, std::size_t total, const std::string& diff_id) {
  return fmt::format("layer {} of {} (sha256:{})", index + 1, total, short_digest(diff_id));
}

bool means(const std::vector<std::string>& names, const std::string& wanted) {
  std::string canonical = canonical_name(wanted);
  return std::any_of(names.begin(), names.end(), [&](const std::string& name) {
    if (canonical_name(name) == canonical) return true;
    // An OCI layout's ref.name is often only the tag.
    auto reference = parse_reference(wanted);
    return reference && name == reference->tag;
  });
}

// Which of several images is meant; `names` lists what each is called.
Result<std::size_t> choose(const std::vector<std::vector<std::string>>& names,
                           const std::string& wanted) {
  if (names.size() == 1) return std::size_t{0};
  std::vector<std::size_t> fitting;
  std::vector<std::string> all;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (means(names[i], wanted)) fitting.push_back(i);
    all.insert(all.end(), names[i].begin(), names[i].end());
  }
  if (fitting.size() == 1) return fitting[0];
  return fail(ErrorKind::kInvalid,
              "there are {} images in it ({}): name the import like the one that is meant",
              names.size(),
              all.empty() ? "without names" : fmt::format("{}", fmt::join(all, ", ")));
}

// Walks an index and the indexes inside it.
class OciWalk {
 public:
  struct Found {
    Descriptor descriptor;
    OciManifest manifest;
    ImageDocument image;
  };

  explicit OciWalk(const Container& container) : container_(container) {}

  Result<void> index(const std::vector<Descriptor>& manifests,
                     const std::vector<std::string>& names, int depth) {
    if (depth > kDeepestIndex) return fail(ErrorKind::kCorrupt, "indexes are nested too deeply");
    for (Descriptor descriptor : manifests) {
      if (descriptor.platform && *descriptor.platform != host_platform()) {
        // Attestations say "unknown/unknown".
        if (descriptor.platform->os != "unknown") other_.insert(to_text(*descriptor.platform));
        continue;
      }
      if (descriptor.names.empty()) descriptor.names = names;
      COCOON_TRY(document(descriptor, depth), "manifest sha256:{}",
                 short_digest(descriptor.digest));
    }
    return {};
  }

  std::vector<Found>& found() { return found_; }
  std::string others() const { return fmt::format("{}", fmt::join(other_, ", ")); }

 private:
  Result<void> document(const Descriptor& descriptor, int depth) {
    bool seen = std::any_of(found_.begin(), found_.end(), [&](const Found& found) {
      return found.descriptor.digest == descriptor.digest;
    });
    if (seen) return {};
    if (++documents_ > kMostDocuments) return fail(ErrorKind::kCorrupt, "too many manifests");
    auto text = COCOON_TRY(read_verified(container_, descriptor));
    OciDocument document = COCOON_TRY(parse_oci_document(text));
    if (!document.manifest) return index(document.manifests, descriptor.names, depth + 1);
    auto config = COCOON_TRY(read_verified(container_, document.manifest->config), "config");
    ImageDocument image = COCOON_TRY(parse_image_document(config));
    if (image.platform != host_platform()) {
      other_.insert(to_text(image.platform));
      return {};
    }
    found_.push_back({descriptor, std::move(*document.manifest), std::move(image)});
    return {};
  }

  const Container& container_;
  std::vector<Found> found_;
  std::set<std::string> other_;
  std::size_t documents_ = 0;
};

Result<ImageInput> to_input(const std::shared_ptr<Container>& container,
                            const OciWalk::Found& found) {
  ImageInput input;
  input.digest = "sha256:" + found.descriptor.digest;
  input.architecture = found.image.platform.architecture;
  input.config = found.image.config;
  const auto& layers = found.manifest.layers;
  if (layers.size() != found.image.diff_ids.size()) {
    return fail(ErrorKind::kCorrupt, "the manifest has {} layers, the config {}", layers.size(),
                found.image.diff_ids.size());
  }
  for (std::size_t i = 0; i < layers.size(); ++i) {
    LayerInput layer;
    layer.diff_id = found.image.diff_ids[i];
    layer.stored = layers[i].digest;
    layer.stored_size = layers[i].size;
    layer.least_size = layers[i].size;
    layer.label = layer_label(i, layers.size(), layer.diff_id);
    layer.open = [container, name = blob_name(layer.stored)] { return container->open(name); };
    input.layers.push_back(std::move(layer));
  }
  return input;
}

}  // namespace

Result<ImageInput> read_oci_layout(const std::shared_ptr<Container>& container,
                                   const std::string& name) {
  COCOON_TRY(container->read("oci-layout", kMaxDocument));
  auto text = COCOON_TRY(container->read("index.json", kMaxDocument));
  OciDocument index = COCOON_TRY(parse_oci_document(text), "index.json");
  if (index.manifest) return fail(ErrorKind::kCorrupt, "index.json is no index");
  OciWalk walk(*container);
  COCOON_TRY(walk.index(index.manifests, {}, 0), "index.json");
  if (walk.found().empty() && walk.others().empty()) {
    return fail(ErrorKind::kCorrupt, "the layout holds no image");
  }
  if (walk.found().empty()) {
    return fail(ErrorKind::kUnsupported, "the image is made for {}, this host is {}", walk.others(),
                to_text(host_platform()));
  }
  std::vector<std::vector<std::string>> names;
  for (const auto& found : walk.found()) names.push_back(found.descriptor.names);
  std::size_t chosen = COCOON_TRY(choose(names, name));
  return to_input(container, walk.found()[chosen]);
}

Result<ImageInput> read_docker_archive(const std::shared_ptr<Container>& container,
                                       const std::string& name) {
  auto text = COCOON_TRY(container->read("manifest.json", kMaxDocument));
  auto images = COCOON_TRY(parse_docker_manifest(text));
  std::vector<std::vector<std::string>> names;
  for (const DockerImage& image : images) names.push_back(image.tags);
  const DockerImage& chosen = images[COCOON_TRY(choose(names, name))];
  auto config = COCOON_TRY(container->read(chosen.config, kMaxDocument));
  ImageDocument document = COCOON_TRY(parse_image_document(config));
  COCOON_TRY(check_platform(document.platform));
  if (chosen.layers.size() != document.diff_ids.size()) {
    return fail(ErrorKind::kCorrupt, "manifest.json has {} layers, the config {}",
                chosen.layers.size(), document.diff_ids.size());
  }
  ImageInput input;
  input.digest = "sha256:" + sha256_hex(config);
  input.architecture = document.platform.architecture;
  input.config = document.config;
  for (std::size_t i = 0; i < chosen.layers.size(); ++i) {
    LayerInput layer;
    layer.diff_id = document.diff_ids[i];
    layer.label = layer_label(i, chosen.layers.size(), layer.diff_id);
    layer.open = [container, member = chosen.layers[i]] { return container->open(member); };
    input.layers.push_back(std::move(layer));
  }
  return input;
}

}  // namespace cocoon::image
