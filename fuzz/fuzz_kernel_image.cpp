// SPDX-License-Identifier: Apache-2.0
// A kernel out of somebody's image: its header, its compressed payload and the ELF file inside.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "image/acquire/kernel_image.h"
#include "image/acquire/kernel_unpack.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace cocoon::image;
  constexpr std::size_t kLimit = std::size_t{4} << 20;
  std::string_view image(reinterpret_cast<const char*>(data), size);
  (void)parse_kernel_image(image);
  (void)check_vmlinux(image);
  auto kernel = unpack_kernel(image, kLimit);
  if (kernel && (kernel->size() > kLimit || !check_vmlinux(*kernel))) abort();
  return 0;
}
