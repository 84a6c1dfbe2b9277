// SPDX-License-Identifier: Apache-2.0
#include "model/snapshot.h"

#include <algorithm>
#include <array>
#include <set>

#include "base/id.h"
#include "base/text.h"
#include "model/guest_files.h"
#include "model/json_fields.h"

namespace cocoon::model {
namespace {

using nlohmann::json;

constexpr int kFormat = 1;
constexpr std::size_t kMaxMembers = 256;
constexpr std::array kStates{SnapshotState::kPending, SnapshotState::kReady,
                             SnapshotState::kDeleting};
constexpr std::array kKinds{MemberKind::kShared, MemberKind::kDisk, MemberKind::kState,
                            MemberKind::kMemory};

bool is_letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

const char* digest_key(MemberKind kind) {
  return kind == MemberKind::kShared ? "sha256" : "pages_sha256";
}

json member_json(const Member& member) {
  json out = {
      {"name", member.name}, {"kind", member_kind_name(member.kind)}, {"size", member.size}};
  if (!member.sha256.empty()) out[digest_key(member.kind)] = member.sha256;
  return out;
}

Result<Member> parse_member(const json& in) {
  Member member;
  std::string kind;
  Fields fields(in, "member");
  fields.get("name", member.name);
  fields.get("kind", kind);
  fields.get("size", member.size);
  COCOON_TRY(fields.check());
  for (MemberKind candidate : kKinds) {
    if (member_kind_name(candidate) != kind) continue;
    member.kind = candidate;
    fields.get(digest_key(candidate), member.sha256);
    COCOON_TRY(fields.check());
    return member;
  }
  return fail(ErrorKind::kCorrupt, "member \"{}\" of unknown kind \"{}\"", member.name, kind);
}

Result<CpuFacts> parse_cpu(const json& in) {
  CpuFacts cpu;
  Fields fields(in, "cpu_facts");
  fields.get("vendor", cpu.vendor);
  fields.get("model", cpu.model);
  fields.get("flags", cpu.flags);
  COCOON_TRY(fields.check());
  return cpu;
}

Result<void> parse_members(const Fields& fields, Snapshot& snapshot) {
  const json* members = fields.find("members");
  if (members == nullptr) return {};
  if (!members->is_array() || members->size() > kMaxMembers) {
    return fail(ErrorKind::kCorrupt, "members is no list of at most {}", kMaxMembers);
  }
  for (const json& member : *members) {
    snapshot.members.push_back(COCOON_TRY(parse_member(member)));
  }
  return {};
}

Result<void> check_member(const Member& member, std::set<std::string_view>& seen) {
  if (!is_member_name(member.name)) {
    return fail(ErrorKind::kCorrupt, "member \"{}\": no plain file name", member.name);
  }
  if (!seen.insert(member.name).second) {
    return fail(ErrorKind::kCorrupt, "member \"{}\" is there twice", member.name);
  }
  if (member.size < 0) {
    return fail(ErrorKind::kCorrupt, "member \"{}\" has size {}", member.name, member.size);
  }
  if (!member.sha256.empty() && !is_sha256_hex(member.sha256)) {
    return fail(ErrorKind::kCorrupt, "member \"{}\": its sha256 is none", member.name);
  }
  return {};
}

Result<void> check_needed(const Snapshot& snapshot, const std::vector<std::string>& names,
                          MemberKind kind) {
  for (const std::string& name : names) {
    const Member* member = find_member(snapshot, name);
    if (member == nullptr) {
      return fail(ErrorKind::kCorrupt, "{} is not among the members", name);
    }
    if (member->kind != kind) {
      return fail(ErrorKind::kCorrupt, "member {} is \"{}\", but must be \"{}\"", name,
                  member_kind_name(member->kind), member_kind_name(kind));
    }
  }
  return {};
}

// Under another name a file would take the place of what the shim or the VMM keeps in a clone's
// directory, or lie outside of it.
Result<void> check_names(const Vm& vm) {
  auto cows = std::count_if(vm.disks.begin(), vm.disks.end(),
                            [](const Disk& disk) { return disk.role == DiskRole::kCow; });
  if (cows != 1) return fail(ErrorKind::kInvalid, "{} root disks, but a VM has one", cows);
  for (const Disk& disk : vm.disks) {
    if (has_usual_name(disk)) continue;
    return fail(ErrorKind::kInvalid, "\"{}\" is not what the file of disk \"{}\" ({}) is called",
                disk.path, disk.serial, role_name(disk.role));
  }
  for (auto [name, usual] : {std::pair(std::string_view(vm.boot.kernel), kGuestKernelFile),
                             std::pair(std::string_view(vm.boot.initrd), kGuestInitrdFile),
                             std::pair(std::string_view(vm.boot.firmware), kFirmwareFile)}) {
    if (name.empty() || name == usual) continue;
    return fail(ErrorKind::kInvalid, "boot file \"{}\", but it is called {}", name, usual);
  }
  return {};
}

// Disks and shared files that no part of the VM needs would come into every clone's directory.
Result<void> check_wanted(const Snapshot& snapshot) {
  auto shared = shared_files(snapshot.vm);
  auto disks = disk_files(snapshot.vm);
  if (!snapshot.vm.boot.firmware.empty()) disks.emplace_back(kVariablesFile);
  for (const Member& member : snapshot.members) {
    if (member.kind != MemberKind::kShared && member.kind != MemberKind::kDisk) continue;
    const auto& wanted = member.kind == MemberKind::kShared ? shared : disks;
    if (std::find(wanted.begin(), wanted.end(), member.name) != wanted.end()) continue;
    return fail(ErrorKind::kCorrupt, "member {} belongs to nothing that the VM has", member.name);
  }
  return {};
}

}  // namespace

std::string_view snapshot_state_name(SnapshotState state) {
  switch (state) {
    case SnapshotState::kPending:
      return "pending";
    case SnapshotState::kReady:
      return "ready";
    case SnapshotState::kDeleting:
      return "deleting";
  }
  return "";
}

Result<SnapshotState> parse_snapshot_state(std::string_view text) {
  for (SnapshotState state : kStates) {
    if (snapshot_state_name(state) == text) return state;
  }
  return fail(ErrorKind::kCorrupt, "unknown snapshot state \"{}\"", text);
}

std::string_view member_kind_name(MemberKind kind) {
  switch (kind) {
    case MemberKind::kShared:
      return "shared";
    case MemberKind::kDisk:
      return "disk";
    case MemberKind::kState:
      return "state";
    case MemberKind::kMemory:
      return "memory";
  }
  return "";
}

Result<void> check_snapshot_name(std::string_view name) {
  constexpr std::string_view kOthers = "._:/@-";
  bool good = !name.empty() && name.size() <= 255 && is_letter_or_digit(name[0]) &&
              std::all_of(name.begin(), name.end(), [&](char c) {
                return is_letter_or_digit(c) || kOthers.find(c) != std::string_view::npos;
              });
  if (!good) {
    return fail(ErrorKind::kInvalid,
                "invalid snapshot name \"{}\": 1 to 255 letters, digits and any of {}, the first a "
                "letter or digit",
                name, kOthers);
  }
  for (std::string_view part : split(name, '/')) {
    if (part != "." && part != "..") continue;
    return fail(ErrorKind::kInvalid, "invalid snapshot name \"{}\": a part of it is \"{}\"", name,
                part);
  }
  if (is_id(name)) {
    return fail(ErrorKind::kInvalid, "invalid snapshot name \"{}\": it looks like an ID", name);
  }
  return {};
}

std::string file_name_of(std::string_view snapshot_name) {
  constexpr std::size_t kLongest = 200;  // of the 255 bytes that file systems have: endings follow
  std::string out(snapshot_name.substr(0, kLongest));
  for (char& c : out) {
    if (!is_letter_or_digit(c) && c != '.' && c != '-') c = '_';
  }
  return out;
}

json to_stored_json(const Snapshot& snapshot) {
  json members = json::array();
  for (const Member& member : snapshot.members) members.push_back(member_json(member));
  json out = {{"format", kFormat},
              {"id", snapshot.id},
              {"name", snapshot.name},
              {"description", snapshot.description},
              {"state", snapshot_state_name(snapshot.state)},
              {"vm", to_stored_json(snapshot.vm)},
              {"source_vm", snapshot.source_vm},
              {"vmm_version", snapshot.vmm_version},
              {"members", std::move(members)},
              {"imported", snapshot.imported},
              {"untrusted", snapshot.untrusted},
              {"hibernated", snapshot.hibernated},
              {"pause_us", snapshot.pause_us},
              {"created_at", snapshot.created_at}};
  if (!snapshot.parent.empty()) out["parent"] = snapshot.parent;
  if (snapshot.agent) out["agent"] = *snapshot.agent;
  if (!snapshot.cpu.flags.empty()) {
    out["cpu_facts"] = {{"vendor", snapshot.cpu.vendor},
                        {"model", snapshot.cpu.model},
                        {"flags", snapshot.cpu.flags}};
  }
  return out;
}

Result<Snapshot> parse_snapshot(const json& in) {
  Snapshot snapshot;
  int format = 0;
  std::string state;
  Fields fields(in, "snapshot record");
  fields.get("format", format);
  fields.get("id", snapshot.id);
  fields.get("name", snapshot.name);
  fields.get("description", snapshot.description);
  fields.get("state", state);
  fields.get("source_vm", snapshot.source_vm);
  fields.get("vmm_version", snapshot.vmm_version);
  fields.get("parent", snapshot.parent);
  fields.get("imported", snapshot.imported);
  fields.get("untrusted", snapshot.untrusted);
  fields.get("hibernated", snapshot.hibernated);
  fields.get("pause_us", snapshot.pause_us);
  fields.get("created_at", snapshot.created_at);
  if (fields.find("agent") != nullptr) fields.get("agent", snapshot.agent.emplace());
  COCOON_TRY(fields.check());
  if (format != kFormat) {
    return fail(ErrorKind::kCorrupt, "snapshot record of format {}, known is {}", format, kFormat);
  }
  snapshot.state = COCOON_TRY(parse_snapshot_state(state));
  const json* vm = fields.find("vm");
  if (vm == nullptr) return fail(ErrorKind::kCorrupt, "snapshot record without a VM");
  snapshot.vm = COCOON_TRY(parse_vm(*vm), "snapshot {}", snapshot.id);
  if (const json* cpu = fields.find("cpu_facts")) snapshot.cpu = COCOON_TRY(parse_cpu(*cpu));
  COCOON_TRY(parse_members(fields, snapshot), "snapshot {}", snapshot.id);
  return snapshot;
}

std::vector<std::string> shared_files(const Vm& vm) {
  std::vector<std::string> names;
  for (const Disk& disk : vm.disks) {
    if (disk.role == DiskRole::kLayer) names.push_back(disk.path);
    if (!disk.backing.empty()) names.push_back(disk.backing);
  }
  if (!vm.boot.kernel.empty()) names.push_back(vm.boot.kernel);
  // The boot kit's is made anew for each VM.
  if (!vm.boot.initrd.empty() && !vm.boot.boot_kit) names.push_back(vm.boot.initrd);
  if (!vm.boot.firmware.empty()) names.push_back(vm.boot.firmware);
  return names;
}

std::vector<std::string> disk_files(const Vm& vm) {
  std::vector<std::string> names;
  for (const Disk& disk : vm.disks) {
    if (disk.role != DiskRole::kLayer) names.push_back(disk.path);
  }
  return names;
}

const Member* find_member(const Snapshot& snapshot, std::string_view name) {
  for (const Member& member : snapshot.members) {
    if (member.name == name) return &member;
  }
  return nullptr;
}

Result<void> validate(const Snapshot& snapshot) {
  if (!is_id(snapshot.id)) {
    return fail(ErrorKind::kCorrupt, "\"{}\" is not a snapshot ID", snapshot.id);
  }
  if (!snapshot.name.empty()) COCOON_TRY(check_snapshot_name(snapshot.name));
  if (!snapshot.parent.empty() && (!is_id(snapshot.parent) || snapshot.parent == snapshot.id)) {
    return fail(ErrorKind::kCorrupt, "\"{}\" is no other snapshot's ID", snapshot.parent);
  }
  COCOON_TRY(validate(snapshot.vm));
  COCOON_TRY(check_names(snapshot.vm));
  std::set<std::string_view> seen;
  for (const Member& member : snapshot.members) COCOON_TRY(check_member(member, seen));
  COCOON_TRY(check_needed(snapshot, shared_files(snapshot.vm), MemberKind::kShared));
  COCOON_TRY(check_needed(snapshot, disk_files(snapshot.vm), MemberKind::kDisk));
  return check_wanted(snapshot);
}

json to_public_json(const Snapshot& snapshot, std::int64_t allocated) {
  const VmConfig& config = snapshot.vm.config;
  json members = json::array();
  std::int64_t size = 0;
  for (const Member& member : snapshot.members) {
    members.push_back(member_json(member));
    if (member.kind != MemberKind::kShared) size += member.size;
  }
  json blobs = json::object();
  for (const Disk& disk : snapshot.vm.disks) {
    if (!disk.blob.empty()) blobs[disk.blob] = json::object();
  }
  json out = {{"id", snapshot.id},
              {"name", snapshot.name},
              {"hypervisor", snapshot.vm.hypervisor},
              {"cpu", config.cpu},
              {"memory", config.memory},
              {"storage", config.storage},
              {"created_at", snapshot.created_at},
              {"hypervisor_version", snapshot.vmm_version},
              {"size", size},
              {"pause_us", snapshot.pause_us},
              {"storage_configs", snapshot.vm.disks},
              {"members", std::move(members)}};
  auto put = [&out](const char* key, const auto& value, bool is_set) {
    if (is_set) out[key] = value;
  };
  put("description", snapshot.description, !snapshot.description.empty());
  put("queue_size", config.queue_size, config.queue_size != 0);
  put("disk_queue_size", config.disk_queue_size, config.disk_queue_size != 0);
  put("image", config.image, !config.image.empty());
  put("image_digest", config.image_digest, !config.image_digest.empty());
  put("image_type", config.image_type, !config.image_type.empty());
  put("image_blob_ids", blobs, !blobs.empty());
  put("network", config.network, !config.network.empty());
  put("no_direct_io", true, config.no_direct_io);
  put("windows", true, config.windows);
  put("nics", snapshot.vm.nics.size(), !snapshot.vm.nics.empty());
  put("source_vm", snapshot.source_vm, !snapshot.source_vm.empty());
  put("parent", snapshot.parent, !snapshot.parent.empty());
  put("agent", snapshot.agent.value_or(false), snapshot.agent.has_value());
  put("imported", true, snapshot.imported);
  put("untrusted", true, snapshot.untrusted);
  put("hibernated", true, snapshot.hibernated);
  put("memory_backing", snapshot.vm.memory_backing, !snapshot.vm.memory_backing.empty());
  put("allocated", allocated, allocated >= 0);
  return out;
}

}  // namespace cocoon::model
