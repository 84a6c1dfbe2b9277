// SPDX-License-Identifier: Apache-2.0
#include "guest/console.h"

#include <unistd.h>

#include <array>

#include <gtest/gtest.h>

namespace cocoon::guest {
namespace {

class ConsolePipe : public testing::Test {
 protected:
  void SetUp() override {
    std::array<int, 2> ends{};
    ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    reading_ = UniqueFd(ends[0]);
    writing_ = UniqueFd(ends[1]);
  }

  std::string read_some() {
    std::string text(4096, '\0');
    const ssize_t got = ::read(reading_.get(), text.data(), text.size());
    text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return text;
  }

  UniqueFd reading_;
  UniqueFd writing_;
};

TEST_F(ConsolePipe, PrefixesLines) {
  Console console;
  console.connect(std::move(writing_));
  console.say("boot failed: x: y");
  EXPECT_EQ(read_some(), "cocoon: boot failed: x: y\n");
}

TEST_F(ConsolePipe, KeepsMessagesUntilTheConsoleIsThere) {
  Console console;
  EXPECT_FALSE(console.connect("/nonexistent/console"));
  console.say("early");
  console.connect(std::move(writing_));
  console.say("late");
  EXPECT_EQ(read_some(), "cocoon: early\ncocoon: late\n");
}

TEST_F(ConsolePipe, KeepsABoundedNumberOfEarlyMessages) {
  Console console;
  for (int i = 0; i < 10'000; ++i) console.say("again and again");
  console.connect(std::move(writing_));
  EXPECT_LE(read_some().size(), 4096U);
}

TEST_F(ConsolePipe, GivesUpOnAConsoleThatNobodyReads) {
  Console console;
  console.connect(std::move(writing_));
  const Deadline limit(std::chrono::seconds(30));
  console.say(std::string(1024 * 1024, 'x'));
  EXPECT_FALSE(limit.passed());
}

TEST(RenderExitMarker, BeginsOnALineOfItsOwn) {
  EXPECT_EQ(render_exit_marker({.nonce = "ab12", .action = EndAction::kPowerOff}, 42),
            "\ncocoon-exit ab12 42\n");
}

TEST(RenderExitMarker, IsEmptyWithoutANonce) { EXPECT_EQ(render_exit_marker({}, 0), ""); }

}  // namespace
}  // namespace cocoon::guest
