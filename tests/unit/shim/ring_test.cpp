// SPDX-License-Identifier: Apache-2.0
#include "shim/ring.h"

#include <memory>
#include <random>
#include <string>

#include <gtest/gtest.h>

namespace cocoon::shim {
namespace {

std::string read_all(const Ring& ring, std::uint64_t from) {
  std::string text;
  for (std::uint64_t at = from; at < ring.end();) {
    const std::string_view piece = ring.at(at, 1000);
    if (piece.empty()) break;
    text += piece;
    at += piece.size();
  }
  return text;
}

TEST(RingTest, IsEmptyAtFirst) {
  const auto ring = std::make_unique<Ring>();
  EXPECT_EQ(ring->begin(), 0U);
  EXPECT_EQ(ring->end(), 0U);
  EXPECT_TRUE(ring->at(0, 10).empty());
}

TEST(RingTest, KeepsTheLastBytesInOrder) {
  const auto ring = std::make_unique<Ring>();
  std::mt19937 random(5);  // NOLINT(cert-msc51-cpp): the same bytes in every run
  std::string all;
  for (int round = 0; round < 500; ++round) {
    std::string piece(random() % 2000, '\0');
    for (char& c : piece) c = static_cast<char>(random() % 256);
    ring->append(piece);
    all += piece;
    const std::size_t kept = std::min(all.size(), Ring::kCapacity);
    ASSERT_EQ(ring->end(), all.size());
    ASSERT_EQ(ring->begin(), all.size() - kept);
  }
  EXPECT_EQ(read_all(*ring, ring->begin()), all.substr(all.size() - Ring::kCapacity));
}

TEST(RingTest, TakesMoreThanItHoldsAtOnce) {
  const auto ring = std::make_unique<Ring>();
  ring->append("x" + std::string(Ring::kCapacity, 'a') + "z");
  EXPECT_EQ(ring->begin(), 2U);
  EXPECT_EQ(read_all(*ring, 2), std::string(Ring::kCapacity - 1, 'a') + "z");
}

TEST(RingTest, GivesNothingOutsideOfWhatItHolds) {
  const auto ring = std::make_unique<Ring>();
  ring->append(std::string(Ring::kCapacity + 10, 'a'));
  EXPECT_TRUE(ring->at(9, 10).empty());
  EXPECT_EQ(ring->at(10, 10).size(), 10U);
  EXPECT_TRUE(ring->at(ring->end(), 10).empty());
  EXPECT_TRUE(ring->at(ring->end() + 1, 10).empty());
}

}  // namespace
}  // namespace cocoon::shim
