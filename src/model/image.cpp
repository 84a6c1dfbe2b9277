// SPDX-License-Identifier: Apache-2.0
#include "model/image.h"

#include <algorithm>
#include <array>

#include "model/json_fields.h"

namespace cocoon::model {
namespace {

using nlohmann::json;

struct StateName {
  BlobState state;
  std::string_view name;
};
constexpr std::array kBlobStates{StateName{BlobState::kPending, "pending"},
                                 StateName{BlobState::kReady, "ready"},
                                 StateName{BlobState::kDeleting, "deleting"}};

struct BootTypeName {
  BootEntry::Type type;
  std::string_view name;
};
constexpr std::array kBootTypes{BootTypeName{BootEntry::Type::kFile, "file"},
                                BootTypeName{BootEntry::Type::kSymlink, "symlink"},
                                BootTypeName{BootEntry::Type::kWhiteout, "whiteout"},
                                BootTypeName{BootEntry::Type::kOpaque, "opaque"}};

json config_json(const ImageConfig& config) {
  json labels = json::object();
  for (const auto& [key, value] : config.labels) labels[key] = value;
  json out = json::object();
  if (!config.entrypoint.empty()) out["entrypoint"] = config.entrypoint;
  if (!config.cmd.empty()) out["cmd"] = config.cmd;
  if (!config.env.empty()) out["env"] = config.env;
  if (!config.user.empty()) out["user"] = config.user;
  if (!config.workdir.empty()) out["workdir"] = config.workdir;
  if (!config.stop_signal.empty()) out["stop_signal"] = config.stop_signal;
  if (!labels.empty()) out["labels"] = std::move(labels);
  return out;
}

Result<ImageConfig> parse_config(const json& in) {
  ImageConfig config;
  Fields fields(in, "image config");
  fields.get("entrypoint", config.entrypoint);
  fields.get("cmd", config.cmd);
  fields.get("env", config.env);
  fields.get("user", config.user);
  fields.get("workdir", config.workdir);
  fields.get("stop_signal", config.stop_signal);
  COCOON_TRY(fields.check());
  const json* labels = fields.find("labels");
  if (labels == nullptr) return config;
  if (!labels->is_object()) return fail(ErrorKind::kCorrupt, "image config: labels is no object");
  for (const auto& [key, value] : labels->items()) {
    if (!value.is_string()) return fail(ErrorKind::kCorrupt, "image config: a label is no text");
    config.labels.emplace_back(key, value.get_ref<const std::string&>());
  }
  return config;
}

Result<std::optional<BootFile>> parse_boot_file(const json* in, std::string_view what) {
  if (in == nullptr) return std::optional<BootFile>();
  BootFile file;
  Fields fields(*in, what);
  fields.get("blob", file.blob);
  fields.get("path", file.path);
  COCOON_TRY(fields.check());
  return std::optional<BootFile>(std::move(file));
}

Result<BootEntry> parse_boot_entry(const json& in) {
  BootEntry entry;
  std::string type;
  Fields fields(in, "boot entry");
  fields.get("type", type);
  fields.get("path", entry.path);
  fields.get("target", entry.target);
  fields.get("sha256", entry.sha256);
  fields.get("size", entry.size);
  COCOON_TRY(fields.check());
  auto at = std::find_if(kBootTypes.begin(), kBootTypes.end(),
                         [&](const BootTypeName& known) { return known.name == type; });
  if (at == kBootTypes.end()) return fail(ErrorKind::kCorrupt, "boot entry: type \"{}\"", type);
  entry.type = at->type;
  return entry;
}

json boot_entry_json(const BootEntry& entry) {
  json out = {{"path", entry.path}};
  for (const BootTypeName& known : kBootTypes) {
    if (known.type == entry.type) out["type"] = known.name;
  }
  if (!entry.target.empty()) out["target"] = entry.target;
  if (!entry.sha256.empty()) out["sha256"] = entry.sha256;
  if (entry.size != 0) out["size"] = entry.size;
  return out;
}

}  // namespace

std::vector<std::string> image_blobs(const Image& image) {
  std::vector<std::string> blobs = image.disks;
  if (image.kernel) blobs.push_back(image.kernel->blob);
  if (image.initrd) blobs.push_back(image.initrd->blob);
  if (image.vmlinux) blobs.push_back(image.vmlinux->blob);
  std::sort(blobs.begin(), blobs.end());
  blobs.erase(std::unique(blobs.begin(), blobs.end()), blobs.end());
  return blobs;
}

json to_stored_json(const Image& image) {
  json out = {{"name", image.name},
              {"canonical", image.canonical},
              {"digest", image.digest},
              {"type", image.type},
              {"architecture", image.architecture},
              {"layers", image.layers},
              {"disks", image.disks},
              {"config", config_json(image.config)},
              {"size", image.size},
              {"created_at", image.created_at}};
  auto put = [&](const char* key, const std::optional<BootFile>& file) {
    if (file) out[key] = {{"blob", file->blob}, {"path", file->path}};
  };
  put("kernel", image.kernel);
  put("initrd", image.initrd);
  put("vmlinux", image.vmlinux);
  return out;
}

Result<Image> parse_image(const json& in) {
  Image image;
  Fields fields(in, "image");
  fields.get("name", image.name);
  fields.get("canonical", image.canonical);
  fields.get("digest", image.digest);
  fields.get("type", image.type);
  fields.get("architecture", image.architecture);
  fields.get("layers", image.layers);
  fields.get("disks", image.disks);
  fields.get("size", image.size);
  fields.get("created_at", image.created_at);
  COCOON_TRY(fields.check());
  image.kernel = COCOON_TRY(parse_boot_file(fields.find("kernel"), "kernel"));
  image.initrd = COCOON_TRY(parse_boot_file(fields.find("initrd"), "initrd"));
  image.vmlinux = COCOON_TRY(parse_boot_file(fields.find("vmlinux"), "vmlinux"));
  const json* config = fields.find("config");
  if (config != nullptr) image.config = COCOON_TRY(parse_config(*config));
  return image;
}

json to_public_json(const Image& image) {
  json out = {{"id", image.digest},
              {"name", image.name},
              {"type", image.type},
              {"size", image.size},
              {"created_at", image.created_at},
              {"architecture", image.architecture},
              {"layers", image.layers},
              {"config", config_json(image.config)}};
  if (image.kernel) out["kernel"] = image.kernel->path;
  if (image.initrd) out["initrd"] = image.initrd->path;
  return out;
}

std::string_view blob_state_name(BlobState state) {
  for (const StateName& known : kBlobStates) {
    if (known.state == state) return known.name;
  }
  return "deleting";
}

Result<BlobState> parse_blob_state(std::string_view text) {
  for (const StateName& known : kBlobStates) {
    if (known.name == text) return known.state;
  }
  return fail(ErrorKind::kCorrupt, "blob state \"{}\"", text);
}

json to_blob_record(const Blob& blob) {
  json out = json::object();
  if (!blob.converter.empty()) out["converter"] = blob.converter;
  if (!blob.tool.empty()) out["tool"] = blob.tool;
  if (!blob.uuid.empty()) out["uuid"] = blob.uuid;
  if (blob.root_opaque) out["root_opaque"] = true;
  for (const BootEntry& entry : blob.boot) out["boot"].push_back(boot_entry_json(entry));
  return out;
}

Result<void> parse_blob_record(const json& in, Blob& blob) {
  Fields fields(in, "blob");
  fields.get("converter", blob.converter);
  fields.get("tool", blob.tool);
  fields.get("uuid", blob.uuid);
  fields.get("root_opaque", blob.root_opaque);
  COCOON_TRY(fields.check());
  const json* boot = fields.find("boot");
  if (boot == nullptr) return {};
  if (!boot->is_array()) return fail(ErrorKind::kCorrupt, "blob: boot is no list");
  for (const json& entry : *boot) blob.boot.push_back(COCOON_TRY(parse_boot_entry(entry)));
  return {};
}

}  // namespace cocoon::model
