// SPDX-License-Identifier: Apache-2.0
#include "agent_wire/base64.h"

#include <gtest/gtest.h>

namespace cocoon::agent_wire {
namespace {

std::string encode(std::string_view bytes) {
  std::string out;
  append_base64(out, bytes);
  return out;
}

TEST(Base64, EncodesTheVectorsOfTheRfc) {
  EXPECT_EQ(encode(""), "");
  EXPECT_EQ(encode("f"), "Zg==");
  EXPECT_EQ(encode("fo"), "Zm8=");
  EXPECT_EQ(encode("foo"), "Zm9v");
  EXPECT_EQ(encode("foob"), "Zm9vYg==");
  EXPECT_EQ(encode("fooba"), "Zm9vYmE=");
  EXPECT_EQ(encode("foobar"), "Zm9vYmFy");
}

TEST(Base64, ReadsBackEveryByteAtEveryPlace) {
  for (std::size_t size = 0; size < 7; ++size) {
    for (int byte = 0; byte < 256; ++byte) {
      const std::string bytes(size, static_cast<char>(byte));
      std::string decoded = "kept";
      ASSERT_TRUE(append_decoded(decoded, encode(bytes)));
      EXPECT_EQ(decoded, "kept" + bytes);
    }
  }
}

TEST(Base64, RefusesWhatIsNotCanonical) {
  std::string out;
  for (const char* text : {"Z", "Zg", "Zg=", "Zg===", "Z===", "====", "Zh==", "Zm9=", "Zm9v Zg==",
                           "Zg==Zm9v", "Zm9v\n", "Zm-v", "Zm_v", "Z\xc3\xa9g=", "=Zm9"})
    EXPECT_FALSE(append_decoded(out, text)) << text;
}

}  // namespace
}  // namespace cocoon::agent_wire
