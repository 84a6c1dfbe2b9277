// SPDX-License-Identifier: Apache-2.0
#include "vmm/vm_uuid.h"

#include <array>
#include <cstdint>

#include "base/id.h"

namespace cocoon::vmm {

Result<std::string> vm_uuid(std::string_view id) {
  if (!is_id(id)) return fail(ErrorKind::kInvalid, "\"{}\" is no VM ID", id);
  std::array<std::uint8_t, 16> bytes{};
  for (std::size_t bit = 0; bit < 128; ++bit) {
    char c = id[bit / 5];
    int value = c >= 'A' ? c - 'A' : c - '2' + 26;  // base 32 of RFC 4648
    int is_set = value >> (4 - bit % 5) & 1;
    bytes[bit / 8] = static_cast<std::uint8_t>(bytes[bit / 8] | is_set << (7 - bit % 8));
  }
  bytes[6] = static_cast<std::uint8_t>((bytes[6] & 0x0f) | 0x40);  // version 4
  bytes[8] = static_cast<std::uint8_t>((bytes[8] & 0x3f) | 0x80);  // variant of RFC 9562
  std::string hex;
  for (std::size_t index = 0; index < bytes.size(); ++index) {
    if (index == 4 || index == 6 || index == 8 || index == 10) hex += '-';
    hex += fmt::format("{:02x}", bytes[index]);
  }
  return hex;
}

}  // namespace cocoon::vmm
