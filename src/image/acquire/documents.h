// SPDX-License-Identifier: Apache-2.0
// The JSON documents of images: Docker's manifest.json, OCI index, manifest and image config
// (image-spec v1.1). Pure; the input is hostile.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "model/image.h"

namespace cocoon::image {

// No document of a real image comes near these.
inline constexpr std::size_t kMaxDocument = std::size_t{4} << 20;
inline constexpr std::size_t kMaxLayers = 1024;
inline constexpr std::size_t kMaxManifests = 1024;

struct Platform {
  std::string os;
  std::string architecture;
  std::string variant = {};  // "v8"; of no weight where two platforms are compared
  bool operator==(const Platform& other) const {
    return os == other.os && architecture == other.architecture;
  }
};

struct Descriptor {
  std::string media_type;
  std::string digest;  // hex digits of the SHA-256
  std::int64_t size = 0;
  std::optional<Platform> platform;
  std::vector<std::string> names;  // what annotations call it
};

struct OciManifest {
  Descriptor config;
  std::vector<Descriptor> layers;  // bottom first
};

// What an index.json or any manifest document turns out to be.
struct OciDocument {
  std::vector<Descriptor> manifests;    // of an index
  std::optional<OciManifest> manifest;  // else
};

struct DockerImage {
  std::string config;  // member name
  std::vector<std::string> tags;
  std::vector<std::string> layers;  // member names, bottom first
};

struct ImageDocument {
  Platform platform;
  std::vector<std::string> diff_ids;  // hex digits, bottom first
  model::ImageConfig config;
};

// All: kCorrupt for what is no such document, kUnsupported for one that is valid but of no use
// (schema 1, artifacts, layer types that are no tar).
Result<OciDocument> parse_oci_document(std::string_view text);
Result<std::vector<DockerImage>> parse_docker_manifest(std::string_view text);
Result<ImageDocument> parse_image_document(std::string_view text);

// The platform that images must be made for.
Platform host_platform();
std::string to_text(const Platform& platform);

// "os/architecture[/variant]" as --platform takes it; x86_64 and aarch64 are understood. kInvalid.
Result<Platform> parse_platform(std::string_view text);

// The first manifest of an index that is for this platform; one that does not say counts as
// linux/amd64 (spec 02 §5.1), and the variant counts only where `platform` has one. kUnsupported,
// naming what there is.
Result<Descriptor> choose_manifest(const std::vector<Descriptor>& manifests,
                                   const Platform& platform);

}  // namespace cocoon::image
