// SPDX-License-Identifier: Apache-2.0
#include "agent_wire/line_reader.h"

#include <gtest/gtest.h>

namespace cocoon::agent_wire {
namespace {

TEST(LineReader, HandsOutLinesHoweverTheyArrive) {
  LineReader reader;
  std::string_view line;
  EXPECT_FALSE(reader.next(line));
  reader.feed("on");
  EXPECT_FALSE(reader.next(line));
  reader.feed("e\ntwo\r\n\nth");
  ASSERT_TRUE(reader.next(line));
  EXPECT_EQ(line, "one");
  ASSERT_TRUE(reader.next(line));
  EXPECT_EQ(line, "two");
  ASSERT_TRUE(reader.next(line));
  EXPECT_EQ(line, "");
  EXPECT_FALSE(reader.next(line));
  EXPECT_EQ(reader.pending(), 2U);
  reader.feed("ree\n");
  ASSERT_TRUE(reader.next(line));
  EXPECT_EQ(line, "three");
  EXPECT_EQ(reader.pending(), 0U);
}

TEST(LineReader, TakesALineOfTheLimitAndNoLonger) {
  LineReader reader(4);
  std::string_view line;
  reader.feed("1234\n12345\n");
  ASSERT_TRUE(reader.next(line));
  EXPECT_EQ(line, "1234");
  EXPECT_FALSE(reader.next(line));
  EXPECT_TRUE(reader.too_long());
  reader.feed("ok\n");
  EXPECT_FALSE(reader.next(line));
}

TEST(LineReader, GivesUpOnAnEndlessLineWithoutKeepingIt) {
  LineReader reader(1000);
  std::string_view line;
  for (int i = 0; i < 20 && !reader.too_long(); ++i) {
    reader.feed(std::string(100, 'x'));
    EXPECT_FALSE(reader.next(line));
  }
  EXPECT_TRUE(reader.too_long());
  EXPECT_EQ(reader.pending(), 0U);
}

}  // namespace
}  // namespace cocoon::agent_wire
