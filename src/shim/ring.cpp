// SPDX-License-Identifier: Apache-2.0
#include "shim/ring.h"

#include <algorithm>
#include <cstring>

namespace cocoon::shim {

void Ring::append(std::string_view bytes) {
  while (!bytes.empty()) {
    const std::size_t offset = static_cast<std::size_t>(end_ % kCapacity);
    const std::size_t size = std::min(bytes.size(), kCapacity - offset);
    std::memcpy(bytes_.data() + offset, bytes.data(), size);
    end_ += size;
    bytes.remove_prefix(size);
  }
}

std::string_view Ring::at(std::uint64_t position, std::size_t limit) const {
  if (position < begin() || position >= end_) return {};
  const std::size_t offset = static_cast<std::size_t>(position % kCapacity);
  const std::size_t available = static_cast<std::size_t>(end_ - position);
  return {bytes_.data() + offset, std::min({available, kCapacity - offset, limit})};
}

}  // namespace cocoon::shim
