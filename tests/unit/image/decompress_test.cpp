// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "image/acquire/byte_source.h"

namespace cocoon::image {
namespace {

using namespace std::string_literals;

// What `zstd --long=31` makes of "hello" from a pipe, with another window descriptor (RFC 8878,
// 3.1.1.1.2: its upper five bits are the logarithm less 10).
std::string zstd_frame(int window_log) {
  auto frame = "\x28\xb5\x2f\xfd\x04W\x29\0\0hello\xa3\x6d\x9f\x88"s;
  frame[5] = static_cast<char>((window_log - 10) << 3);
  return frame;
}

Result<std::string> unpack(std::string bytes) {
  auto source = COCOON_TRY(decompress(std::make_unique<MemorySource>(std::move(bytes))));
  std::string out;
  std::string chunk(64, '\0');
  while (std::size_t got = COCOON_TRY(source->read(chunk.data(), chunk.size()))) {
    out += chunk.substr(0, got);
  }
  return out;
}

TEST(Decompress, ZstdMayHaveAWindowOf128Mebibytes) {
  for (int log : {10, 23, 27}) {
    auto out = unpack(zstd_frame(log));
    ASSERT_TRUE(out) << log << ": " << out.error().to_string();
    EXPECT_EQ(*out, "hello");
  }
}

TEST(Decompress, ZstdWithALargerWindowIsRefused) {
  for (int log : {28, 31, 41}) {
    for (const std::string& before : {""s, zstd_frame(20)}) {
      auto out = unpack(before + zstd_frame(log));
      ASSERT_FALSE(out) << log;
      EXPECT_EQ(out.error().kind, ErrorKind::kUnsupported);
      EXPECT_NE(out.error().to_string().find("more than 128 MiB"), std::string::npos)
          << out.error().to_string();
    }
  }
}

}  // namespace
}  // namespace cocoon::image
