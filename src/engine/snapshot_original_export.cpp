// SPDX-License-Identifier: Apache-2.0
// Archives of ours in the form of the original engine: written, and read again.
#include <fcntl.h>

#include <algorithm>

#include "base/text.h"
#include "disk/disk_image.h"
#include "disk/qcow2_header.h"
#include "engine/boot_json.h"
#include "engine/snapshot_files.h"
#include "engine/snapshot_original.h"
#include "model/guest_files.h"
#include "snapshot/archive/member_digest.h"
#include "sys/fault.h"
#include "sys/files.h"
#include "vmm/backend.h"

namespace cocoon::engine {
namespace {

namespace fs = std::filesystem;
using snapshot::OriginalBlob;
using snapshot::OriginalGuest;
using snapshot::OriginalKind;
using Shared = std::map<std::string, snapshot::SharedSource>;

constexpr std::string_view kCloudHypervisor = "cloud-hypervisor";
constexpr const char* kMemoryName = "memory-ranges";  // as Cloud Hypervisor writes it

Failure no_place(std::string_view what) {
  return fail(ErrorKind::kUnsupported, "the original engine has no place for {}", what);
}

// The digest in the blob's ID: of what it was made from, or of the file.
std::string digest_of(const std::string& id, const std::string& sha256) {
  for (std::string_view part : split(id, '-')) {
    if (is_sha256_hex(part)) return std::string(part);
  }
  return sha256;
}

OriginalBlob place_of(OriginalKind kind, const std::string& digest) {
  return {fmt::format("{}/{}", snapshot::kOriginalRoot, snapshot::original_place(kind, digest)),
          kind == OriginalKind::kFirmware ? "" : digest};
}

// A shared member's digest as the original would name it.
Result<std::string> shared_digest(const model::Snapshot& snapshot, const Shared& shared,
                                  const std::string& name) {
  const model::Member* member = model::find_member(snapshot, name);
  auto source = shared.find(name);
  if (member == nullptr || source == shared.end()) {
    return fail(ErrorKind::kCorrupt, "{} is not among the members", name);
  }
  return digest_of(source->second.id, member->sha256);
}

std::string run_dir_of(const model::Snapshot& snapshot) {
  const std::string& vm = snapshot.source_vm.empty() ? snapshot.vm.id : snapshot.source_vm;
  return fmt::format("{}/run/cloudhypervisor/{}", snapshot::kOriginalRoot, vm);
}

Result<void> check_disk(const model::Disk& disk, std::size_t layers) {
  if (disk.role == model::DiskRole::kLayer && disk.serial != layer_serial(layers)) {
    return no_place(fmt::format("layer {} with the serial {}", disk.path, disk.serial));
  }
  if (disk.role == model::DiskRole::kData && disk.fstype != "ext4" && disk.fstype != "none") {
    return no_place(
        fmt::format("data disk \"{}\" with the file system {}", disk.serial, disk.fstype));
  }
  return {};
}

Result<void> place_disks(const Shared& shared, OriginalGuest& guest) {
  const model::Snapshot& snapshot = guest.snapshot;
  for (const model::Disk& disk : snapshot.vm.disks) {
    COCOON_TRY(check_disk(disk, guest.layers.size()));
    if (disk.role != model::DiskRole::kLayer) {
      guest.paths.push_back(run_dir_of(snapshot) + "/" + disk.path);
    } else {
      std::string digest = COCOON_TRY(shared_digest(snapshot, shared, disk.path));
      guest.layers.push_back(place_of(OriginalKind::kLayer, digest));
      guest.paths.push_back(guest.layers.back().path);
    }
    if (!disk.backing.empty()) {
      guest.base = COCOON_TRY(shared_digest(snapshot, shared, disk.backing));
    }
  }
  return {};
}

Result<void> place_boot(const Shared& shared, OriginalGuest& guest) {
  const model::BootConfig& boot = guest.snapshot.vm.boot;
  if (boot.boot_kit) return no_place("a guest that boots with a kernel object");
  if (!boot.firmware.empty()) guest.firmware = place_of(OriginalKind::kFirmware, {});
  if (boot.kernel.empty()) return {};
  if (boot.initrd.empty()) return no_place("a guest without an initrd");
  guest.kernel = place_of(OriginalKind::kKernel,
                          COCOON_TRY(shared_digest(guest.snapshot, shared, boot.kernel)));
  guest.initrd = place_of(OriginalKind::kInitrd,
                          COCOON_TRY(shared_digest(guest.snapshot, shared, boot.initrd)));
  return {};
}

// Files of its own that the original would not know.
Result<void> check_members(const model::Snapshot& snapshot, const vmm::SavedFiles& saved) {
  auto known = model::disk_files(snapshot.vm);
  known.insert(known.end(), saved.state.begin(), saved.state.end());
  known.push_back(saved.memory);
  for (const model::Member& member : snapshot.members) {
    bool is_known = member.kind == model::MemberKind::kShared ||
                    std::find(known.begin(), known.end(), member.name) != known.end();
    if (!is_known) return no_place(fmt::format("member {}", member.name));
  }
  return {};
}

vmm::OriginalPaths paths_of(const OriginalGuest& guest) {
  vmm::OriginalPaths paths = original_paths(guest);
  paths.run_dir = run_dir_of(guest.snapshot);
  // The original leaves it as it is in every clone, so it has to be in a directory that exists.
  paths.vsock = fmt::format("/run/cocoon-{}.vsock", guest.snapshot.id);
  return paths;
}

// The base below an overlay there, and here.
disk::Backing their_base(const OriginalGuest& guest) {
  return {place_of(OriginalKind::kBase, guest.base).path, "qcow2"};
}
disk::Backing our_base(const model::Disk& overlay) { return {overlay.backing, "raw"}; }

const model::Disk* overlay_of(const model::Vm& vm) {
  auto found = std::find_if(vm.disks.begin(), vm.disks.end(),
                            [](const model::Disk& disk) { return !disk.backing.empty(); });
  return found == vm.disks.end() ? nullptr : &*found;
}

// --- reading ---

// The record that the sidecar has, with the disks by the names that the original's keys give them.
Result<OriginalGuest> guest_in(const snapshot::Unpacked& unpacked,
                               const snapshot::Sidecar& sidecar) {
  auto envelope = COCOON_TRY(snapshot::parse_envelope(unpacked.envelope));
  auto document = COCOON_TRY(snapshot::parse_document(unpacked.sidecar, snapshot::kSidecarFile));
  OriginalGuest guest = COCOON_TRY(snapshot::parse_original(envelope, document));
  const model::Vm& ours = sidecar.snapshot.vm;
  const model::Vm& theirs = guest.snapshot.vm;
  auto same = [](const model::Disk& one, const model::Disk& other) {
    return one.path == other.path && one.role == other.role && one.serial == other.serial;
  };
  bool same_boot = ours.boot.kernel == theirs.boot.kernel &&
                   ours.boot.initrd == theirs.boot.initrd &&
                   ours.boot.firmware == theirs.boot.firmware && !ours.boot.boot_kit;
  if (same_boot && ours.hypervisor == theirs.hypervisor &&
      std::equal(ours.disks.begin(), ours.disks.end(), theirs.disks.begin(), theirs.disks.end(),
                 same)) {
    return guest;
  }
  return fail(ErrorKind::kCorrupt, "{} says two different things of the guest's disks",
              snapshot::kSidecarFile);
}

// What is in the archive is what its sidecar says of it, and then something else.
Result<void> replace_text(const fs::path& part, snapshot::Sidecar& sidecar,
                          snapshot::Unpacked& unpacked, const vmm::LoadText& text) {
  auto file = unpacked.files.find(text.name);
  auto& members = sidecar.snapshot.members;
  auto member = std::find_if(members.begin(), members.end(),
                             [&text](const auto& one) { return one.name == text.name; });
  if (file == unpacked.files.end() || member == members.end()) {
    return fail(ErrorKind::kCorrupt, "member {} is missing", text.name);
  }
  if (file->second.size != member->size || file->second.pages != member->sha256) {
    return fail(ErrorKind::kCorrupt, "member {} is damaged: its digest is another one", text.name);
  }
  COCOON_TRY(sys::write_file_atomic(part / text.name, text.text, 0600));
  sys::side_effect("write member");
  file->second = {static_cast<std::int64_t>(text.text.size()), snapshot::pages_digest(text.text)};
  member->size = file->second.size;
  member->sha256 = file->second.pages;
  return {};
}

// The same record, device by device.
Result<void> check_same_guest(const model::Vm& ours, const model::Vm& made) {
  auto same_mac = [](const model::Nic& one, const model::Nic& other) {
    return one.mac == other.mac;
  };
  bool same =
      ours.device_plan == made.device_plan &&
      std::equal(ours.nics.begin(), ours.nics.end(), made.nics.begin(), made.nics.end(), same_mac);
  if (same) return {};
  return fail(ErrorKind::kCorrupt, "the VMM's files are not of the guest that {} describes",
              snapshot::kSidecarFile);
}

Result<void> rebase_overlay(const fs::path& part, const OriginalGuest& guest,
                            const model::Disk& overlay, snapshot::Unpacked& unpacked) {
  if (!unpacked.files.contains(overlay.path)) {
    return fail(ErrorKind::kCorrupt, "member {} is missing", overlay.path);
  }
  sys::UniqueFd file = COCOON_TRY(sys::open_file(part / overlay.path, O_RDONLY | O_NOFOLLOW));
  std::string head = COCOON_TRY(disk::read_image_head(file.get()), "{}", overlay.path);
  head = COCOON_TRY(disk::with_backing(head, their_base(guest), our_base(overlay)), "member {}",
                    overlay.path);
  return replace_head(part, unpacked, overlay.path, head);
}

}  // namespace

Result<OriginalForm> original_form(const Ports& ports, const model::Snapshot& snapshot,
                                   const Shared& shared) {
  if (snapshot.vm.hypervisor != kCloudHypervisor) {
    return fail(ErrorKind::kUnsupported,
                "only snapshots of Cloud Hypervisor are exchanged with the original engine, not "
                "those of {}",
                snapshot.vm.hypervisor);
  }
  auto backend = COCOON_TRY(vmm::make_backend(snapshot.vm.hypervisor, ports.config));
  auto saved = COCOON_TRY(backend->saved_files(snapshot.vm));
  OriginalForm form;
  OriginalGuest& guest = form.guest;
  guest.snapshot = snapshot;
  guest.nics = static_cast<int>(snapshot.vm.nics.size());
  COCOON_TRY(check_members(snapshot, saved));
  COCOON_TRY(place_boot(shared, guest));
  COCOON_TRY(place_disks(shared, guest));
  fs::path dir = snapshot_dir(ports, snapshot.id);
  form.texts = COCOON_TRY(backend->render_original(snapshot.vm, paths_of(guest), dir));
  form.memory_member = saved.memory;
  form.memory_name = kMemoryName;
  const model::Disk* overlay = overlay_of(snapshot.vm);
  if (overlay == nullptr) return form;
  sys::UniqueFd file = COCOON_TRY(sys::open_file(dir / overlay->path, O_RDONLY | O_NOFOLLOW));
  std::string head = COCOON_TRY(disk::read_image_head(file.get()), "{}", overlay->path);
  form.overlay = overlay->path;
  form.overlay_head = COCOON_TRY(disk::with_backing(head, our_base(*overlay), their_base(guest)),
                                 "member {}", overlay->path);
  return form;
}

Result<void> take_own_form(Ports& ports, const fs::path& part, snapshot::Sidecar& sidecar,
                           snapshot::Unpacked& unpacked) {
  OriginalGuest guest = COCOON_TRY(guest_in(unpacked, sidecar));
  const model::Vm& ours = sidecar.snapshot.vm;
  model::Vm bare = ours;
  bare.nics.clear();
  // The record may ask for more than the guest has until it boots again.
  bare.config.cpu = 0;
  bare.config.memory = 0;
  auto backend = COCOON_TRY(vmm::make_backend(ours.hypervisor, ports.config));
  auto made = COCOON_TRY(backend->take_original(bare, paths_of(guest), part));
  COCOON_TRY(check_same_guest(ours, made.vm));
  for (const vmm::LoadText& text : made.files) {
    COCOON_TRY(replace_text(part, sidecar, unpacked, text));
  }
  if (const model::Disk* overlay = overlay_of(ours)) {
    COCOON_TRY(rebase_overlay(part, guest, *overlay, unpacked));
  }
  sidecar.original_form = false;
  return {};
}

}  // namespace cocoon::engine
