// SPDX-License-Identifier: Apache-2.0
#include "model/exit_record.h"

#include <gtest/gtest.h>

namespace cocoon::model {
namespace {

Vm running_vm() {
  Vm vm;
  vm.state = VmState::kRunning;
  vm.vmm = {42, 7, "boot"};
  return vm;
}

TEST(ExitRecord, ParsesWhatTheShimWrites) {
  auto exit = parse_exit_record(
      R"({"boot_id":"boot","pid":42,"start_time":7,"ended_at":"2026-01-01T00:00:00Z",)"
      R"("wait_status":null,"guest_exit":3,"reason":"guest exited with code 3"})");
  ASSERT_TRUE(exit) << exit.error().to_string();
  EXPECT_EQ(exit->process, (Process{42, 7, "boot"}));
  EXPECT_EQ(exit->guest_exit, 3);
  EXPECT_FALSE(exit->wait_status);
}

TEST(ExitRecord, RefusesDamage) {
  EXPECT_FALSE(parse_exit_record("{"));
  EXPECT_FALSE(parse_exit_record("[]"));
  EXPECT_FALSE(parse_exit_record(R"({"pid":"x"})"));
}

struct EndCase {
  const char* name;
  std::optional<int> wait_status;
  std::optional<int> guest_exit;
  const char* reason;
  bool asked;
  VmState want;
};

class ApplyExit : public testing::TestWithParam<EndCase> {};

TEST_P(ApplyExit, ChoosesTheState) {
  const EndCase& c = GetParam();
  Vm vm = running_vm();
  apply_exit(vm, {vm.vmm, "2026-01-01T00:00:00Z", c.wait_status, c.guest_exit, c.reason}, c.asked);
  EXPECT_EQ(vm.state, c.want);
  EXPECT_EQ(vm.exit_code, c.guest_exit);
  EXPECT_EQ(vm.vmm.pid, 0);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, ApplyExit,
    testing::Values(EndCase{"marker", 0, 7, "guest exited with code 7", false, VmState::kStopped},
                    EndCase{"power_off", 0, {}, "guest power-off", false, VmState::kStopped},
                    EndCase{
                        "adopted_power_off", {}, {}, "guest power-off", false, VmState::kStopped},
                    EndCase{"halted", 9, {}, "guest power-off", false, VmState::kStopped},
                    EndCase{"guest_reboot", 0, {}, "guest reboot", false, VmState::kStopped},
                    EndCase{"adopted_reboot", {}, {}, "guest reboot", false, VmState::kStopped},
                    EndCase{"signal", 9, {}, "VMM killed by signal 9", false, VmState::kError},
                    EndCase{"status", 256, {}, "VMM exited with status 1", false, VmState::kError},
                    EndCase{"unseen", {}, {}, "end not seen", false, VmState::kError},
                    EndCase{"asked", 9, {}, "VMM killed by signal 9", true, VmState::kStopped}),
    [](const auto& test) { return std::string(test.param.name); });

TEST(ApplyExitReason, RebootThatWasAskedForIsAStop) {
  Vm vm = running_vm();
  apply_exit(vm, {vm.vmm, "2026-01-01T00:00:00Z", 0, {}, "guest reboot"}, true);
  EXPECT_EQ(vm.exit_reason, "stopped");
  vm = running_vm();
  apply_exit(vm, {vm.vmm, "2026-01-01T00:00:00Z", 0, {}, "guest reboot"}, false);
  EXPECT_EQ(vm.exit_reason, "guest reboot");
}

}  // namespace
}  // namespace cocoon::model
