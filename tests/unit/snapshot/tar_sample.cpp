// SPDX-License-Identifier: Apache-2.0
#include "unit/snapshot/tar_sample.h"

#include <fmt/format.h>

namespace cocoon::snapshot {
namespace {

constexpr std::size_t kBlock = 512;
constexpr std::size_t kChecksum = 148;

void set_checksum(std::string& bytes, std::size_t header) {
  bytes.replace(header + kChecksum, 8, "        ");
  unsigned sum = 0;
  for (std::size_t i = 0; i < kBlock; ++i) sum += static_cast<unsigned char>(bytes[header + i]);
  bytes.replace(header + kChecksum, 7, fmt::format("{:06o}", sum) + std::string(1, '\0'));
}

}  // namespace

TarSample& TarSample::header(std::string_view name, char type, std::int64_t size) {
  last_ = bytes_.size();
  bytes_.append(kBlock, '\0');
  bytes_.replace(last_, name.size(), name);
  bytes_.replace(last_ + 100, 7, "0000644");
  bytes_.replace(last_ + 124, 11, fmt::format("{:011o}", size));
  bytes_[last_ + 156] = type;
  bytes_.replace(last_ + 257, 8, std::string("ustar\0", 6) + "00");
  set_checksum(bytes_, last_);
  return *this;
}

TarSample& TarSample::content(std::string_view bytes) {
  bytes_ += bytes;
  bytes_.append((kBlock - bytes.size() % kBlock) % kBlock, '\0');
  return *this;
}

TarSample& TarSample::file(std::string_view name, std::string_view bytes) {
  return header(name, '0', static_cast<std::int64_t>(bytes.size())).content(bytes);
}

TarSample& TarSample::pax(std::string_view records) {
  return header("PaxHeaders.0/x", 'x', static_cast<std::int64_t>(records.size())).content(records);
}

TarSample& TarSample::patch(std::size_t offset, std::string_view bytes) {
  bytes_.replace(last_ + offset, bytes.size(), bytes);
  set_checksum(bytes_, last_);
  return *this;
}

std::string TarSample::ended() const { return bytes_ + std::string(2 * kBlock, '\0'); }

}  // namespace cocoon::snapshot
