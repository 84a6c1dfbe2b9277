// SPDX-License-Identifier: Apache-2.0
// Archives for tests, block by block: what GNU tar, Python or an attacker would write.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace cocoon::snapshot {

class TarSample {
 public:
  // A header of that type; `size` as it will stand in the field.
  TarSample& header(std::string_view name, char type, std::int64_t size);
  // Bytes and what fills their last block.
  TarSample& content(std::string_view bytes);
  TarSample& file(std::string_view name, std::string_view bytes);
  // An extended header with these rendered records.
  TarSample& pax(std::string_view records);
  // The last header again, with `bytes` at `offset` and the right checksum.
  TarSample& patch(std::size_t offset, std::string_view bytes);
  // As it is, without the end.
  const std::string& bytes() const { return bytes_; }
  std::string ended() const;

 private:
  std::string bytes_;
  std::size_t last_ = 0;  // where the last header is
};

}  // namespace cocoon::snapshot
