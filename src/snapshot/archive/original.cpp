// SPDX-License-Identifier: Apache-2.0
#include "snapshot/archive/original.h"

#include <algorithm>
#include <limits>
#include <set>

#include "base/text.h"
#include "model/guest_files.h"
#include "model/image.h"
#include "model/json_fields.h"

namespace cocoon::snapshot {
namespace {

using nlohmann::json;

constexpr std::string_view kHypervisor = "cloud-hypervisor";
// Its guests have a name only while they are VMs; clones get their own.
constexpr const char* kGuestName = "imported";
constexpr std::string_view kLayerSerial = "cocoon-layer";

bool is_plain_path(std::string_view path) {
  constexpr std::size_t kMaxPath = 4095;
  auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
  if (path.empty() || path[0] != '/' || path.size() > kMaxPath) return false;
  if (std::any_of(path.begin(), path.end(), is_control)) return false;
  auto parts = split(path.substr(1), '/');
  return std::none_of(parts.begin(), parts.end(), [](std::string_view part) {
    return part.empty() || part == "." || part == "..";
  });
}

std::string base_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

std::string shown(const std::string& text) {
  constexpr std::size_t kMaxQuoted = 200;
  return escape_controls(text.substr(0, kMaxQuoted));
}

// The last part before the file name or its ending: where a digest stands.
std::string digest_in(OriginalKind kind, const std::string& path) {
  if (kind == OriginalKind::kFirmware) return {};
  auto parts = split(path, '/');
  if (parts.size() < 2) return {};
  bool in_directory = kind == OriginalKind::kKernel || kind == OriginalKind::kInitrd;
  std::string_view part = in_directory ? parts[parts.size() - 2] : parts.back();
  return std::string(part.substr(0, std::min(part.find('.'), part.size())));
}

// The usual name of the disk in a VM directory. `layers`: how many came before it.
Result<std::string> usual_name(const model::Disk& disk, std::size_t layers) {
  switch (disk.role) {
    case model::DiskRole::kLayer:
      if (disk.serial == fmt::format("{}{}", kLayerSerial, layers)) {
        return model::layer_file(layers);
      }
      return fail(ErrorKind::kCorrupt, "layer {} has the serial \"{}\"", layers,
                  shown(disk.serial));
    case model::DiskRole::kCow:
      return base_name(disk.path);  // checked with the boot files
    case model::DiskRole::kCidata:
      return std::string(model::kSeedFile);
    case model::DiskRole::kData:
      return fmt::format("data-{}.raw", disk.serial);
  }
  return fail(ErrorKind::kInternal, "a role that is none");
}

Result<void> take_disk(OriginalGuest& guest, const json& entry) {
  model::Disk disk = COCOON_TRY(model::parse_disk(entry));
  // Keys of ours mean nothing here.
  disk.blob.clear();
  disk.backing.clear();
  if (!is_plain_path(disk.path)) {
    return fail(ErrorKind::kCorrupt, "\"{}\" is no absolute path", shown(disk.path));
  }
  std::string name = COCOON_TRY(usual_name(disk, guest.layers.size()));
  if (disk.role == model::DiskRole::kLayer) {
    guest.layers.push_back(COCOON_TRY(parse_original_place(OriginalKind::kLayer, disk.path)));
  } else if (base_name(disk.path) != name) {
    return fail(ErrorKind::kCorrupt, "\"{}\" is not called {}", shown(disk.path), name);
  }
  guest.paths.push_back(disk.path);
  disk.path = std::move(name);
  guest.snapshot.vm.disks.push_back(std::move(disk));
  return {};
}

Result<void> take_disks(OriginalGuest& guest, const json& sidecar) {
  constexpr std::size_t kMostDisks = 32;
  auto list = sidecar.find("storage_configs");
  if (list == sidecar.end() || !list->is_array() || list->size() > kMostDisks) {
    return fail(ErrorKind::kCorrupt, "storage_configs is no list of at most {} disks", kMostDisks);
  }
  for (const json& entry : *list) {
    COCOON_TRY(take_disk(guest, entry), "storage_configs[{}]", guest.paths.size());
  }
  return {};
}

Result<void> take_boot_file(OriginalKind kind, const std::string& path, OriginalBlob& blob,
                            std::string& name, std::string_view usual) {
  if (path.empty()) return {};
  blob = COCOON_TRY(parse_original_place(kind, path), "boot_config");
  name = usual;
  return {};
}

// The kind of root disk goes with the way to boot; nothing is guessed from a name.
Result<void> set_root_disk(model::Vm& vm) {
  bool firmware = !vm.boot.firmware.empty();
  std::string usual = firmware ? model::kOverlayFile : model::kCowFile;
  for (model::Disk& disk : vm.disks) {
    if (disk.role == model::DiskRole::kLayer && firmware) {
      return fail(ErrorKind::kCorrupt, "a guest that boots firmware has layer {}", disk.path);
    }
    if (disk.role == model::DiskRole::kCidata && !firmware) {
      return fail(ErrorKind::kCorrupt, "a guest that boots a kernel has {}", disk.path);
    }
    if (disk.role != model::DiskRole::kCow) continue;
    if (disk.path != usual) {
      return fail(ErrorKind::kCorrupt, "the root disk \"{}\" is not called {}", shown(disk.path),
                  usual);
    }
    if (firmware) disk.backing = model::kBaseFile;
  }
  return {};
}

Result<void> take_boot(OriginalGuest& guest, const json& sidecar) {
  auto in = sidecar.find("boot_config");
  if (in == sidecar.end() || !in->is_object()) {
    return fail(ErrorKind::kCorrupt, "there is no boot_config");
  }
  std::string kernel, initrd, firmware, cmdline;
  model::Fields fields(*in, "boot_config");
  fields.get("kernel_path", kernel);
  fields.get("initrd_path", initrd);
  fields.get("firmware_path", firmware);
  fields.get("cmdline", cmdline);  // of the source; a clone gets one of its own
  COCOON_TRY(fields.check());
  model::BootConfig& boot = guest.snapshot.vm.boot;
  if (kernel.empty() == firmware.empty()) {
    return fail(ErrorKind::kCorrupt, "boot_config: a guest boots either a kernel or a firmware");
  }
  if (kernel.empty() != initrd.empty()) {
    return fail(ErrorKind::kCorrupt, "boot_config: a kernel and its initrd go together");
  }
  COCOON_TRY(take_boot_file(OriginalKind::kKernel, kernel, guest.kernel, boot.kernel,
                            model::kGuestKernelFile));
  COCOON_TRY(take_boot_file(OriginalKind::kInitrd, initrd, guest.initrd, boot.initrd,
                            model::kGuestInitrdFile));
  COCOON_TRY(take_boot_file(OriginalKind::kFirmware, firmware, guest.firmware, boot.firmware,
                            model::kFirmwareFile));
  return set_root_disk(guest.snapshot.vm);
}

// Counts and sizes; 0 is what the original leaves out.
Result<void> take_config(OriginalGuest& guest, const json& config) {
  model::VmConfig& out = guest.snapshot.vm.config;
  out.name = kGuestName;
  out.cpu = 0;
  out.memory = 0;
  std::string hypervisor;
  model::Fields fields(config, "config");
  fields.get("cpu", out.cpu);
  fields.get("memory", out.memory);
  fields.get("storage", out.storage);
  fields.get("queue_size", out.queue_size);
  fields.get("disk_queue_size", out.disk_queue_size);
  fields.get("image", out.image);
  fields.get("image_digest", out.image_digest);
  fields.get("image_type", out.image_type);
  fields.get("network", out.network);
  fields.get("no_direct_io", out.no_direct_io);
  fields.get("windows", out.windows);
  fields.get("hypervisor", hypervisor);
  fields.get("nics", guest.nics);
  COCOON_TRY(fields.check());
  if (!hypervisor.empty() && hypervisor != kHypervisor) {
    return fail(ErrorKind::kUnsupported,
                "it is a snapshot of {}, and of the original engine's only those of Cloud "
                "Hypervisor are taken in",
                shown(hypervisor));
  }
  for (std::int64_t number : {std::int64_t{out.cpu}, out.memory, std::int64_t{out.queue_size},
                              std::int64_t{out.disk_queue_size}, std::int64_t{guest.nics}}) {
    if (number < 0) return fail(ErrorKind::kCorrupt, "config: {} is below 0", number);
  }
  return {};
}

Result<void> check_kind(model::Vm& vm) {
  std::string kind = vm.boot.firmware.empty() ? model::kOciImage : model::kCloudImage;
  if (vm.config.image_type.empty()) vm.config.image_type = kind;
  if (vm.config.image_type != kind) {
    return fail(ErrorKind::kCorrupt, "{} says image_type \"{}\", but its guest boots as one of {}",
                kEnvelopeFile, shown(vm.config.image_type), kind);
  }
  if (vm.config.windows && vm.boot.firmware.empty()) {
    return fail(ErrorKind::kCorrupt, "a Windows guest that boots a kernel");
  }
  return {};
}

std::vector<const OriginalBlob*> named_blobs(const OriginalGuest& guest) {
  std::vector<const OriginalBlob*> blobs;
  for (const OriginalBlob& layer : guest.layers) blobs.push_back(&layer);
  for (const OriginalBlob* file : {&guest.kernel, &guest.initrd}) {
    if (!file->digest.empty()) blobs.push_back(file);
  }
  return blobs;
}

// What the snapshot pins there is what its guest rests on (spec 04 §17 row 17).
Result<void> check_pins(OriginalGuest& guest, const json& config) {
  auto pins = config.find("image_blob_ids");
  if (pins == config.end() || pins->is_null()) return {};
  if (!pins->is_object()) return fail(ErrorKind::kCorrupt, "image_blob_ids is no object");
  for (const OriginalBlob* blob : named_blobs(guest)) {
    if (pins->contains(blob->digest)) continue;
    return fail(ErrorKind::kCorrupt, "{} is not among the image_blob_ids of {}", shown(blob->path),
                kEnvelopeFile);
  }
  if (guest.firmware.path.empty()) return {};
  if (pins->size() != 1 || !is_sha256_hex(pins->begin().key())) {
    return fail(ErrorKind::kCorrupt, "image_blob_ids of {} is not the one digest of a base disk",
                kEnvelopeFile);
  }
  guest.base = pins->begin().key();
  return {};
}

}  // namespace

std::string original_place(OriginalKind kind, std::string_view digest) {
  switch (kind) {
    case OriginalKind::kLayer:
      return fmt::format("oci/blobs/{}.erofs", digest);
    case OriginalKind::kKernel:
      return fmt::format("oci/boot/{}/vmlinuz", digest);
    case OriginalKind::kInitrd:
      return fmt::format("oci/boot/{}/initrd.img", digest);
    case OriginalKind::kBase:
      return fmt::format("cloudimg/blobs/{}.qcow2", digest);
    case OriginalKind::kFirmware:
      return "firmware/CLOUDHV.fd";
  }
  return {};
}

Result<OriginalBlob> parse_original_place(OriginalKind kind, const std::string& path) {
  OriginalBlob blob{path, digest_in(kind, path)};
  bool has_digest = kind == OriginalKind::kFirmware || is_sha256_hex(blob.digest);
  bool good =
      is_plain_path(path) && has_digest && path.ends_with("/" + original_place(kind, blob.digest));
  if (good) return blob;
  return fail(ErrorKind::kCorrupt, "\"{}\" is no place of the original's store (…/{})", shown(path),
              original_place(kind, "<digest>"));
}

Result<OriginalGuest> parse_original(const Envelope& envelope, const json& sidecar) {
  OriginalGuest guest;
  model::Snapshot& snapshot = guest.snapshot;
  snapshot.name = envelope.name;
  snapshot.description = envelope.description;
  snapshot.vm.hypervisor = kHypervisor;
  snapshot.vm.state = model::VmState::kStopped;
  snapshot.vm.first_booted = true;
  COCOON_TRY(take_config(guest, envelope.config), "{}", kEnvelopeFile);
  COCOON_TRY(take_disks(guest, sidecar), "{}", kSidecarFile);
  COCOON_TRY(take_boot(guest, sidecar), "{}", kSidecarFile);
  COCOON_TRY(check_kind(snapshot.vm));
  COCOON_TRY(check_pins(guest, envelope.config), "{}", kSidecarFile);
  COCOON_TRY(model::validate_disks(snapshot.vm.disks), "{}: storage_configs", kSidecarFile);
  return guest;
}

json original_sidecar(const OriginalGuest& guest) {
  json disks = json::array();
  for (std::size_t index = 0; index < guest.paths.size(); ++index) {
    model::Disk disk = guest.snapshot.vm.disks[index];
    disk.path = guest.paths[index];
    disk.blob.clear();
    disk.backing.clear();
    disks.push_back(std::move(disk));
  }
  json boot = json::object();
  for (auto [key, blob] :
       {std::pair("kernel_path", &guest.kernel), std::pair("initrd_path", &guest.initrd),
        std::pair("firmware_path", &guest.firmware)}) {
    if (!blob->path.empty()) boot[key] = blob->path;
  }
  return {{"storage_configs", std::move(disks)}, {"boot_config", std::move(boot)}};
}

std::string original_envelope(const OriginalGuest& guest) {
  json pins = json::object();
  for (const OriginalBlob* blob : named_blobs(guest)) pins[blob->digest] = json::object();
  if (!guest.base.empty()) pins[guest.base] = json::object();
  return render_envelope(guest.snapshot, pins);
}

}  // namespace cocoon::snapshot
