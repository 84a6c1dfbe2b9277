// SPDX-License-Identifier: Apache-2.0
#include "vmm/cloud_hypervisor/original.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "vmm/cloud_hypervisor/members.h"
#include "vmm/cloud_hypervisor/payload.h"
#include "vmm/cloud_hypervisor/plan.h"
#include "vmm/cloud_hypervisor/saved_config.h"
#include "vmm/cloud_hypervisor/saved_state.h"

namespace cocoon::vmm::cloud_hypervisor {
namespace {

using nlohmann::json;
using Json = nlohmann::ordered_json;

constexpr const char* kUrandom = "/dev/urandom";

template <class Any>
std::string dump(const Any& value) {
  return value.dump(-1, ' ', false, Any::error_handler_t::replace);
}

std::string part(std::string_view name) { return fmt::format("{}: {}", kConfigFile, name); }

bool boots_firmware(const model::Vm& vm) { return !vm.boot.firmware.empty(); }

// The member must have the value of the original, and gets ours. Absent where there is none.
Result<void> replace(json& object, const std::string& name, const char* key,
                     const std::string& theirs, const std::string& ours) {
  Members members(object, name);
  if (theirs.empty()) {
    if (members.find(key) != nullptr) members.refuse(key, "is not expected there");
    return members.check();
  }
  members.same(key, theirs);
  COCOON_TRY(members.check());
  object[key] = ours;
  return {};
}

// What the host alone knows: of the expected kind, and gone.
Result<void> drop_texts(json& object, const std::string& name,
                        std::initializer_list<const char*> keys) {
  Members members(object, name);
  for (const char* key : keys) members.text(key);
  COCOON_TRY(members.check());
  for (const char* key : keys) object.erase(key);
  return {};
}

Result<void> take_payload(json& config, const model::Vm& vm, const OriginalPaths& paths) {
  if (!config.contains("payload")) return {};  // said later
  json& payload = config["payload"];
  std::string name = part("payload");
  COCOON_TRY(replace(payload, name, "kernel", paths.kernel, vm.boot.kernel));
  COCOON_TRY(replace(payload, name, "initramfs", paths.initrd, vm.boot.initrd));
  return replace(payload, name, "firmware", paths.firmware, vm.boot.firmware);
}

Result<DiskPlan> take_disk(json& object, const std::string& name, const std::string& theirs,
                           const model::Disk& disk) {
  COCOON_TRY(replace(object, name, "path", theirs, disk.path));
  Members members(object, name);
  DiskPlan plan;
  plan.path = disk.path;
  plan.id = members.text("id");
  plan.queues = static_cast<int>(members.number("num_queues", UINT16_MAX, 1));
  plan.queue_size = static_cast<int>(members.number("queue_size", UINT16_MAX));
  // Which of the host's processors serve a queue.
  if (members.find("queue_affinity") != nullptr) members.list("queue_affinity");
  COCOON_TRY(members.check());
  object.erase("queue_affinity");
  return plan;
}

Result<void> take_disks(json& config, const model::Vm& vm, const OriginalPaths& paths, Plan& plan) {
  Members members(config, kConfigFile);
  std::size_t count = members.list("disks").size();
  COCOON_TRY(members.check());
  if (count != vm.disks.size() || count != paths.disks.size()) {
    return fail(ErrorKind::kCorrupt, "{} has {} disks, but the sidecar has {}", kConfigFile, count,
                vm.disks.size());
  }
  for (std::size_t index = 0; index < count; ++index) {
    plan.disks.push_back(
        COCOON_TRY(take_disk(config["disks"][index], part(fmt::format("disks[{}]", index)),
                             paths.disks[index], vm.disks[index])));
  }
  return {};
}

// The TAP is ours, and so is its address: to set one takes rights that a VMM has not.
Result<void> take_nic(json& object, std::size_t index, model::Vm& vm, Plan& plan) {
  std::string name = part(fmt::format("net[{}]", index));
  COCOON_TRY(drop_texts(object, name, {"tap", "host_mac", "ip", "mask"}));
  Members members(object, name);
  constexpr std::uint64_t kMostQueues = 256;
  model::Nic nic;
  nic.backend = model::kCniNic;
  nic.tap = fmt::format("tap{}", index);
  nic.mac = to_lower(members.text("mac"));
  nic.num_queues = static_cast<int>(members.number("num_queues", kMostQueues, 2));
  nic.queue_size = static_cast<int>(members.number("queue_size", UINT16_MAX));
  if (!model::is_mac(nic.mac)) members.refuse("mac", "is no hardware address");
  COCOON_TRY(members.check());
  object["tap"] = nic.tap;
  object["mac"] = nic.mac;
  plan.nics.push_back({nic.queue_pairs(), nic.queue_size});
  vm.nics.push_back(std::move(nic));
  return {};
}

Result<void> take_nics(json& config, model::Vm& vm, Plan& plan) {
  Members members(config, kConfigFile);
  if (members.find("net") == nullptr) return {};
  std::size_t count = members.list("net").size();
  COCOON_TRY(members.check());
  if (count > static_cast<std::size_t>(model::kMaxNics)) {
    return fail(ErrorKind::kCorrupt, "{} has {} NICs (net); at most {} are taken", kConfigFile,
                count, model::kMaxNics);
  }
  for (std::size_t index = 0; index < count; ++index) {
    COCOON_TRY(take_nic(config["net"][index], index, vm, plan));
  }
  return {};
}

// Where the console's other end was is the old host's affair; that there is a device is not.
Result<void> take_console(json& config, const char* key, bool on) {
  if (!config.contains(key)) return {};  // said later
  json& object = config[key];
  std::string name = part(key);
  COCOON_TRY(drop_texts(object, name, {"file", "socket"}));
  constexpr std::array<std::string_view, 4> kOn{"Pty", "Socket", "Tty", "Null"};
  constexpr std::array<std::string_view, 2> kOff{"Off", "Null"};
  Members members(object, name);
  std::string mode = members.text("mode");
  bool good = on ? std::find(kOn.begin(), kOn.end(), mode) != kOn.end()
                 : std::find(kOff.begin(), kOff.end(), mode) != kOff.end();
  // A virtio console that leads nowhere would be a device all the same.
  if (!on && mode == "Null" && std::string_view(key) == "console") good = false;
  if (!good) members.refuse("mode", fmt::format("is \"{}\"", mode.substr(0, 16)));
  COCOON_TRY(members.check());
  object["mode"] = on ? "Tty" : "Off";
  return {};
}

// Sources and sockets of the host become ours.
Result<void> take_host_files(json& config, const model::Vm& vm, Plan& plan) {
  if (config.contains("rng") && config["rng"].is_object()) {
    COCOON_TRY(drop_texts(config["rng"], part("rng"), {"src"}));
    config["rng"]["src"] = kUrandom;
  }
  plan.vsock = config.contains("vsock") && !config["vsock"].is_null();
  if (plan.vsock) {
    COCOON_TRY(drop_texts(config["vsock"], part("vsock"), {"socket"}));
    config["vsock"]["socket"] = kVsockSocket;
  }
  COCOON_TRY(take_console(config, "serial", boots_firmware(vm)));
  return take_console(config, "console", !boots_firmware(vm));
}

// A number that snapshot.json says, too (0: it does not).
Result<void> agree(std::string_view what, std::int64_t files, std::int64_t said) {
  if (said == 0 || files == said) return {};
  return fail(ErrorKind::kCorrupt, "{}: {} is {}, but snapshot.json says {}", kConfigFile, what,
              files, said);
}

// What the state's memory is. A guest whose clone asked for more has it from its next boot on: only
// its config says so then.
Result<std::int64_t> saved_memory(json& state) {
  std::string name = fmt::format("{}: memory-manager", kStateFile);
  Members root(state, kStateFile);
  Members parts(root.object("snapshots"), kStateFile);
  Members manager(parts.object("memory-manager"), name);
  Members data(manager.object("snapshot_data"), name);
  const json* text = data.find("state");
  if (text == nullptr || !text->is_string()) data.refuse("state", "is no text");
  for (const Members* members : {&root, &parts, &manager, &data}) COCOON_TRY(members->check());
  json inner = COCOON_TRY(parse_exact(text->get_ref<const std::string&>(), name));
  Members memory(inner, name);
  std::uint64_t bytes = memory.number("boot_ram", INT64_MAX);
  COCOON_TRY(memory.check());
  return static_cast<std::int64_t>(bytes);
}

Result<void> take_size(json& config, json& state, model::Vm& vm, Plan& plan) {
  Members members(config, kConfigFile);
  Members cpus(members.object("cpus"), part("cpus"));
  Members memory(members.object("memory"), part("memory"));
  plan.vcpus = static_cast<int>(cpus.number("boot_vcpus", kMaxCpus));
  auto asked = static_cast<std::int64_t>(memory.number("size", INT64_MAX));
  for (const Members* part : {&members, &cpus, &memory}) COCOON_TRY(part->check());
  COCOON_TRY(agree("cpus: boot_vcpus", plan.vcpus, vm.config.cpu));
  COCOON_TRY(agree("memory: size", asked, vm.config.memory));
  vm.config.cpu = plan.vcpus;
  vm.config.memory = asked;
  plan.memory = COCOON_TRY(saved_memory(state));
  if (plan.memory > asked) {
    return fail(ErrorKind::kCorrupt, "{}: memory: size is {}, but the saved memory has {} bytes",
                kConfigFile, asked, plan.memory);
  }
  config["memory"]["size"] = plan.memory;
  return {};
}

// The disk's own part of the state, in which its path stands: a text that holds JSON.
Result<void> set_disk_path(json& state, const std::string& id, const std::string& path) {
  std::string name = fmt::format("{}: {}", kStateFile, id);
  auto wrong = [&name](std::string_view what) {
    return fail(ErrorKind::kCorrupt, "{}: {}", name, what);
  };
  const json::json_pointer place =
      json::json_pointer("/snapshots/device-manager/snapshots") / id / "snapshot_data" / "state";
  if (!state.contains(place) || !state[place].is_string()) return wrong("no snapshot_data");
  json disk = COCOON_TRY(parse_exact(state[place].get_ref<const std::string&>(), name));
  bool has_path = disk.is_object() && disk.contains("disk_path") && disk["disk_path"].is_string();
  if (!has_path) return wrong("no disk_path");
  disk["disk_path"] = path;
  state[place] = dump(disk);
  return {};
}

void place_console(Json& config, const model::Vm& vm, const std::string& run_dir) {
  const Json off{{"mode", "Off"}};
  if (boots_firmware(vm)) {
    config["serial"] = {{"mode", "Socket"}, {"socket", run_dir + "/console.sock"}};
    config["console"] = off;
  } else {
    config["serial"] = off;
    config["console"] = {{"mode", "Pty"}};
  }
}

void place_files(Json& config, const model::Vm& vm, const OriginalPaths& paths) {
  Json& payload = config["payload"];
  for (auto [key, path] :
       {std::pair("kernel", &paths.kernel), std::pair("initramfs", &paths.initrd),
        std::pair("firmware", &paths.firmware)}) {
    if (payload.contains(key)) payload[key] = *path;
  }
  for (std::size_t index = 0; index < paths.disks.size(); ++index) {
    config["disks"][index]["path"] = paths.disks[index];
  }
  place_console(config, vm, paths.run_dir);
  if (config.contains("vsock")) config["vsock"]["socket"] = paths.vsock;
  // Of the guest that goes on there.
  config.erase("platform");
  // What was asked for; the state says what the guest has until it boots again.
  config["memory"]["size"] = vm.config.memory;
}

// Has the guest as many disks as there are paths? A mistake of the caller's otherwise.
Result<void> check_paths(const model::Vm& vm, const OriginalPaths& paths) {
  if (vm.disks.size() == paths.disks.size()) return {};
  return fail(ErrorKind::kInternal, "{} paths for {} disks", paths.disks.size(), vm.disks.size());
}

}  // namespace

Result<SavedGuest> from_original(const model::Vm& vm, const OriginalPaths& paths,
                                 const SavedTexts& texts) {
  COCOON_TRY(check_paths(vm, paths));
  json config = COCOON_TRY(parse_exact(texts.config, kConfigFile));
  json state = COCOON_TRY(parse_exact(texts.state, kStateFile));
  SavedGuest out;
  out.vm = vm;
  Plan plan;
  COCOON_TRY(take_size(config, state, out.vm, plan));
  COCOON_TRY(take_payload(config, vm, paths));
  COCOON_TRY(take_disks(config, vm, paths, plan));
  COCOON_TRY(take_nics(config, out.vm, plan));
  COCOON_TRY(take_host_files(config, vm, plan));
  out.vm.device_plan = plan_to_json(plan);
  COCOON_TRY(parse_plan(out.vm.device_plan), "{}", kConfigFile);
  COCOON_TRY(replan_size(plan, out.vm));  // what no clone could be
  // From here on it has to be what a save of ours would be, member by member.
  SavedConfig saved = COCOON_TRY(parse_saved_config(dump(config), out.vm, plan));
  for (const DiskPlan& disk : plan.disks) {
    COCOON_TRY(set_disk_path(state, disk.id, disk.path));
  }
  out.texts.state = dump(state);
  COCOON_TRY(parse_saved_state(out.texts.state, out.vm, plan, saved));
  out.texts.config =
      dump(COCOON_TRY(render_load_config(out.vm, plan, Host{}, saved, MemoryHome::kAnonymous, {})));
  return out;
}

Result<SavedTexts> to_original(const model::Vm& vm, const OriginalPaths& paths,
                               const SavedTexts& texts) {
  COCOON_TRY(check_paths(vm, paths));
  Plan plan = COCOON_TRY(parse_plan(vm.device_plan));
  if (plan.vcpus != vm.config.cpu) {
    return fail(ErrorKind::kUnsupported,
                "the original engine has no place for vCPUs that a guest gets at its next boot: {} "
                "run, and it has {} then",
                plan.vcpus, vm.config.cpu);
  }
  SavedConfig saved = COCOON_TRY(parse_saved_config(texts.config, vm, plan));
  SavedState parsed = COCOON_TRY(parse_saved_state(texts.state, vm, plan, saved));
  model::Vm anonymous = vm;
  anonymous.memory_backing.clear();
  Json config =
      COCOON_TRY(render_load_config(anonymous, plan, Host{}, saved, MemoryHome::kAnonymous, {}));
  place_files(config, vm, paths);
  std::string text = COCOON_TRY(render_load_state(std::move(parsed), vm, MemoryHome::kAnonymous));
  json state = COCOON_TRY(parse_exact(text, kStateFile));
  for (std::size_t index = 0; index < plan.disks.size(); ++index) {
    COCOON_TRY(set_disk_path(state, plan.disks[index].id, paths.disks[index]));
  }
  return SavedTexts{dump(config), dump(state)};
}

}  // namespace cocoon::vmm::cloud_hypervisor
