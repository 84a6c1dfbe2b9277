// SPDX-License-Identifier: Apache-2.0
// Look-ups of images and kernels for everybody who must not pay for acquiring them (design decision
// 9): nothing here links an archive or crypto library.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/image.h"
#include "model/kernel.h"
#include "store/paths.h"

namespace cocoon::store {
class Db;
}

namespace cocoon::image {

// The image that a reference names (spec 02 §17 B9): exact name, then canonical name, then full
// digest, then a digest prefix of at least 12 digits. kNotFound ("image not found: …"); kConflict
// when a prefix fits images with different digests.
Result<model::Image> find_image(store::Db& db, std::string_view reference);

// Every name of what a reference names: one when it is a name, all names of the digest when it is a
// digest. For `image rm`.
Result<std::vector<model::Image>> find_image_names(store::Db& db, std::string_view reference);

// A file of the store that a VM gets as a hard link.
struct BlobFile {
  std::string id;
  store::fs::path path;  // absolute
  std::int64_t size = 0;
};

// What a VM gets from an image (spec 02 §10).
struct BootSource {
  model::Image image;
  std::vector<BlobFile> disks;     // bottom first
  std::optional<BlobFile> kernel;  // the image's own; both or neither
  std::optional<BlobFile> initrd;
  std::optional<BlobFile> vmlinux;  // the kernel unpacked, where the image has one to unpack
  std::vector<std::string> blobs;   // all IDs, to pin with the VM's row
};

// Resolves an image for a new VM and checks that its files are there. Pinning is the caller's: in
// the transaction that adds the VM's row (a blob collected in between fails there). kNotFound,
// kConflict as find_image; kCorrupt when a file is missing or has another size.
Result<BootSource> boot_source(store::Db& db, const store::Paths& paths,
                               std::string_view reference);

// What a VM gets from a kernel object.
struct KernelSource {
  model::KernelName named;
  store::fs::path kernel;
  store::fs::path initramfs;
  store::fs::path vmlinux;  // the kernel unpacked or as it is, if that is an ELF file; may be empty
  std::optional<BlobFile> modules;
};

// The kernel object of a name; an empty name means the default one. kNotFound.
Result<KernelSource> kernel_source(store::Db& db, const store::Paths& paths,
                                   const std::string& name);

}  // namespace cocoon::image
