// SPDX-License-Identifier: Apache-2.0
// Disk images of others: what an imported cloud image becomes, and the overlay of a VM on it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "base/error.h"

namespace cocoon::disk {

enum class ImageFormat { kRaw, kQcow2 };

// A disk image from a stranger, alone in a directory.
struct Untrusted {
  std::filesystem::path dir;  // the program's working directory; its uid gets the directory
  std::string file;           // name in it
  ImageFormat format = ImageFormat::kRaw;
  std::int64_t virtual_size = 0;  // as check_qcow2 said; 0 for raw: the file's size
  int lock_fd = -1;               // inherited by the program, as in RawDisk
};

// As much of a file as check_qcow2 wants to see. kSystem.
Result<std::string> read_image_head(int fd);

// Rewrites the image as a sparse raw file `target` in the same directory: whatever else its
// metadata holds is gone then, nothing ever parses it again, and an overlay reads raw data fastest.
// The work is qemu-img's, under a uid without rights and with limits on time, memory and output.
// kUnsupported: qemu-img is missing; kCorrupt with its words: it cannot read the image; kSystem.
Result<void> flatten_image(const Untrusted& image, const std::string& target);

// Makes the qcow2 overlay `name` of `bytes` in a VM directory, over the raw file `backing` there.
// The base is only named, never opened. Root-owned; the caller gives it to the VMM. kUnsupported:
// qemu-img is missing.
Result<void> make_overlay(const std::filesystem::path& dir, const std::string& name,
                          const std::string& backing, std::int64_t bytes, int lock_fd);

}  // namespace cocoon::disk
