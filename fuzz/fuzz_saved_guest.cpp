// SPDX-License-Identifier: Apache-2.0
// What a Cloud Hypervisor saved, out of a snapshot from a stranger: 'c' and a config.json, or 's'
// and a state.json; or 'o' and both as the original engine has them, with a NUL in between.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "vmm/cloud_hypervisor/original.h"
#include "vmm/cloud_hypervisor/saved_config.h"
#include "vmm/cloud_hypervisor/saved_state.h"

namespace {

using namespace cocoon;
using namespace cocoon::vmm::cloud_hypervisor;

model::Disk disk(const char* path, const char* serial, bool layer) {
  model::Disk out;
  out.path = path;
  out.serial = serial;
  out.read_only = layer;
  out.role = layer ? model::DiskRole::kLayer : model::DiskRole::kCow;
  return out;
}

model::Vm record() {
  model::Vm vm;
  vm.id = "K3QZ7WJ5M2XA4TBN6RCVYDHEPL";
  vm.config.cpu = 1;
  vm.config.memory = std::int64_t{512} << 20;
  vm.boot.kernel = "kernel";
  vm.boot.initrd = "initrd";
  vm.boot.boot_kit = true;
  vm.disks = {disk("layer0.erofs", "cocoon-layer0", true), disk("cow.raw", "cocoon-cow", false)};
  model::Nic nic;
  nic.tap = "tap0";
  nic.mac = "02:00:00:00:00:01";
  vm.nics = {nic};
  return vm;
}

// Nothing in what is made names a file but those of the record.
void check_config(const nlohmann::ordered_json& config) {
  std::string text = config.dump();
  for (auto at = text.find("\"/"); at != std::string::npos; at = text.find("\"/", at + 1)) {
    if (text.compare(at, 14, "\"/dev/urandom\"") != 0) abort();
  }
}

// What is taken over from the original is what a save of ours would have left.
void take_original(model::Vm vm, std::string_view text) {
  vm.nics.clear();
  vm.config.cpu = 0;
  vm.config.memory = 0;
  vmm::OriginalPaths paths;
  paths.disks = {"/o/layer.erofs", "/o/cow.raw"};
  paths.kernel = "/o/vmlinuz";
  paths.initrd = "/o/initrd.img";
  std::size_t middle = std::min(text.find('\0'), text.size());
  SavedTexts texts{std::string(text.substr(0, middle)),
                   std::string(text.substr(std::min(middle + 1, text.size())))};
  auto guest = from_original(vm, paths, texts);
  if (!guest) return;
  check_config(nlohmann::ordered_json::parse(guest->texts.config));
  auto plan = parse_plan(guest->vm.device_plan);
  if (!plan) abort();
  auto config = parse_saved_config(guest->texts.config, guest->vm, *plan);
  if (!config || !parse_saved_state(guest->texts.state, guest->vm, *plan, *config)) abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  static const model::Vm vm = record();
  static const Plan plan = *make_plan(vm);
  std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] == 'c') {
    auto saved = parse_saved_config(text, vm, plan);
    if (!saved) return 0;
    auto made = render_load_config(vm, plan, {}, *saved, MemoryHome::kPrivateFile, "memory-ranges");
    if (!made) abort();
    check_config(*made);
  } else if (data[0] == 'o') {
    take_original(vm, text);
  } else {
    SavedConfig config;
    config.nics = {{"net0"}};
    config.vsock_id = "_vsock1";
    auto saved = parse_saved_state(text, vm, plan, config);
    if (saved) (void)render_load_state(std::move(*saved), vm, MemoryHome::kPrivateFile);
  }
  return 0;
}
