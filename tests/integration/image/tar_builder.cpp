// SPDX-License-Identifier: Apache-2.0
#include "integration/image/tar_builder.h"

#include <archive.h>
#include <archive_entry.h>

#include <algorithm>
#include <cstring>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "image/acquire/digest.h"
#include "image/acquire/documents.h"

namespace cocoon::test {
namespace {

using nlohmann::json;

constexpr std::size_t kBlock = 512;

void put(std::string& header, std::size_t at, std::string_view text) {
  std::memcpy(header.data() + at, text.data(), std::min(text.size(), header.size() - at));
}

std::string padded(std::string bytes) {
  bytes.resize((bytes.size() + kBlock - 1) / kBlock * kBlock, '\0');
  return bytes;
}

std::string header(const TarItem& item, std::size_t size) {
  std::string out(kBlock, '\0');
  put(out, 0, std::string_view(item.name).substr(0, 100));
  put(out, 100, fmt::format("{:07o}", item.mode & 07777));
  put(out, 108, fmt::format("{:07o}", std::min<std::uint64_t>(item.uid, 07777777)));
  put(out, 116, fmt::format("{:07o}", std::min<std::uint64_t>(item.gid, 07777777)));
  put(out, 124, fmt::format("{:011o}", size));
  put(out, 136, fmt::format("{:011o}", item.mtime));
  put(out, 148, "        ");
  out[156] = item.type;
  put(out, 157, std::string_view(item.link).substr(0, 100));
  put(out, 257,
      std::string_view("ustar\0"
                       "00",
                       8));
  put(out, 329, fmt::format("{:07o}", item.major));
  put(out, 337, fmt::format("{:07o}", item.minor));
  unsigned sum = 0;
  for (char c : out) sum += static_cast<unsigned char>(c);
  put(out, 148, fmt::format("{:06o}", sum));
  out[154] = '\0';
  return out;
}

std::string pax_record(const std::string& key, const std::string& value) {
  std::size_t rest = key.size() + value.size() + 3;  // blank, '=', newline
  std::size_t size = rest + std::to_string(rest).size();
  size = rest + std::to_string(size).size();
  return fmt::format("{} {}={}\n", size, key, value);
}

std::string compressed(std::string_view bytes, int (*add_filter)(archive*)) {
  std::string out(bytes.size() + bytes.size() / 8 + 65536, '\0');
  std::size_t used = 0;
  archive* writer = archive_write_new();
  add_filter(writer);
  archive_write_set_format_raw(writer);
  archive_write_open_memory(writer, out.data(), out.size(), &used);
  archive_entry* entry = archive_entry_new();
  archive_entry_set_filetype(entry, AE_IFREG);
  archive_write_header(writer, entry);
  archive_write_data(writer, bytes.data(), bytes.size());
  archive_entry_free(entry);
  archive_write_close(writer);
  archive_write_free(writer);
  out.resize(used);
  return out;
}

std::string architecture(const std::string& wanted) {
  return wanted.empty() ? image::host_platform().architecture : wanted;
}

std::string image_config(const std::vector<std::string>& layers, const std::string& config,
                         const std::string& machine) {
  json diff_ids = json::array();
  for (const std::string& layer : layers) diff_ids.push_back("sha256:" + image::sha256_hex(layer));
  json out = {{"architecture", architecture(machine)},
              {"os", "linux"},
              {"config", json::parse(config)},
              {"rootfs", {{"type", "layers"}, {"diff_ids", diff_ids}}}};
  return out.dump();
}

json descriptor(const std::string& type, const std::string& bytes) {
  return {{"mediaType", type},
          {"digest", "sha256:" + image::sha256_hex(bytes)},
          {"size", bytes.size()}};
}

}  // namespace

TarItem file(std::string name, std::string content, unsigned mode) {
  TarItem item;
  item.name = std::move(name);
  item.content = std::move(content);
  item.mode = mode;
  return item;
}

TarItem directory(std::string name, unsigned mode) {
  TarItem item = file(std::move(name), "", mode);
  item.type = '5';
  return item;
}

TarItem symlink(std::string name, std::string target) {
  TarItem item = file(std::move(name), "", 0777);
  item.type = '2';
  item.link = std::move(target);
  return item;
}

TarItem hardlink(std::string name, std::string target) {
  TarItem item = file(std::move(name), "");
  item.type = '1';
  item.link = std::move(target);
  return item;
}

TarItem device(std::string name, unsigned major, unsigned minor, char type) {
  TarItem item = file(std::move(name), "", 0600);
  item.type = type;
  item.major = major;
  item.minor = minor;
  return item;
}

std::string tar(const std::vector<TarItem>& items) {
  std::string out;
  for (const TarItem& item : items) {
    auto records = item.pax;
    if (item.name.size() > 100) records["path"] = item.name;
    if (item.link.size() > 100) records["linkpath"] = item.link;
    if (item.uid > 07777777) records["uid"] = std::to_string(item.uid);
    if (item.gid > 07777777) records["gid"] = std::to_string(item.gid);
    if (!records.empty()) {
      std::string body;
      for (const auto& [key, value] : records) body += pax_record(key, value);
      TarItem extension = file("pax", "");
      extension.type = 'x';
      out += header(extension, body.size()) + padded(body);
    }
    out += header(item, item.content.size()) + padded(item.content);
  }
  return out + std::string(2 * kBlock, '\0');
}

std::string small_layer(const std::string& name) {
  return tar({directory("d"), file("d/" + name, name)});
}

std::string gzip(std::string_view bytes) {
  return compressed(bytes, archive_write_add_filter_gzip);
}

std::string zstd(std::string_view bytes) {
  return compressed(bytes, archive_write_add_filter_zstd);
}

std::string docker_archive(const std::vector<std::string>& layers, const DockerOptions& options) {
  std::vector<TarItem> items;
  json names = json::array();
  for (std::size_t i = 0; i < layers.size(); ++i) {
    std::string name = fmt::format("layer{}/layer.tar", i);
    items.push_back(file(name, layers[i]));
    names.push_back(name);
  }
  std::string config = image_config(layers, options.config, options.architecture);
  std::string config_name = image::sha256_hex(config) + ".json";
  items.push_back(file(config_name, config));
  json manifest = json::array();
  manifest.push_back({{"Config", config_name}, {"RepoTags", options.tags}, {"Layers", names}});
  items.push_back(file("manifest.json", manifest.dump()));
  return tar(items);
}

std::map<std::string, std::string> oci_layout(const std::vector<std::string>& layers,
                                              const OciOptions& options) {
  std::map<std::string, std::string> files;
  auto add = [&](const std::string& bytes) {
    files["blobs/sha256/" + image::sha256_hex(bytes)] = bytes;
  };
  json descriptors = json::array();
  for (const std::string& layer : layers) {
    std::string stored = options.compression == "gzip"   ? gzip(layer)
                         : options.compression == "zstd" ? zstd(layer)
                                                         : layer;
    add(stored);
    descriptors.push_back(descriptor(options.layer_type, stored));
  }
  std::string config = image_config(layers, options.config, options.architecture);
  add(config);
  json manifest = {{"schemaVersion", 2},
                   {"config", descriptor("application/vnd.oci.image.config.v1+json", config)},
                   {"layers", descriptors}};
  std::string manifest_text = manifest.dump();
  add(manifest_text);
  json entry = descriptor("application/vnd.oci.image.manifest.v1+json", manifest_text);
  if (options.nested) {
    entry["platform"] = {{"os", "linux"}, {"architecture", architecture(options.architecture)}};
    json other = entry;
    other["digest"] = "sha256:" + std::string(64, '0');
    other["platform"]["architecture"] = "s390x";
    std::string index = json{{"schemaVersion", 2}, {"manifests", {other, entry}}}.dump();
    add(index);
    entry = descriptor("application/vnd.oci.image.index.v1+json", index);
  }
  files["index.json"] = json{{"schemaVersion", 2}, {"manifests", {entry}}}.dump();
  files["oci-layout"] = R"({"imageLayoutVersion":"1.0.0"})";
  return files;
}

std::string tar_of(const std::map<std::string, std::string>& files) {
  std::vector<TarItem> items;
  for (const auto& [name, content] : files) items.push_back(file(name, content));
  return tar(items);
}

}  // namespace cocoon::test
