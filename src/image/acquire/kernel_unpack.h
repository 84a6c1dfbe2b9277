// SPDX-License-Identifier: Apache-2.0
// The kernel inside a bzImage (Documentation/arch/x86/boot.rst). Firecracker boots ELF files only,
// and distributions ship compressed kernels: unpacked once, at import, by libraries.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "image/acquire/byte_source.h"

namespace cocoon::image {

// Largest unpacked kernel that is accepted; distribution kernels have 30 to 100 MiB.
inline constexpr std::size_t kMaxVmlinux = std::size_t{512} << 20;

// The compressed part of a bzImage, as its setup header describes it.
struct KernelPayload {
  Compression compression = Compression::kNone;
  std::string_view bytes;           // borrowed from the image, without the size behind it
  std::uint32_t unpacked_size = 0;  // as the image says
};

// Finds the payload. Pure. kInvalid: no bzImage, or one without payload fields (boot protocol below
// 2.08); kCorrupt: the fields lead out of the file; kUnsupported: a compression that is not known.
Result<KernelPayload> find_kernel_payload(std::string_view bzimage);

// Checks that the bytes are a 64-bit x86 ELF program whose segments lie in the file. kInvalid.
Result<void> check_vmlinux(std::string_view bytes);

// The ELF kernel of a bzImage. Errors as the two above, kCorrupt for a damaged payload and for one
// that unpacks to another size than it says or to more than `limit` bytes.
Result<std::string> unpack_kernel(std::string_view bzimage, std::size_t limit = kMaxVmlinux);

}  // namespace cocoon::image
