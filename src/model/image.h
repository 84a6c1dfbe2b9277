// SPDX-License-Identifier: Apache-2.0
// The image record and the blobs it rests on: plain data and its JSON. No I/O.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "base/error.h"

namespace cocoon::model {

// What the image says about the process to run (OCI image-spec, config.md; Docker's is the same).
struct ImageConfig {
  std::vector<std::string> entrypoint;
  std::vector<std::string> cmd;
  std::vector<std::string> env;  // K=V
  std::string user;
  std::string workdir;
  std::string stop_signal;
  std::vector<std::pair<std::string, std::string>> labels;  // sorted by key
  bool operator==(const ImageConfig&) const = default;
};

// A kernel or initrd found in the image, kept as a blob of its own.
struct BootFile {
  std::string blob;  // ID in the store
  std::string path;  // in the image, without a leading slash
  bool operator==(const BootFile&) const = default;
};

// Types of images (spec 01 §10.2).
inline constexpr const char* kOciImage = "oci";
inline constexpr const char* kCloudImage = "cloudimg";

struct Image {
  std::string name;       // as typed by the user; the key
  std::string canonical;  // registry/repository:tag; two names with the same one are one image
  std::string digest;  // sha256:…, the ID: of the manifest, or as spec 02 §8.4 for a plain tar
  std::string type = kOciImage;
  std::string architecture;         // GOARCH: amd64, arm64
  std::vector<std::string> layers;  // diff_ids "sha256:…", bottom first, as in the image
  std::vector<std::string> disks;   // blob IDs to attach, bottom first
  std::optional<BootFile> kernel;   // both or neither
  std::optional<BootFile> initrd;
  std::optional<BootFile> vmlinux;  // the kernel unpacked, for VMMs that boot nothing else
  ImageConfig config;
  std::int64_t size = 0;  // bytes of the disks and boot files on our disk
  std::string created_at;
  bool operator==(const Image&) const = default;
};

// Every blob that the image needs: disks and boot files; each once.
std::vector<std::string> image_blobs(const Image& image);

// As stored, and back. Unknown keys are ignored; kCorrupt for a wrong type.
nlohmann::json to_stored_json(const Image& image);
Result<Image> parse_image(const nlohmann::json& json);

// The public object: id, name, type, size, created_at (spec 01 §10.2), and ours: architecture,
// layers, config, kernel, initrd.
nlohmann::json to_public_json(const Image& image);

// How far a blob is (design §5): GC and importers agree by this and by the blob's lock.
enum class BlobState { kPending, kReady, kDeleting };
std::string_view blob_state_name(BlobState state);
Result<BlobState> parse_blob_state(std::string_view text);

// A boot-related name that a layer holds: what finding a kernel across layers needs, kept so that a
// layer never has to be read again for it (spec 02 §17 B13).
struct BootEntry {
  enum class Type { kFile, kSymlink, kWhiteout, kOpaque };
  Type type = Type::kFile;
  std::string path;    // "boot/vmlinuz-6.1"; for kOpaque the directory
  std::string target;  // kSymlink only
  std::string sha256;  // kFile only
  std::int64_t size = 0;
  bool operator==(const BootEntry&) const = default;
};

struct Blob {
  std::string id;
  std::string kind;  // layer, merged, modules, boot, disk
  BlobState state = BlobState::kPending;
  std::string file;  // relative to the root directory
  std::int64_t size = 0;
  std::string sha256;  // of the file
  std::string created_at;
  // The rest is the record column.
  std::string converter;     // "staged1-lz4hc"; empty for boot files
  std::string tool;          // "mkfs.erofs 1.5"
  std::string uuid;          // of the file system
  bool root_opaque = false;  // hides every layer below (spec 02 §13.3)
  std::vector<BootEntry> boot;
  bool operator==(const Blob&) const = default;
};

// The record column of a blob row, and back into `blob`.
nlohmann::json to_blob_record(const Blob& blob);
Result<void> parse_blob_record(const nlohmann::json& json, Blob& blob);

}  // namespace cocoon::model
