// SPDX-License-Identifier: Apache-2.0
// The header of a qcow2 image from a stranger.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "disk/qcow2_header.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace cocoon::disk;
  std::string_view head(reinterpret_cast<const char*>(data), size);
  auto info = check_qcow2(head);
  if (!info) return 0;
  // What was accepted names no other file: both fields of the backing file are zero.
  for (std::size_t at = 8; at < 20; ++at) {
    if (head[at] != 0) abort();
  }
  bool sane = info->virtual_size > 0 && info->virtual_size <= kMaxVirtualBytes;
  if (!sane || (info->version != 2 && info->version != 3)) abort();
  return 0;
}
