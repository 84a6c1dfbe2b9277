// SPDX-License-Identifier: Apache-2.0
#include "image/acquire/kernel_image.h"

#include "base/text.h"
#include "image/acquire/little_endian.h"

namespace cocoon::image {
namespace {

constexpr std::size_t kLongestVersion = 64;  // uts_namelen is 64 with its NUL

// The first word of a version banner, empty when it does not look like one.
std::string version_word(std::string_view banner) {
  std::string_view word = banner.substr(0, banner.find_first_of(std::string_view(" \n\0", 3)));
  bool good = !word.empty() && word.size() < kLongestVersion && word[0] >= '0' && word[0] <= '9' &&
              word.find_first_not_of(
                  "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-_+~") ==
                  std::string_view::npos;
  return good ? std::string(word) : "";
}

// Uncompressed kernels hold their banner as text.
std::string find_banner(std::string_view bytes) {
  constexpr std::string_view kBanner = "Linux version ";
  for (auto at = bytes.find(kBanner); at != std::string_view::npos;
       at = bytes.find(kBanner, at + 1)) {
    // A format string of the same beginning is no version.
    std::string version = version_word(bytes.substr(at + kBanner.size(), kLongestVersion));
    if (!version.empty()) return version;
  }
  return "";
}

Result<KernelImage> parse_bzimage(std::string_view bytes) {
  KernelImage image{"bzimage", "amd64", ""};
  constexpr std::size_t kVersionPointer = 0x20e;
  std::size_t at = little_endian(bytes, kVersionPointer, 2);
  if (at != 0 && at + 0x200 < bytes.size()) {
    image.version = version_word(bytes.substr(at + 0x200, 2 * kLongestVersion));
  }
  constexpr std::size_t kLoadFlags = 0x236;
  if ((little_endian(bytes, kLoadFlags, 2) & 1U) == 0) {
    return fail(ErrorKind::kInvalid, "a 32-bit kernel");
  }
  return image;
}

Result<KernelImage> parse_elf(std::string_view bytes) {
  constexpr std::size_t kClass = 4;
  constexpr std::size_t kMachine = 18;
  auto machine = little_endian(bytes, kMachine, 2);
  KernelImage image{"elf", machine == 62 ? "amd64" : machine == 183 ? "arm64" : "", ""};
  image.version = find_banner(bytes);
  if (bytes[kClass] != 2 || image.architecture.empty() || image.version.empty()) {
    return fail(ErrorKind::kInvalid, "an ELF file, but no 64-bit Linux kernel");
  }
  return image;
}

}  // namespace

Result<KernelImage> parse_kernel_image(std::string_view bytes) {
  constexpr std::size_t kSmallest = 4096;
  constexpr std::size_t kBootFlag = 0x1fe;
  constexpr std::size_t kHeaderMagic = 0x202;
  constexpr std::size_t kArm64Magic = 56;
  if (bytes.size() >= kSmallest) {
    if (little_endian(bytes, kBootFlag, 2) == 0xaa55 && bytes.substr(kHeaderMagic, 4) == "HdrS") {
      return parse_bzimage(bytes);
    }
    if (bytes.starts_with("\x7f"
                          "ELF")) {
      return parse_elf(bytes);
    }
    if (bytes.substr(kArm64Magic, 4) == "ARM\x64") {
      return KernelImage{"arm64", "arm64", find_banner(bytes)};
    }
  }
  return fail(ErrorKind::kInvalid, "no Linux kernel (bzImage, ELF vmlinux or arm64 Image)");
}

}  // namespace cocoon::image
