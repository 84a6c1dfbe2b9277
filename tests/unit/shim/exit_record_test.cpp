// SPDX-License-Identifier: Apache-2.0
#include "shim/exit_record.h"

#include <gtest/gtest.h>

namespace cocoon::shim {
namespace {

struct ReasonCase {
  const char* name;
  Ending ending;
  const char* last_line;
  const char* reason;
};

class Reason : public testing::TestWithParam<ReasonCase> {};

TEST_P(Reason, NamesTheStrongestEvidence) {
  EXPECT_EQ(describe_ending(GetParam().ending, GetParam().last_line).view(), GetParam().reason);
}

constexpr int kSignal9 = 9;
constexpr int kCoreDumpOf6 = 6 | 0x80;
constexpr int kStatus2 = 2 << 8;

INSTANTIATE_TEST_SUITE_P(
    Cases, Reason,
    testing::Values(
        ReasonCase{"Marker", {0, 7, KernelWord::kPowerDown}, "", "guest exited with code 7"},
        ReasonCase{
            "MarkerBeforeSignal", {kSignal9, 0, KernelWord::kNone}, "", "guest exited with code 0"},
        ReasonCase{"StatusZero", {0, std::nullopt, KernelWord::kNone}, "x", "guest power-off"},
        ReasonCase{"PowerDownLine",
                   {kStatus2, std::nullopt, KernelWord::kPowerDown},
                   "x",
                   "guest power-off"},
        ReasonCase{"AdoptedPowerDown",
                   {std::nullopt, std::nullopt, KernelWord::kPowerDown},
                   "",
                   "guest power-off"},
        ReasonCase{
            "AdoptedMarker", {std::nullopt, 3, KernelWord::kNone}, "", "guest exited with code 3"},
        ReasonCase{"Adopted",
                   {std::nullopt, std::nullopt, KernelWord::kNone},
                   "x",
                   "VMM ended, end not seen"},
        ReasonCase{"Signal",
                   {kSignal9, std::nullopt, KernelWord::kNone},
                   "x",
                   "VMM killed by signal 9 (SIGKILL)"},
        ReasonCase{"Core",
                   {kCoreDumpOf6, std::nullopt, KernelWord::kNone},
                   "x",
                   "VMM killed by signal 6 (SIGABRT)"},
        ReasonCase{"RealTimeSignal",
                   {40, std::nullopt, KernelWord::kNone},
                   "",
                   "VMM killed by signal 40 (unknown)"},
        ReasonCase{"Status",
                   {kStatus2, std::nullopt, KernelWord::kNone},
                   "no disk",
                   "VMM exited with status 2: no disk"},
        ReasonCase{"HaltedElsewhere",
                   {kSignal9, std::nullopt, KernelWord::kHalted},
                   "",
                   "VMM killed by signal 9 (SIGKILL)"},
        ReasonCase{"RebootEnds", {0, std::nullopt, KernelWord::kNone, true}, "", "guest reboot"},
        ReasonCase{"RebootLine", {0, std::nullopt, KernelWord::kRestart, true}, "", "guest reboot"},
        ReasonCase{"AdoptedReboot",
                   {std::nullopt, std::nullopt, KernelWord::kRestart, true},
                   "",
                   "guest reboot"},
        ReasonCase{"RebootLineAndSignal",
                   {kSignal9, std::nullopt, KernelWord::kRestart, true},
                   "",
                   "VMM killed by signal 9 (SIGKILL)"},
        ReasonCase{"MarkerBeforeReboot",
                   {0, 4, KernelWord::kRestart, true},
                   "",
                   "guest exited with code 4"},
        ReasonCase{"HaltedAndEnded",
                   {kSignal9, std::nullopt, KernelWord::kHalted, true},
                   "",
                   "guest power-off"},
        ReasonCase{"StatusNoLog",
                   {kStatus2, std::nullopt, KernelWord::kNone},
                   "",
                   "VMM exited with status 2"}),
    [](const auto& p) { return std::string(p.param.name); });

Identity example() {
  Identity identity;
  identity.boot_id = BootId("b-1");
  identity.process = {.pid = 5, .start_time = 6};
  return identity;
}

TEST(ExitRecordTest, RendersAllFields) {
  EXPECT_EQ(render_exit_record(example(), {9, std::nullopt, KernelWord::kNone}, "T", "a \"b\" \\ c")
                .view(),
            "{\"boot_id\":\"b-1\",\"pid\":5,\"start_time\":6,\"ended_at\":\"T\","
            "\"wait_status\":9,\"guest_exit\":null,\"reason\":\"a \\\"b\\\" \\\\ c\"}\n");
  EXPECT_EQ(render_exit_record(example(), {std::nullopt, 1, KernelWord::kNone}, "T", "r").view(),
            "{\"boot_id\":\"b-1\",\"pid\":5,\"start_time\":6,\"ended_at\":\"T\","
            "\"wait_status\":null,\"guest_exit\":1,\"reason\":\"r\"}\n");
}

TEST(ExitRecordTest, HoldsTheLongestReason) {
  const std::string reason(512, '"');
  EXPECT_TRUE(render_exit_record(example(), {}, "T", reason).view().ends_with("\\\"\"}\n"));
}

}  // namespace
}  // namespace cocoon::shim
