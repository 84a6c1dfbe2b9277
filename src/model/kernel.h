// SPDX-License-Identifier: Apache-2.0
// The kernel object of the boot kit (design §8): a kernel, an initramfs with our guest program and
// the modules it needs, and the whole module tree as an EROFS blob. Plain data and its JSON.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "base/error.h"

namespace cocoon::model {

struct Kernel {
  std::string id;            // hex; the directory name below kernels/
  std::string version;       // as `uname -r` prints it: "6.1.0-18-cloud-amd64"; empty if unknown
  std::string architecture;  // GOARCH
  std::string format;        // bzimage, elf, arm64
  std::string modules_blob;  // empty: imported without modules
  std::vector<std::string> initramfs_modules;  // in load order, file names
  std::string kernel_sha256;
  std::string initramfs_sha256;
  std::int64_t kernel_size = 0;
  std::int64_t initramfs_size = 0;
  std::int64_t modules_size = 0;
  // The unpacked kernel, for VMMs that boot nothing else; 0: the object has none, because its
  // kernel is no compressed one or could not be unpacked.
  std::int64_t vmlinux_size = 0;
  std::string created_at;
  bool operator==(const Kernel&) const = default;
};

// A name that points to a kernel object; one of them may be the default.
struct KernelName {
  std::string name;
  bool is_default = false;
  Kernel kernel;
};

// File names inside kernels/<id>/.
inline constexpr std::string_view kKernelFile = "kernel";
inline constexpr std::string_view kInitramfsFile = "initramfs";
inline constexpr std::string_view kVmlinuxFile = "vmlinux";

// ^[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}$; kInvalid else.
Result<void> check_kernel_name(std::string_view name);

// Bytes of all parts.
std::int64_t total_size(const Kernel& kernel);

nlohmann::json to_stored_json(const Kernel& kernel);
Result<Kernel> parse_kernel(const nlohmann::json& json);

// id, name, default, version, architecture, format, size (all parts), modules (has a tree),
// created_at.
nlohmann::json to_public_json(const KernelName& kernel);

}  // namespace cocoon::model
