// SPDX-License-Identifier: Apache-2.0
// Pausing, saving and loading a Cloud Hypervisor guest (spec 04 §17–§20, 03 §26).
#include <sys/stat.h>

#include "sys/files.h"
#include "vmm/api_client.h"
#include "vmm/cloud_hypervisor/backend.h"
#include "vmm/cloud_hypervisor/devices.h"
#include "vmm/cloud_hypervisor/original.h"
#include "vmm/cloud_hypervisor/payload.h"
#include "vmm/cloud_hypervisor/saved_state.h"
#include "vmm/cloud_hypervisor/snapshot.h"
#include "vmm/cloud_hypervisor/version.h"

namespace cocoon::vmm::cloud_hypervisor {
namespace {

constexpr VmmDoor kDoor{"Cloud Hypervisor", kApiSocket};
constexpr std::size_t kMaxConfig = std::size_t{256} << 10;

// A word of an answer, or "".
std::string word_of(const nlohmann::json& answer, const char* key) {
  constexpr std::size_t kMaxWord = 64;
  if (!answer.is_object() || !answer.contains(key) || !answer[key].is_string()) return {};
  return answer[key].get_ref<const std::string&>().substr(0, kMaxWord);
}

// What runs may be older than what is installed by now.
Result<void> check_running_version(ApiClient& client, Deadline deadline) {
  auto answer = COCOON_TRY(client.call({"GET", "/api/v1/vmm.ping", nullptr}, deadline));
  return check_can_save(
      COCOON_TRY(parse_version("cloud-hypervisor v" + word_of(answer, "version"))));
}

// A step that the VMM refuses (500) where it has been made already.
Result<void> bring_to(ApiClient& client, const char* step, std::string_view state,
                      Deadline deadline) {
  auto told = client.call({"PUT", step, nullptr}, deadline);
  if (told) return {};
  if (told.error().kind != ErrorKind::kVmm) return pass(std::move(told).error());
  auto info = client.call({"GET", "/api/v1/vm.info", nullptr}, deadline);
  if (info && word_of(*info, "state") == state) return {};
  return pass(std::move(told).error());
}

Result<std::string> read_member(const std::filesystem::path& dir, const char* name,
                                std::size_t limit) {
  sys::UniqueFd fd = COCOON_TRY(sys::open_dir(dir));
  sys::UniqueFd file =
      COCOON_TRY(sys::open_beneath(fd.get(), name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
  struct stat info {};
  if (fstat(file.get(), &info) != 0) return fail_errno(name);
  if (!S_ISREG(info.st_mode) || static_cast<std::uint64_t>(info.st_size) > limit) {
    return fail(ErrorKind::kCorrupt, "{}: no file of at most {} bytes", name, limit);
  }
  return sys::read_fd(file.get(), limit);
}

// The two files that a snapshot's guest with so many vCPUs has.
Result<SavedTexts> read_texts(const std::filesystem::path& dir, int vcpus) {
  SavedTexts texts;
  texts.config = COCOON_TRY(read_member(dir, kConfigFile, kMaxConfig));
  texts.state = COCOON_TRY(read_member(dir, kStateFile, max_state_bytes(vcpus)));
  return texts;
}

Result<void> check_memory_member(const SavedVm& saved, const Plan& plan) {
  std::string name = saved_files(*saved.vm).memory;
  struct stat info {};
  if (lstat((saved.dir / name).c_str(), &info) != 0) return fail_errno(name);
  std::int64_t bytes = saved.memory_bytes.value_or(info.st_size);
  if (S_ISREG(info.st_mode) && bytes == plan.memory) return {};
  return fail(ErrorKind::kCorrupt, "{}: {} bytes, not the {} of the guest's memory", name, bytes,
              plan.memory);
}

}  // namespace

Result<void> CloudHypervisorBackend::pause(const RunningVmm& vmm, Deadline deadline) const {
  ApiClient client(vmm, kDoor);
  COCOON_TRY(check_running_version(client, deadline), "pause the guest");
  COCOON_TRY(bring_to(client, "/api/v1/vm.pause", "Paused", deadline), "pause the guest");
  return {};
}

Result<void> CloudHypervisorBackend::resume(const RunningVmm& vmm, Deadline deadline) const {
  ApiClient client(vmm, kDoor);
  COCOON_TRY(bring_to(client, "/api/v1/vm.resume", "Running", deadline), "resume the guest");
  return {};
}

Result<void> CloudHypervisorBackend::save(const model::Vm& /*vm*/, const RunningVmm& vmm,
                                          const std::string& dir, Deadline deadline) const {
  ApiClient client(vmm, kDoor);
  ApiCall call{"PUT", "/api/v1/vm.snapshot", {{"destination_url", "file://" + dir}}};
  COCOON_TRY(client.call(call, deadline), "save the guest");
  return {};
}

Result<SavedFiles> CloudHypervisorBackend::saved_files(const model::Vm& vm) const {
  return cloud_hypervisor::saved_files(vm);
}

Result<LoadPlan> CloudHypervisorBackend::plan_load(const model::Vm& vm, const SavedVm& saved,
                                                   Accel accel, RestoreMode mode) const {
  Plan plan = COCOON_TRY(parse_plan(saved.vm->device_plan), "read the snapshot");
  Host host = COCOON_TRY(look_at_host(plan, accel));
  MemoryPlan memory =
      COCOON_TRY(plan_memory(vm, cloud_hypervisor::saved_files(*saved.vm), mode, host.version));
  if (memory.mode == RestoreMode::kOnDemand) {
    COCOON_TRY(check_userfaultfd(look_at_userfaultfd(vm.uid)), "restore mode ondemand");
  }
  COCOON_TRY(check_memory_member(saved, plan), "read the snapshot");
  SavedTexts texts = COCOON_TRY(read_texts(saved.dir, plan.vcpus), "read the snapshot");
  LoadPlan load = COCOON_TRY(render_load(vm, *saved.vm, texts, memory, host, saved.swap_nics),
                             "read the snapshot");
  load.launch.program = COCOON_TRY(find_program(binary_));
  return load;
}

Result<OriginalGuest> CloudHypervisorBackend::take_original(
    const model::Vm& vm, const OriginalPaths& paths, const std::filesystem::path& dir) const {
  SavedTexts texts = COCOON_TRY(read_texts(dir, kMaxCpus));  // how many it has is not known yet
  SavedGuest guest = COCOON_TRY(from_original(vm, paths, texts));
  Plan plan = COCOON_TRY(parse_plan(guest.vm.device_plan));
  COCOON_TRY(check_memory_member({&guest.vm, dir, {}}, plan));
  return OriginalGuest{
      std::move(guest.vm),
      {{kConfigFile, std::move(guest.texts.config)}, {kStateFile, std::move(guest.texts.state)}}};
}

Result<std::vector<LoadText>> CloudHypervisorBackend::render_original(
    const model::Vm& vm, const OriginalPaths& paths, const std::filesystem::path& dir) const {
  Plan plan = COCOON_TRY(parse_plan(vm.device_plan));
  SavedTexts texts = COCOON_TRY(read_texts(dir, plan.vcpus));
  texts = COCOON_TRY(to_original(vm, paths, texts));
  return std::vector<LoadText>{{kConfigFile, std::move(texts.config)},
                               {kStateFile, std::move(texts.state)}};
}

Result<void> CloudHypervisorBackend::finish_load(const LoadPlan& plan, const RunningVmm& vmm,
                                                 Deadline deadline) const {
  COCOON_TRY(make_calls(plan.launch.calls, vmm, kDoor, deadline));
  ApiClient client(vmm, kDoor);
  for (const std::string& id : plan.leaving) {
    COCOON_TRY(wait_gone(client, id, vmm, deadline), "exchange the guest's NICs");
  }
  return {};
}

}  // namespace cocoon::vmm::cloud_hypervisor
