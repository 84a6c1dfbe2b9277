// SPDX-License-Identifier: Apache-2.0
#include "agent_wire/json_text.h"

#include <gtest/gtest.h>

namespace cocoon::agent_wire {
namespace {

TEST(JsonReader, ReadsStringsWithEscapes) {
  std::string text;
  EXPECT_TRUE(JsonReader(R"("a\"\\\/\n\t\u0041\u00e9\ud83d\ude00")").read(text));
  EXPECT_EQ(text, "a\"\\/\n\tA\xc3\xa9\xf0\x9f\x98\x80");
  EXPECT_TRUE(JsonReader(R"("\ud800x")").read(text));  // half a pair
  EXPECT_EQ(text, "\xef\xbf\xbdx");
}

TEST(JsonReader, RefusesBrokenText) {
  for (const char* json :
       {"", "\"", "\"a", R"("\)", R"("\x")", R"("\u12")", "\"\n\"", "a", "1", "{"}) {
    std::string text;
    EXPECT_FALSE(JsonReader(json).read(text)) << json;
  }
  for (const char* json : {"", "1.5", "1e3", "x", "\"1\"", "99999999999999999999", "-"}) {
    std::int64_t number = 0;
    EXPECT_FALSE(JsonReader(json).read(number)) << json;
  }
}

TEST(JsonReader, SkipsWhatNobodyAskedFor) {
  JsonReader reader(R"( { "a" : [1, {"b": [null, true, -2.5e+3, "x\"}"]}], "c" : 7 } )");
  std::string key;
  std::int64_t number = 0;
  ASSERT_TRUE(reader.enter_object());
  ASSERT_TRUE(reader.next_key(key));
  EXPECT_TRUE(reader.skip());
  ASSERT_TRUE(reader.next_key(key));
  EXPECT_EQ(key, "c");
  EXPECT_TRUE(reader.read(number));
  EXPECT_EQ(number, 7);
  EXPECT_FALSE(reader.next_key(key));
  EXPECT_TRUE(reader.at_end());
}

TEST(JsonReader, DepthIsBounded) {
  EXPECT_FALSE(JsonReader(std::string(1'000'000, '[')).skip());
  EXPECT_FALSE(JsonReader(std::string(64, '[') + std::string(64, ']')).skip());
  EXPECT_TRUE(JsonReader(std::string(16, '[') + std::string(16, ']')).skip());
}

TEST(ObjectWriter, LeavesOutZeroAndEmptyValues) {
  std::string out;
  ObjectWriter object(out);
  object.text("empty", "");
  object.number("zero", 0);
  object.flag("no", false);
  object.texts("none", {});
  object.text("a", "x\"\n\x01");
  object.map("m", {{"k", ""}});
  object.finish();
  EXPECT_EQ(out, R"({"a":"x\"\n\u0001","m":{"k":""}})");
}

}  // namespace
}  // namespace cocoon::agent_wire
