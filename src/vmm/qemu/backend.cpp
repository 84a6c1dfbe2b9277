// SPDX-License-Identifier: Apache-2.0
#include "vmm/qemu/backend.h"

#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "base/text.h"
#include "sys/files.h"
#include "sys/unix_socket.h"
#include "vmm/qemu/argv.h"
#include "vmm/qemu/plan.h"
#include "vmm/qemu/qmp_client.h"
#include "vmm/qemu/version.h"

namespace cocoon::vmm::qemu {
namespace {

constexpr Milliseconds kPoll{2};
constexpr Milliseconds kConnectLimit{2'000};
// The power button is lost on a guest that does not listen yet. The first repetition comes soon,
// because most guests that miss one are just booting.
constexpr Milliseconds kFirstRepeat{1'000};
constexpr Milliseconds kRepeat{3'000};
constexpr std::size_t kLogTail = 4096;

// The last words of a VMM, from this launch on.
std::string last_words(const RunningVmm& vmm) {
  struct stat info {};
  if (stat(vmm.log.c_str(), &info) != 0) return {};
  auto size = static_cast<std::uint64_t>(info.st_size);
  // The log was emptied in between (it is bounded): everything in it is new.
  std::uint64_t start = size < vmm.log_offset ? 0 : vmm.log_offset;
  std::string tail = sys::read_tail(
      vmm.log, static_cast<std::size_t>(std::min<std::uint64_t>(size - start, kLogTail)));
  std::string lines = last_lines(trim(tail), 3);
  std::replace(lines.begin(), lines.end(), '\n', ';');  // an error is one line
  return lines;
}

Failure died(const RunningVmm& vmm) {
  std::string words = last_words(vmm);
  return fail(ErrorKind::kVmm, "QEMU ended{}{}", words.empty() ? "" : ": ", words);
}

Result<bool> has_ended(const RunningVmm& vmm, Milliseconds wait) {
  if (vmm.handle == nullptr) return true;
  return vmm.handle->wait_exit(wait);
}

bool is_gone(const Error& error) {
  return error.kind == ErrorKind::kSystem && error.saved_errno == ECONNRESET;
}

// Not yet listening, or its queue of connections is full: worth another try.
bool may_come(const Error& error) {
  return error.kind == ErrorKind::kSystem &&
         (error.saved_errno == ENOENT || error.saved_errno == ECONNREFUSED ||
          error.saved_errno == EAGAIN);
}

// Somebody else is connected right now, or the process is about to end.
bool is_transient(const Error& error) {
  return error.kind == ErrorKind::kTimeout || is_gone(error);
}

// Connects to this VMM and nobody else. kVmm when the process ends meanwhile.
Result<sys::UniqueFd> connect_vmm(const RunningVmm& vmm, Deadline deadline) {
  while (true) {
    // Without blocking: a hostile VMM could let its queue of connections run full.
    auto socket = sys::connect_unix(vmm.vm_dir, kQmpSocket, SOCK_STREAM | SOCK_NONBLOCK);
    if (socket) {
      pid_t peer = COCOON_TRY(sys::peer_pid(socket->get()));
      if (peer == vmm.process.pid) return std::move(*socket);
      return fail(ErrorKind::kCorrupt, "{} belongs to process {}, not to the VMM {}", kQmpSocket,
                  peer, vmm.process.pid);
    }
    if (!may_come(socket.error())) return pass(socket.error());
    if (COCOON_TRY(has_ended(vmm, kPoll))) return died(vmm);
    if (time_left(deadline).count() == 0) {
      return fail(ErrorKind::kTimeout, "no way to QEMU in time: {}", socket.error().cause);
    }
  }
}

Result<QmpClient> open_client(const RunningVmm& vmm, Deadline deadline) {
  sys::UniqueFd socket = COCOON_TRY(connect_vmm(vmm, deadline));
  return QmpClient::open(std::move(socket), deadline);
}

// A broken connection during a start means that QEMU is dying; what it wrote says why.
Failure explain_failed_start(const RunningVmm& vmm, Error error) {
  bool broken = is_gone(error);
  if (broken) {
    auto ended = has_ended(vmm, kConnectLimit);
    if (ended && *ended) return died(vmm);
  }
  if (error.kind == ErrorKind::kTimeout || broken) {
    std::string words = last_words(vmm);
    if (!words.empty()) error.cause += fmt::format(" (QEMU said: {})", words);
  }
  return pass(std::move(error), "start QEMU");
}

Result<VmmStatus> query_status(QmpClient& client, Deadline deadline) {
  nlohmann::json answer = COCOON_TRY(client.execute("query-status", nullptr, deadline));
  const char* what = "QMP query-status: no status in the answer";
  if (!answer.is_object()) return fail(ErrorKind::kCorrupt, "{}", what);
  auto status = answer.find("status");
  auto running = answer.find("running");
  if (status == answer.end() || !status->is_string() || running == answer.end() ||
      !running->is_boolean()) {
    return fail(ErrorKind::kCorrupt, "{}", what);
  }
  VmmStatus out;
  constexpr std::size_t kMaxWord = 64;
  out.detail = status->get_ref<const std::string&>().substr(0, kMaxWord);
  out.running = running->get<bool>();
  out.paused = out.detail == "paused" || out.detail == "postmigrate";
  return out;
}

Result<void> wait_until_running(const RunningVmm& vmm, Deadline deadline) {
  QmpClient client = COCOON_TRY(open_client(vmm, deadline));
  while (true) {
    VmmStatus status = COCOON_TRY(query_status(client, deadline));
    if (status.running) return {};
    if (status.detail != "prelaunch") {
      return fail(ErrorKind::kVmm, "the guest does not run; QEMU says \"{}\"", status.detail);
    }
    if (COCOON_TRY(has_ended(vmm, kPoll))) return died(vmm);
    if (time_left(deadline).count() == 0) {
      return fail(ErrorKind::kTimeout, "the guest does not run yet");
    }
  }
}

Deadline soonest(Deadline deadline, Milliseconds limit) {
  return std::min(deadline, deadline_in(limit));
}

Result<void> press_power_button(const RunningVmm& vmm, Deadline deadline) {
  QmpClient client = COCOON_TRY(open_client(vmm, deadline));
  COCOON_TRY(client.execute("system_powerdown", nullptr, deadline));
  return {};
}

}  // namespace

Result<Capabilities> QemuBackend::capabilities() const {
  std::string path = COCOON_TRY(find_binary(binary_));
  Capabilities out;
  out.version = COCOON_TRY(installed_version(path, run_dir_));
  if (out.version < kOldest) {
    return fail(ErrorKind::kUnsupported, "{} is version {}; {}.{} or newer is needed", path,
                out.version.to_string(), kOldest.major, kOldest.minor);
  }
  out.direct_boot = true;
  out.uefi = true;
  out.qcow2 = true;
  out.disk_serials = true;
  out.per_disk_direct_io = true;
  out.hotplug = true;
  out.reboot_in_place = true;
  out.graceful_stop = GracefulStop::kPowerButton;
  out.max_disks = kFreeSlots;
  out.max_cpus = kMaxCpus;
  return out;
}

Result<Firmware> QemuBackend::firmware() const {
  // The 4 MiB code needs the 4 MiB variables; without secure boot it needs no SMM (spec 06 §6).
  Firmware firmware{"/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"};
  for (const auto& file : {firmware.code, firmware.variables}) {
    if (sys::exists(file)) continue;
    return fail(ErrorKind::kUnsupported, "no UEFI firmware: {} is missing; the package ovmf has it",
                file.native());
  }
  return firmware;
}

Result<model::DevicePlan> QemuBackend::plan_devices(const model::Vm& vm) const {
  Capabilities able = COCOON_TRY(capabilities());
  Plan plan = COCOON_TRY(make_plan(vm, able.version), "plan the devices");
  return plan_to_json(plan);
}

Result<Launch> QemuBackend::plan_launch(const model::Vm& vm, Accel accel) const {
  Capabilities able = COCOON_TRY(capabilities());
  Plan plan = COCOON_TRY(parse_plan(vm.device_plan));
  if (able.version < plan.machine) {
    return fail(
        ErrorKind::kUnsupported,
        "the VM was made with QEMU {}.{}, but {} is installed; install that version or newer",
        plan.machine.major, plan.machine.minor, able.version.to_string());
  }
  Launch launch = COCOON_TRY(render_launch(vm, plan, accel), "plan the launch");
  launch.program = COCOON_TRY(find_binary(binary_));
  return launch;
}

Result<void> QemuBackend::finish_start(const model::Vm&, const RunningVmm& vmm,
                                       Deadline deadline) const {
  auto result = wait_until_running(vmm, deadline);
  if (!result) return explain_failed_start(vmm, std::move(result).error());
  return {};
}

Result<bool> QemuBackend::ask_guest_to_stop(const RunningVmm& vmm, Deadline deadline) const {
  Milliseconds pause = kFirstRepeat;
  while (true) {
    // A connection of its own each time: QEMU serves one client, and a forced stop must get in.
    auto pressed = press_power_button(vmm, soonest(deadline, kConnectLimit));
    if (!pressed && pressed.error().kind == ErrorKind::kInterrupted) return pass(pressed.error());
    if (COCOON_TRY(has_ended(vmm, std::min(pause, time_left(deadline))))) return true;
    if (!pressed && !is_transient(pressed.error())) {
      return pass(pressed.error(), "press the guest's power button");
    }
    if (time_left(deadline).count() == 0) return false;
    pause = kRepeat;
  }
}

Result<void> QemuBackend::quit(const RunningVmm& vmm, Deadline deadline) const {
  auto client = open_client(vmm, deadline);
  auto answer = client ? client->execute("quit", nullptr, deadline)
                       : Result<nlohmann::json>(pass(client.error()));
  // The answer may be lost in the end that it announces.
  if (answer || is_gone(answer.error())) return {};
  if (COCOON_TRY(has_ended(vmm, Milliseconds(0)))) return {};
  return pass(answer.error(), "tell QEMU to quit");
}

AgentSocket QemuBackend::agent_socket() const { return {kAgentSocket, true}; }

Result<VmmStatus> QemuBackend::status(const RunningVmm& vmm, Deadline deadline) const {
  QmpClient client = COCOON_TRY(open_client(vmm, deadline), "ask QEMU for its status");
  return query_status(client, deadline);
}

}  // namespace cocoon::vmm::qemu
