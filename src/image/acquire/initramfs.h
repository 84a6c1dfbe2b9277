// SPDX-License-Identifier: Apache-2.0
// The initramfs of a kernel object (design §8): our guest program as /init, and the modules that
// reaching the disks takes. Pure and deterministic.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "image/acquire/module_index.h"

namespace cocoon::image {

struct LoadedModule {
  InitramfsModule plan;
  std::string bytes;  // uncompressed
};

// A gzip'd newc archive, padded with zeros to a multiple of 512 bytes: the kernel takes a further
// archive after it (boot.json, at each start), which has to begin at a multiple of 4.
Result<std::string> render_initramfs(std::string_view guest_program,
                                     const std::vector<LoadedModule>& modules);

// The content of /modules/order (guest/modules.h).
std::string render_module_order(const std::vector<LoadedModule>& modules);

}  // namespace cocoon::image
