// SPDX-License-Identifier: Apache-2.0
// What a kernel file is: told by its own headers. Pure.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace cocoon::image {

struct KernelImage {
  std::string format;        // bzimage, elf, arm64
  std::string architecture;  // GOARCH
  std::string version;       // as `uname -r` prints it; empty when the file does not say
};

// Recognises an x86 bzImage (Documentation/arch/x86/boot.rst), an ELF vmlinux and an arm64 Image
// (Documentation/arch/arm64/booting.rst). kInvalid for anything else.
Result<KernelImage> parse_kernel_image(std::string_view bytes);

}  // namespace cocoon::image
