// SPDX-License-Identifier: Apache-2.0
#include "engine/snapshot_import.h"

#include <algorithm>

#include "base/clock.h"
#include "base/id.h"
#include "disk/disk_image.h"
#include "disk/qcow2_header.h"
#include "engine/locks.h"
#include "engine/rollback.h"
#include "engine/snapshot_adopt.h"
#include "engine/snapshot_files.h"
#include "engine/snapshot_original.h"
#include "engine/snapshot_settle.h"
#include "engine/vm_files.h"
#include "network/netns.h"
#include "snapshot/archive/documents.h"
#include "store/kernel_rows.h"
#include "store/snapshot_rows.h"
#include "sys/cancel.h"
#include "sys/fault.h"
#include "vmm/backend.h"

namespace cocoon::engine {
namespace {

namespace fs = std::filesystem;

using Files = std::map<std::string, snapshot::UnpackedFile>;

// A row before the first side effect. Of the VM nothing is known yet.
Result<void> reserve(Ports& ports, const model::Snapshot& snapshot, Rollback& undo) {
  COCOON_TRY(reclaim_name(ports, snapshot.name));
  auto tx = COCOON_TRY(ports.db.begin());
  COCOON_TRY(store::insert_snapshot(ports.db, snapshot, {}));
  COCOON_TRY(tx.commit());
  sys::side_effect("reserve snapshot");
  undo.add("remove the snapshot", [&ports, id = snapshot.id] { return drop_snapshot(ports, id); });
  return {};
}

// The row again, with what it pins.
Result<void> pin(Ports& ports, const model::Snapshot& reserved, const model::Snapshot& snapshot,
                 const std::vector<std::string>& blobs) {
  bool named_by_archive = reserved.name.empty() && !snapshot.name.empty();
  if (named_by_archive) COCOON_TRY(reclaim_name(ports, snapshot.name));
  auto tx = COCOON_TRY(ports.db.begin());
  const std::string& kernel = snapshot.vm.boot.kernel_id;
  if (!kernel.empty() && !COCOON_TRY(store::get_kernel(ports.db, kernel))) {
    return fail(ErrorKind::kNotFound, "kernel object {} is not there any more", kernel);
  }
  COCOON_TRY(store::delete_snapshot(ports.db, snapshot.id));
  auto inserted = store::insert_snapshot(ports.db, snapshot, blobs);
  if (!inserted && named_by_archive && inserted.error().kind == ErrorKind::kConflict) {
    return fail(ErrorKind::kConflict, "{}: --name gives it another", inserted.error().to_string());
  }
  COCOON_TRY(std::move(inserted));
  COCOON_TRY(tx.commit());
  sys::side_effect("pin blobs");
  return {};
}

// What belonged to the host and the moment of the save goes; what is left describes a guest.
Result<void> make_ours(const SnapshotImportRequest& request, const model::Snapshot& reserved,
                       model::Snapshot& snapshot) {
  if (!snapshot.parent.empty()) {
    return fail(ErrorKind::kUnsupported, "it holds only what has changed since another snapshot");
  }
  snapshot.id = reserved.id;
  snapshot.state = model::SnapshotState::kPending;
  if (!request.name.empty()) snapshot.name = request.name;
  if (!request.description.empty()) snapshot.description = request.description;
  snapshot.source_vm.clear();
  snapshot.imported = true;
  snapshot.hibernated = false;
  snapshot.created_at = reserved.created_at;
  model::Vm& vm = snapshot.vm;
  vm.id = COCOON_TRY(generate_id());  // whose it was is not proven
  vm.state = model::VmState::kStopped;
  vm.uid = 0;
  vm.vmm = {};
  vm.op.reset();
  vm.exit_code.reset();
  vm.exit_reason.clear();
  vm.hibernation.clear();
  vm.ports.clear();
  if (!vm.boot.boot_kit) vm.boot.kernel_id.clear();  // nothing of it is needed
  for (model::Nic& nic : vm.nics) {
    if (nic.backend != model::kUserNic) nic.netns_path = network::netns_path(vm.id).native();
  }
  return {};
}

// State and memory are what this VMM makes at a save, no more and no less.
Result<void> check_saved(const model::Snapshot& snapshot, const vmm::SavedFiles& files) {
  auto is_state = [&files](const std::string& name) {
    return std::find(files.state.begin(), files.state.end(), name) != files.state.end();
  };
  for (const model::Member& member : snapshot.members) {
    bool is_strange = (member.kind == model::MemberKind::kState && !is_state(member.name)) ||
                      (member.kind == model::MemberKind::kMemory && member.name != files.memory);
    if (!is_strange) continue;
    return fail(ErrorKind::kCorrupt, "member {} is nothing that {} saves", member.name,
                snapshot.vm.hypervisor);
  }
  for (const std::string& name : files.state) {
    const model::Member* member = model::find_member(snapshot, name);
    if (member != nullptr && member->kind == model::MemberKind::kState) continue;
    return fail(ErrorKind::kCorrupt, "{} is not among the members", name);
  }
  const model::Member* memory = model::find_member(snapshot, files.memory);
  if (memory != nullptr && memory->kind == model::MemberKind::kMemory) return {};
  return fail(ErrorKind::kCorrupt, "{} is not among the members", files.memory);
}

// Every member of its own is there, of its size and with its digest, and nothing else is.
Result<void> check_own_members(model::Snapshot& snapshot, Files files) {
  for (model::Member& member : snapshot.members) {
    if (member.kind == model::MemberKind::kShared) continue;
    auto file = files.find(member.name);
    if (file == files.end()) {
      return fail(ErrorKind::kCorrupt, "member {} is missing", member.name);
    }
    if (file->second.size != member.size) {
      return fail(ErrorKind::kCorrupt, "member {} has {} bytes instead of {}", member.name,
                  file->second.size, member.size);
    }
    if (!member.sha256.empty() && file->second.pages != member.sha256) {
      return fail(ErrorKind::kCorrupt, "member {} is damaged: its digest is another one",
                  member.name);
    }
    member.sha256 = file->second.pages;
    files.erase(file);
  }
  if (files.empty()) return {};
  return fail(ErrorKind::kCorrupt, "{} is not among the members", files.begin()->first);
}

// An overlay that names another file would have the VMM open that (spec 04 §17 row 15).
Result<void> check_overlays(const model::Snapshot& snapshot, const fs::path& part) {
  for (const model::Disk& disk : snapshot.vm.disks) {
    if (disk.role != model::DiskRole::kCow || disk.backing.empty()) continue;
    sys::UniqueFd fd = COCOON_TRY(sys::open_file(part / disk.path, O_RDONLY | O_NOFOLLOW));
    std::string head = COCOON_TRY(disk::read_image_head(fd.get()), "{}", disk.path);
    COCOON_TRY(disk::check_overlay(head, disk.backing), "member {}", disk.path);
  }
  return {};
}

// Own members become what a save makes of them; shared ones have to be as long as the sidecar says.
Result<void> seal(const model::Snapshot& snapshot, const fs::path& part) {
  for (const model::Member& member : snapshot.members) {
    auto sealed = COCOON_TRY(seal_member(part, member.name, member.kind));
    if (sealed.size == member.size) continue;
    return fail(ErrorKind::kCorrupt, "member {} has {} bytes instead of {}", member.name,
                sealed.size, member.size);
  }
  return {};
}

Result<void> commit(Ports& ports, const model::Snapshot& snapshot) {
  COCOON_TRY(ports.db.set_durable(true));
  auto tx = COCOON_TRY(ports.db.begin());
  COCOON_TRY(store::update_snapshot(ports.db, snapshot));
  COCOON_TRY(tx.commit());
  return ports.db.set_durable(false);
}

// An import under way.
struct Import {
  Ports& ports;
  const SnapshotImportRequest& request;
  model::Snapshot reserved;
  bool lent = false;  // it gets no name
  fs::path part;
  SharedMembers shared;
};

// What the documents say. Those of the original engine say less: what they leave out is found, and
// the files get our form.
Result<snapshot::Sidecar> read_documents(const Import& job, snapshot::Unpacked& unpacked) {
  if (unpacked.envelope.empty() || unpacked.sidecar.empty()) {
    return fail(ErrorKind::kCorrupt, "it is no snapshot: there is no {}",
                unpacked.envelope.empty() ? snapshot::kEnvelopeFile : snapshot::kSidecarFile);
  }
  auto document = COCOON_TRY(snapshot::parse_document(unpacked.sidecar, snapshot::kSidecarFile));
  if (!snapshot::is_own_sidecar(document)) {
    OriginalOffer offer{job.request.blobs, job.request.assume_same_blobs};
    std::string id = COCOON_TRY(generate_id());
    return take_original(job.ports, offer, id, job.part, unpacked);
  }
  COCOON_TRY(snapshot::parse_envelope(unpacked.envelope));
  auto sidecar = COCOON_TRY(snapshot::parse_sidecar(document));
  if (!sidecar.original_form) return sidecar;
  COCOON_TRY(model::validate(sidecar.snapshot));
  COCOON_TRY(take_own_form(job.ports, job.part, sidecar, unpacked));
  return sidecar;
}

// What the archive says of the snapshot, under all rules, before anything in it is acted upon.
Result<snapshot::Sidecar> checked_record(const Import& job, snapshot::Unpacked& unpacked) {
  auto sidecar = COCOON_TRY(read_documents(job, unpacked));
  model::Snapshot& snapshot = sidecar.snapshot;
  COCOON_TRY(make_ours(job.request, job.reserved, snapshot));
  COCOON_TRY(model::validate(snapshot));
  auto backend = COCOON_TRY(vmm::make_backend(snapshot.vm.hypervisor, job.ports.config));
  auto saved = COCOON_TRY(backend->saved_files(snapshot.vm));
  COCOON_TRY(check_saved(snapshot, saved));
  snapshot.untrusted = saved.names_files && !job.request.trust;
  return sidecar;
}

// What is invalid in an archive is no mistake of whoever calls.
Result<snapshot::Sidecar> as_found(Result<snapshot::Sidecar> sidecar) {
  if (sidecar || sidecar.error().kind != ErrorKind::kInvalid) return sidecar;
  Error error = std::move(sidecar).error();
  error.kind = ErrorKind::kCorrupt;
  return pass(std::move(error));
}

// Everything but the last commit: files complete in `part`, everything checked, blobs pinned.
Result<SnapshotImportReport> take_in(Import& job, Rollback& undo) {
  Ports& ports = job.ports;
  SnapshotImportReport report;
  COCOON_TRY(reserve(ports, job.reserved, undo));
  COCOON_TRY(sys::make_dirs(job.part, 0700));
  sys::side_effect("make snapshot directory");
  auto unpacked = COCOON_TRY(unpack_snapshot(job.request.source, job.part));
  auto sidecar = COCOON_TRY(as_found(checked_record(job, unpacked)));
  COCOON_TRY(job.shared.settle(sidecar, unpacked.files));
  model::Snapshot& snapshot = sidecar.snapshot;
  COCOON_TRY(check_own_members(snapshot, std::move(unpacked.files)));
  COCOON_TRY(check_overlays(snapshot, job.part));
  COCOON_TRY(model::validate(snapshot));
  model::Snapshot row = snapshot;
  if (job.lent) row.name.clear();
  COCOON_TRY(pin(ports, job.reserved, row, job.shared.blobs()));
  COCOON_TRY(job.shared.link());
  COCOON_TRY(seal(snapshot, job.part));
  COCOON_TRY(sys::check_cancelled());
  report.snapshot = std::move(snapshot);
  report.skipped = std::move(unpacked.skipped);
  return report;
}

// What is done with a snapshot that is taken in, as part of its import.
using Finish = std::function<Result<void>(Import&, SnapshotImportReport&, Rollback&)>;

Result<void> run(Import& job, SnapshotImportReport& report, const Finish& finish) {
  Rollback undo;
  report = COCOON_TRY(take_in(job, undo));
  return finish(job, report, undo);
}

Result<SnapshotImportReport> import_with(Ports& ports, const SnapshotImportRequest& request,
                                         bool lent, const Finish& finish) {
  if (!request.name.empty()) COCOON_TRY(model::check_snapshot_name(request.name));
  COCOON_TRY(check_layout(ports));
  if (!request.blobs.empty()) COCOON_TRY(sys::open_dir(request.blobs), "--blobs").reset();
  model::Snapshot reserved;
  reserved.id = COCOON_TRY(generate_id());
  reserved.name = request.name;
  reserved.imported = true;
  reserved.created_at = utc_now();
  auto lock = COCOON_TRY(
      lock_snapshot(ports, reserved.id, sys::FileLock::Mode::kExclusive, "snapshot import"));
  fs::path part = snapshot_part(ports, reserved.id);
  Import job{ports, request, reserved, lent, part, SharedMembers(ports, part, request.blobs)};
  SnapshotImportReport report;
  auto done = run(job, report, finish);
  if (done && !lent) return report;
  job.shared.undo();  // of what nobody has kept
  lock.unlink();
  COCOON_TRY(std::move(done));
  return report;
}

Result<std::string> read_document(int dir, std::string_view name) {
  sys::UniqueFd file =
      COCOON_TRY(sys::open_beneath(dir, std::string(name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
  return sys::read_fd(file.get(), snapshot::kMaxDocument);
}

Result<model::Snapshot> record_of(int dir, std::string_view sidecar) {
  auto document = COCOON_TRY(snapshot::parse_document(sidecar, snapshot::kSidecarFile));
  if (snapshot::is_own_sidecar(document)) {
    return COCOON_TRY(snapshot::parse_sidecar(document)).snapshot;
  }
  std::string text = COCOON_TRY(read_document(dir, snapshot::kEnvelopeFile));
  auto envelope = COCOON_TRY(snapshot::parse_envelope(text));
  return COCOON_TRY(snapshot::parse_original(envelope, document)).snapshot;
}

}  // namespace

Result<SnapshotImportReport> import_snapshot(Ports& ports, const SnapshotImportRequest& request) {
  auto finish = [&ports](Import& job, SnapshotImportReport& report,
                         Rollback& undo) -> Result<void> {
    report.snapshot.state = model::SnapshotState::kReady;
    COCOON_TRY(publish_snapshot(ports, report.snapshot));
    COCOON_TRY(commit(ports, report.snapshot));
    undo.commit();
    job.shared.keep();
    return {};
  };
  return COCOON_TRY(import_with(ports, request, false, finish), "import snapshot");
}

Result<void> lend_snapshot(Ports& ports, const SnapshotImportRequest& request,
                           const std::function<Result<void>(const SnapshotImportReport&)>& use) {
  bool used = false;
  auto finish = [&](Import& job, SnapshotImportReport& report, Rollback&) -> Result<void> {
    COCOON_TRY(publish_snapshot(ports, report.snapshot));
    // The row pins all of it, and so do the rows of what is made of it.
    job.shared.keep();
    used = true;
    return use(report);
  };
  auto lent = import_with(ports, request, true, finish);
  if (lent) return {};
  return used ? pass(std::move(lent).error())
              : pass(std::move(lent).error(), "take in the snapshot");
}

Result<model::Snapshot> read_snapshot_directory(const fs::path& directory) {
  sys::UniqueFd dir = COCOON_TRY(sys::open_dir(directory));
  std::string text = COCOON_TRY(read_document(dir.get(), snapshot::kSidecarFile));
  return COCOON_TRY(record_of(dir.get(), text), "{}", directory.native());
}

}  // namespace cocoon::engine
