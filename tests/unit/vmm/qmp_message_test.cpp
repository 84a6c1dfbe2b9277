// SPDX-License-Identifier: Apache-2.0
#include "vmm/qemu/qmp_message.h"

#include <gtest/gtest.h>

namespace cocoon::vmm::qemu {
namespace {

using Kind = QmpMessage::Kind;

TEST(QmpMessage, KnowsAllFourShapes) {
  auto greeting = parse_qmp_message(R"({"QMP":{"version":{},"capabilities":["oob"]}})");
  ASSERT_TRUE(greeting);
  EXPECT_EQ(greeting->kind, Kind::kGreeting);

  auto answer = parse_qmp_message(R"({"return":{"status":"running"},"id":7})");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->kind, Kind::kReturn);
  EXPECT_EQ(answer->id, 7U);
  EXPECT_EQ(answer->value["status"], "running");

  auto error = parse_qmp_message(R"({"id":8,"error":{"class":"GenericError","desc":"no"}})");
  ASSERT_TRUE(error);
  EXPECT_EQ(error->kind, Kind::kError);
  EXPECT_EQ(error->id, 8U);
  EXPECT_EQ(error->name, "GenericError");
  EXPECT_EQ(error->text, "no");

  auto event = parse_qmp_message(
      R"({"timestamp":{"seconds":1,"microseconds":2},"event":"SHUTDOWN","data":{"guest":true}})");
  ASSERT_TRUE(event);
  EXPECT_EQ(event->kind, Kind::kEvent);
  EXPECT_EQ(event->name, "SHUTDOWN");
  EXPECT_EQ(event->value["guest"], true);
  EXPECT_FALSE(event->id);
}

class QmpNonsense : public testing::TestWithParam<const char*> {};

TEST_P(QmpNonsense, IsRefused) {
  auto message = parse_qmp_message(GetParam());
  ASSERT_FALSE(message) << GetParam();
  EXPECT_EQ(message.error().kind, ErrorKind::kCorrupt);
}

INSTANTIATE_TEST_SUITE_P(Cases, QmpNonsense,
                         testing::Values("", "nonsense", "[]", "7", "null", "{}", "{\"x\":1}",
                                         "{\"return\":{}", "{\"return\":{},\"id\":\"7\"}",
                                         "{\"return\":{},\"id\":-1}", "{\"event\":5}",
                                         "{\"error\":\"text\",\"id\":1}",
                                         "{\"error\":{\"desc\":5},\"id\":1}",
                                         "{\"event\":\"\xff\xfe\"}"));

TEST(QmpMessage, CutsAnErrorThatIsTooLongForAMessage) {
  auto error = parse_qmp_message("{\"error\":{\"desc\":\"" + std::string(50'000, 'x') + "\"}}");
  ASSERT_TRUE(error);
  EXPECT_EQ(error->text.size(), 1024U);
}

TEST(QmpMessage, BoundsNestingBeforeParsing) {
  std::string deep = "{\"return\":" + std::string(100'000, '[') + "}";
  auto message = parse_qmp_message(deep);
  ASSERT_FALSE(message);
  EXPECT_EQ(message.error().kind, ErrorKind::kCorrupt);
  // Brackets in a string are text.
  EXPECT_TRUE(parse_qmp_message("{\"return\":\"" + std::string(100, '[') + "\\\"[\",\"id\":1}"));
}

}  // namespace
}  // namespace cocoon::vmm::qemu
