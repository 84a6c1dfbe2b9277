// SPDX-License-Identifier: Apache-2.0
#include "shim/marker.h"

#include <random>
#include <string>

#include <gtest/gtest.h>

namespace cocoon::shim {
namespace {

struct ExitCase {
  const char* name;
  std::string input;
  std::optional<int> code;
};

class MarkerExit : public testing::TestWithParam<ExitCase> {};

TEST_P(MarkerExit, InOnePiece) {
  Marker marker("abc123");
  marker.feed(GetParam().input);
  EXPECT_EQ(marker.guest_exit(), GetParam().code);
}

TEST_P(MarkerExit, ByteByByte) {
  Marker marker("abc123");
  for (const char c : GetParam().input) marker.feed({&c, 1});
  EXPECT_EQ(marker.guest_exit(), GetParam().code);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, MarkerExit,
    testing::Values(
        ExitCase{"AtTheStart", "cocoon-exit abc123 0\n", 0},
        ExitCase{"AfterOtherLines", "hello\r\n\r\ncocoon-exit abc123 17\r\n", 17},
        ExitCase{"Highest", "cocoon-exit abc123 255\n", 255},
        ExitCase{"LastOneWins", "cocoon-exit abc123 1\ncocoon-exit abc123 2\nbye\n", 2},
        ExitCase{"AfterCarriageReturns", "\r\rcocoon-exit abc123 3\r\r\n", 3},
        ExitCase{"AfterALongLine", std::string(5000, 'x') + "\ncocoon-exit abc123 4\n", 4},
        ExitCase{"BadOneDoesNotErase", "cocoon-exit abc123 5\ncocoon-exit abc123 999\n", 5},
        ExitCase{"Unfinished", "cocoon-exit abc123 25", std::nullopt},
        ExitCase{"TooHigh", "cocoon-exit abc123 256\n", std::nullopt},
        ExitCase{"Negative", "cocoon-exit abc123 -1\n", std::nullopt},
        ExitCase{"LeadingZero", "cocoon-exit abc123 01\n", std::nullopt},
        ExitCase{"NoCode", "cocoon-exit abc123 \n", std::nullopt},
        ExitCase{"Trailing", "cocoon-exit abc123 1 \n", std::nullopt},
        ExitCase{"OtherNonce", "cocoon-exit abc124 1\n", std::nullopt},
        ExitCase{"LongerNonce", "cocoon-exit abc1234 1\n", std::nullopt},
        ExitCase{"NotAtLineStart", " cocoon-exit abc123 1\n", std::nullopt},
        ExitCase{"Echoed", "echo cocoon-exit abc123 1\n", std::nullopt},
        ExitCase{"InALongLine", std::string(250, 'x') + "cocoon-exit abc123 1\n", std::nullopt},
        ExitCase{"LongLineWithMarkerHead", "cocoon-exit abc123 1" + std::string(300, ' ') + "\n",
                 std::nullopt},
        ExitCase{"Zeros", std::string("cocoon-exit abc123 1\0\n", 22), std::nullopt}),
    [](const auto& p) { return std::string(p.param.name); });

struct PowerCase {
  const char* name;
  std::string input;
  KernelWord word;
};

class MarkerPower : public testing::TestWithParam<PowerCase> {};

TEST_P(MarkerPower, IsSeen) {
  Marker marker("abc123");
  for (const char c : GetParam().input) marker.feed({&c, 1});
  EXPECT_EQ(marker.word(), GetParam().word);
  EXPECT_EQ(marker.powered_down(), GetParam().word == KernelWord::kPowerDown);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, MarkerPower,
    testing::Values(
        PowerCase{"Plain", "reboot: Power down\r\n", KernelWord::kPowerDown},
        PowerCase{"WithTime", "x\n[   12.345678] reboot: Power down\r\n", KernelWord::kPowerDown},
        PowerCase{"WithTimeAndCaller", "[    1.0][    T1] reboot: Power down\n",
                  KernelWord::kPowerDown},
        PowerCase{"Unfinished", "[   12.345678] reboot: Power down", KernelWord::kPowerDown},
        PowerCase{"BlankLinesAfter", "reboot: Power down\r\n\r\n\n", KernelWord::kPowerDown},
        PowerCase{"NotTheEnd", "reboot: Power down\nhello\n", KernelWord::kNone},
        PowerCase{"UnfinishedLineAfter", "reboot: Power down\nhello", KernelWord::kNone},
        PowerCase{"LongLineAfter", "reboot: Power down\n" + std::string(999, 'x'),
                  KernelWord::kNone},
        PowerCase{"Restart", "[    1.0] reboot: Restarting system\n", KernelWord::kRestart},
        PowerCase{"RestartWithCommand", "reboot: Restarting system with command 'x'\n",
                  KernelWord::kRestart},
        PowerCase{"Halted", "[    1.0] reboot: System halted\r\n", KernelWord::kHalted},
        PowerCase{"HaltedInstead", "reboot: Power off not available: System halted instead\n",
                  KernelWord::kHalted},
        PowerCase{"Quoted", "saw reboot: Power down\n", KernelWord::kNone},
        PowerCase{"OpenBracket", "[ reboot: Power down\n", KernelWord::kNone},
        PowerCase{"Nothing", "", KernelWord::kNone}),
    [](const auto& p) { return std::string(p.param.name); });

TEST(MarkerTest, DoubtsTheWordButNotTheCode) {
  Marker marker("ab");
  marker.feed("cocoon-exit ab 3\nreboot: Power down\n");
  EXPECT_TRUE(marker.powered_down());
  marker.doubt_word();
  EXPECT_FALSE(marker.powered_down());
  EXPECT_TRUE(marker.may_have_halted());
  EXPECT_EQ(marker.guest_exit(), 3);
  marker.feed("reboot: System halted\n");
  EXPECT_EQ(marker.word(), KernelWord::kHalted);
  marker.feed("no");
  EXPECT_FALSE(marker.may_have_halted());
}

TEST(MarkerTest, CountsPanicsUntilSomethingElseSpeaks) {
  Marker marker("ab");
  marker.feed("[    1.0] Kernel panic - not syncing: VFS: no root\r\n[    1.0] Call Trace:\r\n");
  EXPECT_EQ(marker.panics(), 1U);
  EXPECT_EQ(marker.panic(), "VFS: no root");
  marker.feed("\r\n[    1.1][    T1] Kernel panic - not syncing: Attempted to kill init!\n");
  EXPECT_EQ(marker.panics(), 2U);
  EXPECT_EQ(marker.panic(), "Attempted to kill init!");
  marker.feed("[    1.2] ---[ end Kernel panic - not syncing: Attempted to kill init! ]---\n");
  EXPECT_EQ(marker.panics(), 2U);
  marker.feed("hello\n");
  EXPECT_EQ(marker.panics(), 0U);
  marker.feed("Kernel panic - not syncing: said somebody\n");
  EXPECT_EQ(marker.panics(), 0U);
}

TEST(MarkerTest, RandomChunksGiveTheSameAnswer) {
  std::mt19937 random(3);  // NOLINT(cert-msc51-cpp): the same bytes in every run
  for (int round = 0; round < 300; ++round) {
    std::string input;
    for (int i = 0; i < 500; ++i) input += static_cast<char>(random() % 256);
    input += "\ncocoon-exit ab 9\r\n";
    Marker marker("ab");
    for (std::string_view rest = input; !rest.empty();) {
      const std::size_t size = std::min<std::size_t>(1 + random() % 50, rest.size());
      marker.feed(rest.substr(0, size));
      rest.remove_prefix(size);
    }
    EXPECT_EQ(marker.guest_exit(), 9);
  }
}

}  // namespace
}  // namespace cocoon::shim
