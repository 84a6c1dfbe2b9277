// SPDX-License-Identifier: Apache-2.0
#include "model/exit_record.h"

#include "model/json_fields.h"

namespace cocoon::model {
namespace {

constexpr std::string_view kGuestReboot = "guest reboot";  // the shim's word

}  // namespace

Result<ExitRecord> parse_exit_record(std::string_view text) {
  auto json = nlohmann::json::parse(text, nullptr, false);
  if (json.is_discarded()) return fail(ErrorKind::kCorrupt, "exit record: not JSON");
  ExitRecord exit;
  int wait_status = 0;
  int guest_exit = 0;
  Fields fields(json, "exit record");
  fields.get("boot_id", exit.process.boot_id);
  fields.get("pid", exit.process.pid);
  fields.get("start_time", exit.process.start_time);
  fields.get("ended_at", exit.ended_at);
  fields.get("wait_status", wait_status);
  fields.get("guest_exit", guest_exit);
  fields.get("reason", exit.reason);
  COCOON_TRY(fields.check());
  if (fields.find("wait_status") != nullptr) exit.wait_status = wait_status;
  if (fields.find("guest_exit") != nullptr) exit.guest_exit = guest_exit;
  return exit;
}

void apply_exit(Vm& vm, const ExitRecord& exit, bool asked) {
  // Firecracker's guests are asked to stop by Ctrl-Alt-Del, so they reboot when they are asked.
  bool rebooted = exit.reason == kGuestReboot;
  bool orderly =
      exit.guest_exit || exit.wait_status == 0 || exit.reason == "guest power-off" || rebooted;
  vm.state = orderly || asked ? VmState::kStopped : VmState::kError;
  vm.exit_code = exit.guest_exit;
  vm.exit_reason = asked && (!orderly || rebooted) ? "stopped" : exit.reason;
  vm.stopped_at = exit.ended_at;
  vm.updated_at = exit.ended_at;
  vm.vmm = {};
}

}  // namespace cocoon::model
