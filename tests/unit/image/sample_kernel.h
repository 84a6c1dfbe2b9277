// SPDX-License-Identifier: Apache-2.0
// Kernels as small as the formats allow.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace cocoon::image::test {

// `size` bytes, little-endian.
inline void put(std::string& bytes, std::size_t at, std::uint64_t value, std::size_t size) {
  for (std::size_t i = 0; i < size; ++i) bytes[at + i] = static_cast<char>(value >> (8 * i));
}

// A small ELF program that a VMM would take for a kernel.
inline std::string vmlinux(std::size_t size = 100'000) {
  std::string bytes(size, '\0');
  for (std::size_t i = 4096; i < size; ++i) bytes[i] = static_cast<char>(i * i >> 5);
  bytes.replace(0, 7,
                "\x7f"
                "ELF\x02\x01\x01");
  put(bytes, 16, 2, 2);   // a program
  put(bytes, 18, 62, 2);  // x86-64
  put(bytes, 32, 64, 8);  // table of segments
  put(bytes, 54, 56, 2);
  put(bytes, 56, 1, 2);
  put(bytes, 64, 1, 4);         // to be loaded
  put(bytes, 64 + 8, 4096, 8);  // from here
  put(bytes, 64 + 32, size - 4096, 8);
  return bytes;
}

inline std::string bzimage(std::string_view payload, std::size_t sectors = 3) {
  std::size_t start = (sectors + 1) * 512;
  std::string bytes(start + 256, '\0');
  bytes[0x1f1] = static_cast<char>(sectors);
  bytes.replace(0x202, 4, "HdrS");
  put(bytes, 0x206, 0x020f, 2);
  put(bytes, 0x248, 256, 4);
  put(bytes, 0x24c, payload.size(), 4);
  return bytes.append(payload) + std::string(100, 'x');
}

}  // namespace cocoon::image::test
