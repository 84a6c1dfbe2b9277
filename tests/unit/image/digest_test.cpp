// SPDX-License-Identifier: Apache-2.0
#include "image/acquire/digest.h"

#include <gtest/gtest.h>

namespace cocoon::image {
namespace {

// Vectors of spec 02 §5.5.
TEST(Uuid, IsThatOfTheDigest) {
  EXPECT_EQ(uuid_v5("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            "80440758-37c2-5ab0-acbb-6da4cf6cef1b");
  EXPECT_EQ(uuid_v5("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"),
            "ad3ad9d7-7804-5932-adc6-dd53c4d260a6");
}

TEST(Sha256, OfNothingAndInPieces) {
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  Sha256 hash;
  hash.update("a");
  hash.update("bc");
  EXPECT_EQ(hash.finish(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(ChainId, FoldsFromTheBottom) {
  const std::string a(64, 'a');
  const std::string b(64, 'b');
  EXPECT_EQ(chain_id({}), "");
  EXPECT_EQ(chain_id({a}), a);
  EXPECT_EQ(chain_id({a, b}), sha256_hex("sha256:" + a + " sha256:" + b));
  EXPECT_NE(chain_id({a, b}), chain_id({b, a}));
}

}  // namespace
}  // namespace cocoon::image
