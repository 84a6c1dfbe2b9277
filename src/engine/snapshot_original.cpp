// SPDX-License-Identifier: Apache-2.0
#include "engine/snapshot_original.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/id.h"
#include "disk/disk_image.h"
#include "disk/file_copy.h"
#include "disk/qcow2_header.h"
#include "image/acquire/digest.h"
#include "image/catalog/catalog.h"
#include "model/guest_files.h"
#include "snapshot/archive/member_digest.h"
#include "store/blob_rows.h"
#include "sys/cancel.h"
#include "sys/fault.h"
#include "sys/files.h"
#include "vmm/backend.h"

namespace cocoon::engine {
namespace {

namespace fs = std::filesystem;
using snapshot::OriginalBlob;
using snapshot::OriginalGuest;
using snapshot::OriginalKind;
using snapshot::SharedSource;

constexpr std::string_view kFileBlob = "file-";
constexpr const char* kQcow2 = "qcow2";
constexpr const char* kRaw = "raw";

// An import of such an archive under way.
struct Taking {
  Ports& ports;
  const OriginalOffer& offer;
  const fs::path& part;
  snapshot::Unpacked& unpacked;
  OriginalGuest guest;
  snapshot::Sidecar sidecar;
};

Failure missing(const std::string& name) {
  return fail(ErrorKind::kCorrupt, "{} is missing", name);
}

// --- the guest's own files ---

// What the archive has is what its guest needs, no more and no less. A NoCloud disk that no disk
// refers to any more is left behind by a restart (spec 04 §17 row 44).
Result<void> check_files(Taking& job, const vmm::SavedFiles& saved) {
  auto names = model::disk_files(job.guest.snapshot.vm);
  names.insert(names.end(), saved.state.begin(), saved.state.end());
  names.push_back(saved.memory);
  auto is_known = [&names](const std::string& name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  auto& files = job.unpacked.files;
  if (!is_known(model::kSeedFile) && files.erase(model::kSeedFile) > 0) {
    COCOON_TRY(sys::remove_file(job.part / model::kSeedFile));
  }
  for (const auto& [name, file] : files) {
    if (is_known(name)) continue;
    return fail(ErrorKind::kCorrupt, "{} is none of the guest's files", name);
  }
  for (const std::string& name : names) {
    if (!files.contains(name)) return missing(name);
  }
  return {};
}

Result<void> note_file(const fs::path& part, snapshot::Unpacked& unpacked,
                       const std::string& name) {
  sys::UniqueFd file = COCOON_TRY(sys::open_file(part / name, O_RDONLY | O_NOFOLLOW));
  struct stat info {};
  if (fstat(file.get(), &info) != 0) return fail_errno(fmt::format("look at {}", name));
  std::vector<snapshot::DigestJob> jobs{{file.get(), name, true}};
  COCOON_TRY(snapshot::take_digests(jobs));
  unpacked.files[name] = {info.st_size, jobs[0].digest};
  return {};
}

Result<void> write_texts(Taking& job, const std::vector<vmm::LoadText>& texts) {
  for (const vmm::LoadText& text : texts) {
    COCOON_TRY(sys::write_file_atomic(job.part / text.name, text.text, 0600));
    sys::side_effect("write member");
    COCOON_TRY(note_file(job.part, job.unpacked, text.name));
  }
  return {};
}

// The overlay names its base by the path that this had there, and from now on by the name that it
// has in a VM directory of ours. What else the header could name is refused (spec 04 §17 row 15).
Result<std::int64_t> take_overlay(Taking& job, const model::Disk& overlay) {
  sys::UniqueFd file = COCOON_TRY(sys::open_file(job.part / overlay.path, O_RDONLY | O_NOFOLLOW),
                                  "{}", overlay.path);
  std::string head = COCOON_TRY(disk::read_image_head(file.get()), "{}", overlay.path);
  std::string theirs = disk::backing_name(head);
  auto base = COCOON_TRY(snapshot::parse_original_place(OriginalKind::kBase, theirs),
                         "{}: backing file", overlay.path);
  std::string& pinned = job.guest.base;
  if (!pinned.empty() && pinned != base.digest) {
    return fail(ErrorKind::kCorrupt, "{}: its backing file is {}, but the snapshot rests on {}",
                overlay.path, base.digest, pinned);
  }
  pinned = base.digest;
  head = COCOON_TRY(disk::with_backing(head, {theirs, kQcow2}, {overlay.backing, kRaw}),
                    "member {}", overlay.path);
  auto info = COCOON_TRY(disk::check_overlay(head, overlay.backing), "member {}", overlay.path);
  COCOON_TRY(replace_head(job.part, job.unpacked, overlay.path, head));
  return info.virtual_size;
}

// Its size is what its file says, whatever the archive says.
Result<void> take_root_disk(Taking& job) {
  model::Vm& vm = job.guest.snapshot.vm;
  for (const model::Disk& disk : vm.disks) {
    if (disk.role != model::DiskRole::kCow) continue;
    vm.config.storage = disk.backing.empty() ? job.unpacked.files[disk.path].size
                                             : COCOON_TRY(take_overlay(job, disk));
  }
  return {};
}

// NICs, device plan and state, from what the VMM wrote.
Result<void> take_devices(Taking& job, const vmm::Backend& backend) {
  auto guest =
      COCOON_TRY(backend.take_original(job.guest.snapshot.vm, original_paths(job.guest), job.part));
  auto nics = static_cast<int>(guest.vm.nics.size());
  if (nics != job.guest.nics) {
    return fail(ErrorKind::kCorrupt, "the guest has {} NICs, but {} says {}", nics,
                snapshot::kEnvelopeFile, job.guest.nics);
  }
  job.guest.snapshot.vm = std::move(guest.vm);
  return write_texts(job, guest.files);
}

// --- what it shares with others ---

// A shared file of the guest, and where it may come from.
struct Wanted {
  OriginalKind kind;
  const OriginalBlob& blob;
  std::string member;     // its name in the snapshot
  std::string blob_kind;  // as a blob of ours
};

// As `image import` names what it made: by digests of the same content, or of the file itself.
Result<std::optional<model::Blob>> blob_by_name(store::Db& db, const Wanted& wanted) {
  const std::string& digest = wanted.blob.digest;
  std::vector<std::string> exact{std::string(kFileBlob) + digest};
  if (wanted.blob_kind == "boot") exact.push_back("boot-" + digest);
  for (const std::string& id : exact) {
    auto blob = COCOON_TRY(store::get_blob(db, id));
    if (blob && blob->state == model::BlobState::kReady) return blob;
  }
  if (wanted.blob_kind == "boot") return std::optional<model::Blob>();
  std::string prefix = wanted.kind == OriginalKind::kBase ? "disk-" + digest + "-" : digest + "-";
  for (model::Blob& blob : COCOON_TRY(store::ready_blobs(db, prefix))) {
    if (blob.kind == wanted.blob_kind || blob.kind == "merged") {
      return std::optional<model::Blob>(std::move(blob));
    }
  }
  return std::optional<model::Blob>();
}

// The image that the guest was made of, if it is here.
Result<std::optional<model::Image>> image_of(store::Db& db, const model::VmConfig& config) {
  for (const std::string* reference : {&config.image_digest, &config.image}) {
    if (reference->empty()) continue;
    auto image = image::find_image(db, *reference);
    if (image) return std::optional<model::Image>(std::move(*image));
    if (image.error().kind != ErrorKind::kNotFound) return pass(std::move(image).error());
  }
  return std::optional<model::Image>();
}

// Which of the image's blobs takes the file's place. Empty: none does.
std::string place_in_image(const model::Image& image, const Wanted& wanted, std::size_t layers) {
  switch (wanted.kind) {
    case OriginalKind::kKernel:
      return image.kernel ? image.kernel->blob : "";
    case OriginalKind::kInitrd:
      return image.initrd ? image.initrd->blob : "";
    case OriginalKind::kBase:
      return image.disks.size() == 1 ? image.disks[0] : "";
    case OriginalKind::kLayer:
      for (std::size_t i = 0; i < layers && image.disks.size() == layers; ++i) {
        if (wanted.member == model::layer_file(i)) return image.disks[i];
      }
      return "";
    case OriginalKind::kFirmware:
      break;
  }
  return "";
}

Result<std::optional<model::Blob>> blob_of_image(const Taking& job, const Wanted& wanted) {
  auto image = COCOON_TRY(image_of(job.ports.db, job.guest.snapshot.vm.config));
  if (!image) return std::optional<model::Blob>();
  std::string id = place_in_image(*image, wanted, job.guest.layers.size());
  if (id.empty()) return std::optional<model::Blob>();
  auto blob = COCOON_TRY(store::get_blob(job.ports.db, id));
  if (blob && blob->state == model::BlobState::kReady) return blob;
  return std::optional<model::Blob>();
}

void add_shared(Taking& job, const Wanted& wanted, SharedSource source, std::string sha256,
                std::int64_t size) {
  model::Vm& vm = job.guest.snapshot.vm;
  for (model::Disk& disk : vm.disks) {
    if (disk.path == wanted.member || disk.backing == wanted.member) disk.blob = source.id;
  }
  job.guest.snapshot.members.push_back(
      {wanted.member, model::MemberKind::kShared, size, std::move(sha256)});
  job.sidecar.shared[wanted.member] = std::move(source);
}

// This store's own, which the user takes for the same. False: it has none.
Result<bool> take_local(Taking& job, const Wanted& wanted) {
  if (!job.offer.assume_same) return false;
  auto blob = COCOON_TRY(blob_by_name(job.ports.db, wanted));
  if (!blob) blob = COCOON_TRY(blob_of_image(job, wanted));
  if (!blob) return false;
  std::string sha256 = blob->sha256;
  // Disks have none in their row.
  if (sha256.empty()) {
    sha256 = COCOON_TRY(image::sha256_file(job.ports.paths.root() / blob->file));
  }
  add_shared(job, wanted, {SharedSource::Home::kBlob, blob->id, blob->kind, {}}, std::move(sha256),
             blob->size);
  return true;
}

Result<void> copy_into(const fs::path& from, const fs::path& to) {
  sys::UniqueFd source = COCOON_TRY(sys::open_file(from, O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
  struct stat info {};
  if (fstat(source.get(), &info) != 0) return fail_errno(fmt::format("look at {}", from.native()));
  if (!S_ISREG(info.st_mode)) {
    return fail(ErrorKind::kInvalid, "{} is no regular file", from.native());
  }
  sys::UniqueFd target =
      COCOON_TRY(sys::open_file(to, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600));
  sys::side_effect("create member");
  COCOON_TRY(disk::copy_file(source.get(), target.get()), "copy {}", from.native());
  return {};
}

// The base of a cloud image is a raw file here.
Result<void> copy_base(const fs::path& from, const fs::path& part) {
  constexpr const char* kImage = "image";
  auto work = COCOON_TRY(sys::TempDir::create(part, "base-"));
  COCOON_TRY(copy_into(from, work.path() / kImage));
  disk::Untrusted image{work.path(), kImage, disk::ImageFormat::kQcow2, 0, -1};
  {
    sys::UniqueFd file = COCOON_TRY(sys::open_file(work.path() / kImage, O_RDONLY | O_NOFOLLOW));
    std::string head = COCOON_TRY(disk::read_image_head(file.get()), "{}", from.native());
    image.virtual_size = COCOON_TRY(disk::check_qcow2(head), "{}", from.native()).virtual_size;
  }
  COCOON_TRY(disk::flatten_image(image, model::kBaseFile), "{}", from.native());
  return sys::rename_path(work.path() / model::kBaseFile, part / model::kBaseFile);
}

// The original's own, as if the archive had carried it. False: the store has none.
Result<bool> take_offered(Taking& job, const Wanted& wanted) {
  if (job.offer.store.empty()) return false;
  fs::path from = job.offer.store / snapshot::original_place(wanted.kind, wanted.blob.digest);
  if (!sys::exists(from)) return false;
  COCOON_TRY(wanted.kind == OriginalKind::kBase ? copy_base(from, job.part)
                                                : copy_into(from, job.part / wanted.member));
  COCOON_TRY(sys::check_cancelled());
  std::string sha256 = COCOON_TRY(image::sha256_file(job.part / wanted.member));
  struct stat info {};
  if (stat((job.part / wanted.member).c_str(), &info) != 0) return fail_errno("stat");
  job.unpacked.files[wanted.member] = {info.st_size, {}};
  SharedSource source{
      SharedSource::Home::kBlob, std::string(kFileBlob) + sha256, wanted.blob_kind, {}};
  if (wanted.kind == OriginalKind::kFirmware) source = {SharedSource::Home::kFirmware, {}, {}, {}};
  add_shared(job, wanted, std::move(source), std::move(sha256), info.st_size);
  return true;
}

Result<void> take_firmware(Taking& job, const Wanted& wanted, const vmm::Backend& backend) {
  if (COCOON_TRY(take_offered(job, wanted))) return {};
  if (!job.offer.assume_same) {
    return fail(ErrorKind::kNotFound, "{} is not in {}", snapshot::original_place(wanted.kind, {}),
                job.offer.store.native());
  }
  fs::path code = COCOON_TRY(backend.firmware()).code;
  std::string sha256 = COCOON_TRY(image::sha256_file(code));
  struct stat info {};
  if (stat(code.c_str(), &info) != 0) return fail_errno(fmt::format("stat {}", code.native()));
  add_shared(job, wanted, {SharedSource::Home::kFirmware, {}, {}, {}}, std::move(sha256),
             info.st_size);
  return {};
}

Result<void> take_blob(Taking& job, const Wanted& wanted) {
  if (COCOON_TRY(take_offered(job, wanted))) return {};
  if (COCOON_TRY(take_local(job, wanted))) return {};
  return fail(ErrorKind::kNotFound, "{} of the original's store is not {}: {}",
              snapshot::original_place(wanted.kind, wanted.blob.digest),
              job.offer.store.empty() ? "here" : "in " + job.offer.store.native(),
              job.offer.assume_same
                  ? fmt::format("import image \"{}\" first, or name that store with --blobs",
                                job.guest.snapshot.vm.config.image)
                  : "--assume-same-blobs takes this store's own for the same");
}

Result<void> take_shared(Taking& job, const vmm::Backend& backend) {
  const OriginalGuest& guest = job.guest;
  for (std::size_t i = 0; i < guest.layers.size(); ++i) {
    COCOON_TRY(
        take_blob(job, {OriginalKind::kLayer, guest.layers[i], model::layer_file(i), "layer"}));
  }
  if (!guest.kernel.path.empty()) {
    COCOON_TRY(
        take_blob(job, {OriginalKind::kKernel, guest.kernel, model::kGuestKernelFile, "boot"}));
    COCOON_TRY(
        take_blob(job, {OriginalKind::kInitrd, guest.initrd, model::kGuestInitrdFile, "boot"}));
  }
  if (guest.firmware.path.empty()) return {};
  OriginalBlob base{{}, guest.base};
  COCOON_TRY(take_blob(job, {OriginalKind::kBase, base, model::kBaseFile, "disk"}));
  return take_firmware(job, {OriginalKind::kFirmware, guest.firmware, model::kFirmwareFile, {}},
                       backend);
}

void list_members(Taking& job, const vmm::SavedFiles& saved) {
  auto add = [&job](const std::string& name, model::MemberKind kind) {
    const snapshot::UnpackedFile& file = job.unpacked.files[name];
    job.guest.snapshot.members.push_back({name, kind, file.size, file.pages});
  };
  for (const std::string& name : model::disk_files(job.guest.snapshot.vm)) {
    add(name, model::MemberKind::kDisk);
  }
  for (const std::string& name : saved.state) add(name, model::MemberKind::kState);
  add(saved.memory, model::MemberKind::kMemory);
}

}  // namespace

vmm::OriginalPaths original_paths(const OriginalGuest& guest) {
  vmm::OriginalPaths paths;
  paths.disks = guest.paths;
  paths.kernel = guest.kernel.path;
  paths.initrd = guest.initrd.path;
  paths.firmware = guest.firmware.path;
  return paths;
}

Result<void> replace_head(const fs::path& part, snapshot::Unpacked& unpacked,
                          const std::string& name, std::string_view head) {
  sys::UniqueFd file = COCOON_TRY(sys::open_file(part / name, O_WRONLY | O_NOFOLLOW), "{}", name);
  if (pwrite(file.get(), head.data(), head.size(), 0) != static_cast<ssize_t>(head.size())) {
    return fail_errno(fmt::format("write {}", name));
  }
  if (fsync(file.get()) != 0) return fail_errno(fmt::format("sync {}", name));
  sys::side_effect("write member");
  return note_file(part, unpacked, name);
}

Result<snapshot::Sidecar> take_original(Ports& ports, const OriginalOffer& offer,
                                        const std::string& id, const fs::path& part,
                                        snapshot::Unpacked& unpacked) {
  auto envelope = COCOON_TRY(snapshot::parse_envelope(unpacked.envelope));
  auto document = COCOON_TRY(snapshot::parse_document(unpacked.sidecar, snapshot::kSidecarFile));
  Taking job{ports, offer, part, unpacked, {}, {}};
  job.guest = COCOON_TRY(snapshot::parse_original(envelope, document));
  if (offer.store.empty() && !offer.assume_same) {
    return fail(ErrorKind::kUnsupported,
                "it is an archive of the original engine and holds no digests of what its guest "
                "rests on: name the original's store with --blobs, or say --assume-same-blobs");
  }
  model::Vm& vm = job.guest.snapshot.vm;
  vm.id = id;
  // No program in the guest speaks of its exit with a mark of ours; the shim wants one.
  constexpr std::size_t kNonceBytes = 16;
  vm.nonce = COCOON_TRY(random_hex(kNonceBytes));
  auto backend = COCOON_TRY(vmm::make_backend(vm.hypervisor, ports.config));
  auto saved = COCOON_TRY(backend->saved_files(vm));
  COCOON_TRY(check_files(job, saved));
  COCOON_TRY(take_root_disk(job));
  COCOON_TRY(take_devices(job, *backend));
  COCOON_TRY(take_shared(job, *backend));
  list_members(job, saved);
  job.sidecar.snapshot = std::move(job.guest.snapshot);
  return std::move(job.sidecar);
}

}  // namespace cocoon::engine
