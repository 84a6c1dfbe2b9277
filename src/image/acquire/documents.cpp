// SPDX-License-Identifier: Apache-2.0
#include "image/acquire/documents.h"

#include <sys/utsname.h>

#include <algorithm>
#include <array>

#include <nlohmann/json.hpp>

#include "base/text.h"
#include "model/json_fields.h"

namespace cocoon::image {
namespace {

using model::Fields;
using nlohmann::json;

constexpr int kDeepest = 32;
constexpr std::string_view kDigestPrefix = "sha256:";

// Nesting outside of strings: bounded before the parser sees the text.
bool is_too_deep(std::string_view text) {
  int depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      if (++depth > kDeepest) return true;
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return false;
}

Result<json> parse_json(std::string_view text, std::string_view what) {
  if (text.size() > kMaxDocument) {
    return fail(ErrorKind::kCorrupt, "{} has more than {} bytes", what, kMaxDocument);
  }
  if (is_too_deep(text)) return fail(ErrorKind::kCorrupt, "{} is nested too deeply", what);
  json document = json::parse(text, nullptr, false);
  if (document.is_discarded()) return fail(ErrorKind::kCorrupt, "{} is not JSON", what);
  return document;
}

Result<std::string> digest_digits_of(const std::string& digest) {
  if (digest.starts_with(kDigestPrefix) && is_sha256_hex(digest.substr(kDigestPrefix.size()))) {
    return digest.substr(kDigestPrefix.size());
  }
  if (digest.starts_with("sha512:")) {
    return fail(ErrorKind::kUnsupported, "digest \"{}\" is no SHA-256", digest);
  }
  return fail(ErrorKind::kCorrupt, "digest \"{}\" is malformed", digest);
}

Result<std::optional<Platform>> read_platform(const json* in) {
  if (in == nullptr) return std::optional<Platform>();
  Platform platform;
  Fields fields(*in, "platform");
  fields.get("os", platform.os);
  fields.get("architecture", platform.architecture);
  fields.get("variant", platform.variant);
  COCOON_TRY(fields.check());
  return std::optional<Platform>(std::move(platform));
}

Result<Descriptor> parse_descriptor(const json& in) {
  Descriptor out;
  std::string digest;
  Fields fields(in, "descriptor");
  fields.get("mediaType", out.media_type);
  fields.get("digest", digest);
  fields.get("size", out.size);
  COCOON_TRY(fields.check());
  if (out.size < 0) return fail(ErrorKind::kCorrupt, "descriptor: negative size");
  out.digest = COCOON_TRY(digest_digits_of(digest), "descriptor");
  out.platform = COCOON_TRY(read_platform(fields.find("platform")));
  const json* annotations = fields.find("annotations");
  if (annotations == nullptr) return out;
  for (const char* key : {"io.containerd.image.name", "org.opencontainers.image.ref.name"}) {
    std::string name;
    Fields notes(*annotations, "annotations");
    notes.get(key, name);
    COCOON_TRY(notes.check());
    if (!name.empty()) out.names.push_back(std::move(name));
  }
  return out;
}

Result<std::vector<Descriptor>> parse_descriptors(const json& in, std::size_t most,
                                                  std::string_view what) {
  if (!in.is_array()) return fail(ErrorKind::kCorrupt, "{} is no list", what);
  if (in.size() > most) return fail(ErrorKind::kCorrupt, "{} has {} entries", what, in.size());
  std::vector<Descriptor> out;
  for (const json& element : in) out.push_back(COCOON_TRY(parse_descriptor(element)));
  return out;
}

// Accepted layer types (spec 02 §17 B15); compression is told by the bytes, not by the suffix.
Result<void> check_layer_type(const std::string& type) {
  constexpr std::array<std::string_view, 4> kStems{
      "application/vnd.oci.image.layer.v1.tar",
      "application/vnd.oci.image.layer.nondistributable.v1.tar",
      "application/vnd.docker.image.rootfs.diff.tar",
      "application/vnd.docker.image.rootfs.foreign.diff.tar"};
  constexpr std::array<std::string_view, 5> kSuffixes{"", "+gzip", "+zstd", ".gzip", ".zstd"};
  for (std::string_view stem : kStems) {
    if (!type.starts_with(stem)) continue;
    std::string_view suffix = std::string_view(type).substr(stem.size());
    if (std::find(kSuffixes.begin(), kSuffixes.end(), suffix) != kSuffixes.end()) return {};
  }
  return fail(ErrorKind::kUnsupported, "layer type \"{}\" is not supported", type);
}

Result<OciManifest> parse_manifest(const Fields& fields) {
  OciManifest manifest;
  const json* config = fields.find("config");
  const json* layers = fields.find("layers");
  if (config == nullptr || layers == nullptr) {
    return fail(ErrorKind::kCorrupt, "manifest: no config or no layers");
  }
  manifest.config = COCOON_TRY(parse_descriptor(*config), "manifest config");
  const std::string& type = manifest.config.media_type;
  if (type != "application/vnd.oci.image.config.v1+json" &&
      type != "application/vnd.docker.container.image.v1+json") {
    return fail(ErrorKind::kUnsupported, "not a container image: its config is of type \"{}\"",
                type);
  }
  manifest.layers = COCOON_TRY(parse_descriptors(*layers, kMaxLayers, "manifest: layers"));
  for (const Descriptor& layer : manifest.layers) COCOON_TRY(check_layer_type(layer.media_type));
  return manifest;
}

Result<model::ImageConfig> parse_config(const json* in) {
  model::ImageConfig config;
  if (in == nullptr) return config;
  Fields fields(*in, "image config");
  fields.get("Entrypoint", config.entrypoint);
  fields.get("Cmd", config.cmd);
  fields.get("Env", config.env);
  fields.get("User", config.user);
  fields.get("WorkingDir", config.workdir);
  fields.get("StopSignal", config.stop_signal);
  COCOON_TRY(fields.check());
  const json* labels = fields.find("Labels");
  if (labels == nullptr) return config;
  if (!labels->is_object()) return fail(ErrorKind::kCorrupt, "image config: Labels is no object");
  for (const auto& [key, value] : labels->items()) {
    if (!value.is_string()) return fail(ErrorKind::kCorrupt, "image config: a label is no text");
    config.labels.emplace_back(key, value.get_ref<const std::string&>());
  }
  return config;
}

// Texts that end up on a command line or in an environment.
Result<void> check_config(const model::ImageConfig& config) {
  auto check = [](const std::string& text) -> Result<void> {
    if (text.find('\0') == std::string::npos) return {};
    return fail(ErrorKind::kCorrupt, "image config: a text with a NUL byte");
  };
  for (const auto* list : {&config.entrypoint, &config.cmd, &config.env}) {
    for (const std::string& text : *list) COCOON_TRY(check(text));
  }
  COCOON_TRY(check(config.user));
  return check(config.workdir);
}

}  // namespace

Result<OciDocument> parse_oci_document(std::string_view text) {
  json document = COCOON_TRY(parse_json(text, "manifest"));
  std::int64_t schema = 2;
  Fields fields(document, "manifest");
  fields.get("schemaVersion", schema);
  COCOON_TRY(fields.check());
  if (schema != 2) return fail(ErrorKind::kUnsupported, "manifest schema {}", schema);
  OciDocument out;
  const json* manifests = fields.find("manifests");
  if (manifests != nullptr) {
    out.manifests = COCOON_TRY(parse_descriptors(*manifests, kMaxManifests, "index: manifests"));
  } else {
    out.manifest = COCOON_TRY(parse_manifest(fields));
  }
  return out;
}

Result<std::vector<DockerImage>> parse_docker_manifest(std::string_view text) {
  json document = COCOON_TRY(parse_json(text, "manifest.json"));
  if (!document.is_array() || document.empty() || document.size() > kMaxManifests) {
    return fail(ErrorKind::kCorrupt, "manifest.json is no list of images");
  }
  std::vector<DockerImage> images;
  for (const json& element : document) {
    DockerImage image;
    Fields fields(element, "manifest.json");
    fields.get("Config", image.config);
    fields.get("RepoTags", image.tags);
    fields.get("Layers", image.layers);
    COCOON_TRY(fields.check());
    if (image.config.empty() || image.layers.size() > kMaxLayers) {
      return fail(ErrorKind::kCorrupt, "manifest.json: an image without config or with {} layers",
                  image.layers.size());
    }
    images.push_back(std::move(image));
  }
  return images;
}

Result<ImageDocument> parse_image_document(std::string_view text) {
  json document = COCOON_TRY(parse_json(text, "image config"));
  ImageDocument out;
  Fields fields(document, "image config");
  fields.get("architecture", out.platform.architecture);
  fields.get("os", out.platform.os);
  COCOON_TRY(fields.check());
  out.config = COCOON_TRY(parse_config(fields.find("config")));
  COCOON_TRY(check_config(out.config));
  const json* rootfs = fields.find("rootfs");
  if (rootfs == nullptr) return fail(ErrorKind::kCorrupt, "image config: no rootfs");
  std::vector<std::string> diff_ids;
  Fields root(*rootfs, "rootfs");
  root.get("diff_ids", diff_ids);
  COCOON_TRY(root.check());
  if (diff_ids.empty() || diff_ids.size() > kMaxLayers) {
    return fail(ErrorKind::kCorrupt, "image config: {} layers", diff_ids.size());
  }
  for (const std::string& id : diff_ids) {
    out.diff_ids.push_back(COCOON_TRY(digest_digits_of(id), "image config"));
  }
  return out;
}

Platform host_platform() {
  utsname names{};
  uname(&names);
  std::string_view machine = names.machine;
  if (machine == "x86_64") return {"linux", "amd64"};
  if (machine == "aarch64") return {"linux", "arm64"};
  return {"linux", std::string(machine)};
}

std::string to_text(const Platform& platform) {
  std::string text = fmt::format("{}/{}", platform.os, platform.architecture);
  return platform.variant.empty() ? text : text + "/" + platform.variant;
}

Result<Platform> parse_platform(std::string_view text) {
  auto parts = split(text, '/');
  bool good = parts.size() == 2 || parts.size() == 3;
  for (std::string_view part : parts) {
    good = good && !part.empty() && part[0] != '.' && part[0] != '-' &&
           std::all_of(part.begin(), part.end(), [](char c) {
             return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
                    c == '-';
           });
  }
  if (!good) {
    return fail(ErrorKind::kInvalid, "invalid platform \"{}\": wanted os/architecture[/variant]",
                text);
  }
  Platform platform{std::string(parts[0]), std::string(parts[1])};
  if (platform.architecture == "x86_64") platform.architecture = "amd64";
  if (platform.architecture == "aarch64") platform.architecture = "arm64";
  if (parts.size() == 3) platform.variant = parts[2];
  return platform;
}

Result<Descriptor> choose_manifest(const std::vector<Descriptor>& manifests,
                                   const Platform& platform) {
  std::vector<std::string> others;
  for (const Descriptor& manifest : manifests) {
    Platform offered = manifest.platform.value_or(Platform{"linux", "amd64"});
    bool fits =
        offered == platform && (platform.variant.empty() || platform.variant == offered.variant);
    if (fits) return manifest;
    // Attestations say "unknown/unknown".
    if (offered.os != "unknown") others.push_back(to_text(offered));
  }
  return fail(ErrorKind::kUnsupported, "the image is not made for {}{}{}", to_text(platform),
              others.empty() ? "" : ", only for ", fmt::join(others, ", "));
}

}  // namespace cocoon::image
