// SPDX-License-Identifier: Apache-2.0
#include "vmm/qemu/hotplug.h"

#include <algorithm>

namespace cocoon::vmm::qemu {
namespace {

// Where QEMU keeps the devices that have an ID of ours.
constexpr const char* kDevices = "/machine/peripheral";
constexpr std::size_t kMaxNames = 4096;

bool contains(const std::vector<std::string>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// The text members `key` of a list of objects.
Result<std::vector<std::string>> names_of(const nlohmann::json& list, const char* key,
                                          std::string_view command) {
  std::vector<std::string> names;
  if (!list.is_array() || list.size() > kMaxNames) {
    return fail(ErrorKind::kCorrupt, "QMP {}: not a list", command);
  }
  for (const nlohmann::json& element : list) {
    auto name = element.is_object() ? element.find(key) : element.end();
    if (!element.is_object() || name == element.end() || !name->is_string()) continue;
    names.push_back(name->get_ref<const std::string&>());
  }
  return names;
}

Result<std::vector<std::string>> node_names(QmpClient& client, Deadline deadline) {
  constexpr const char* kCommand = "query-named-block-nodes";
  auto list = COCOON_TRY(client.execute(kCommand, {{"flat", true}}, deadline));
  return names_of(list, "node-name", kCommand);
}

Result<void> remove_node(QmpClient& client, const std::string& node, Deadline deadline) {
  if (!contains(COCOON_TRY(node_names(client, deadline)), node)) return {};
  COCOON_TRY(client.execute("blockdev-del", {{"node-name", node}}, deadline));
  return {};
}

// Of the two events of a removal the one about the device itself comes last; the other one names
// its back end by a path.
Result<void> wait_deleted(QmpClient& client, const std::string& device, Deadline deadline) {
  while (true) {
    auto event = client.next_event(deadline);
    if (!event && event.error().kind == ErrorKind::kTimeout) {
      return fail(ErrorKind::kTimeout,
                  "the guest does not let go of the device (it may be busy, still booting, or "
                  "without PCI hot-plug)");
    }
    if (!event) return pass(std::move(event).error());
    if (event->name != "DEVICE_DELETED" || !event->value.is_object()) continue;
    auto deleted = event->value.find("device");
    if (deleted != event->value.end() && *deleted == device) return {};
  }
}

}  // namespace

Result<std::vector<std::string>> device_ids(QmpClient& client, Deadline deadline) {
  auto list = COCOON_TRY(client.execute("qom-list", {{"path", kDevices}}, deadline));
  return names_of(list, "name", "qom-list");
}

Result<void> plug_disk(QmpClient& client, const nlohmann::ordered_json& node,
                       const nlohmann::ordered_json& device, Deadline deadline) {
  std::string name = node.at("node-name").get<std::string>();
  std::string id = device.at("id").get<std::string>();
  if (contains(COCOON_TRY(device_ids(client, deadline)), id)) return {};
  if (!contains(COCOON_TRY(node_names(client, deadline)), name)) {
    COCOON_TRY(client.execute("blockdev-add", node, deadline));
  }
  auto added = client.execute("device_add", device, deadline);
  if (added) return {};
  if (added.error().kind == ErrorKind::kVmm) {
    ignore(remove_node(client, name, deadline), "the refusal is what counts");
  }
  return pass(std::move(added).error());
}

Result<void> unplug_disk(QmpClient& client, const std::string& device, const std::string& node,
                         Deadline deadline) {
  if (contains(COCOON_TRY(device_ids(client, deadline)), device)) {
    auto asked = client.execute("device_del", {{"id", device}}, deadline);
    // Asked for before, or gone since we looked: both are told apart by looking again.
    if (!asked && asked.error().kind != ErrorKind::kVmm) return pass(std::move(asked).error());
    if (contains(COCOON_TRY(device_ids(client, deadline)), device)) {
      COCOON_TRY(wait_deleted(client, device, deadline));
    }
  }
  return remove_node(client, node, deadline);
}

}  // namespace cocoon::vmm::qemu
