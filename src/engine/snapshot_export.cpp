// SPDX-License-Identifier: Apache-2.0
#include "engine/snapshot_export.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <map>
#include <utility>

#include "disk/file_copy.h"
#include "engine/locks.h"
#include "engine/outside_temp.h"
#include "engine/snapshot_files.h"
#include "engine/snapshot_original.h"
#include "engine/snapshot_verify.h"
#include "engine/vm_load.h"
#include "model/wording.h"
#include "snapshot/archive/archive_writer.h"
#include "snapshot/archive/documents.h"
#include "snapshot/archive/member_digest.h"
#include "snapshot/archive/sparse_map.h"
#include "store/blob_rows.h"
#include "store/kernel_rows.h"
#include "store/snapshot_rows.h"
#include "sys/cancel.h"
#include "sys/fault.h"
#include "vmm/launch.h"

namespace cocoon::engine {
namespace {

namespace fs = std::filesystem;
using snapshot::Packing;
using snapshot::SharedSource;

// What goes into an archive. Sorted bytewise by name, as the original has them.
struct Content {
  std::string envelope;
  std::string sidecar;
  std::map<std::string, fs::path> files;
  // In the original's form: texts in the place of files, and of the first bytes of others.
  std::map<std::string, std::string> texts, heads;
};

bool is_same_file(const fs::path& one, const fs::path& other) {
  std::error_code error;
  return fs::equivalent(one, other, error) && !error;
}

// Members of the store are hard links, so the inode tells which blob a boot file is.
Result<SharedSource> pinned_source(Ports& ports, const model::Snapshot& snapshot,
                                   const std::string& name) {
  fs::path file = snapshot_dir(ports, snapshot.id) / name;
  for (const std::string& id : COCOON_TRY(store::snapshot_blobs(ports.db, snapshot.id))) {
    auto blob = COCOON_TRY(store::get_blob(ports.db, id));
    if (!blob || !is_same_file(ports.paths.root() / blob->file, file)) continue;
    return SharedSource{SharedSource::Home::kBlob, id, blob->kind, {}};
  }
  return fail(ErrorKind::kCorrupt, "member {} is no link to anything in the store", name);
}

Result<SharedSource> kernel_source(const Ports& ports, const model::Snapshot& snapshot) {
  const model::BootConfig& boot = snapshot.vm.boot;
  for (std::string_view file : {model::kKernelFile, model::kVmlinuxFile}) {
    bool is_it = is_same_file(ports.paths.kernel(boot.kernel_id) / file,
                              snapshot_dir(ports, snapshot.id) / boot.kernel);
    if (is_it)
      return SharedSource{SharedSource::Home::kKernel, boot.kernel_id, {}, std::string(file)};
  }
  return fail(ErrorKind::kCorrupt, "member {} is no link to kernel object {}", boot.kernel,
              boot.kernel_id);
}

Result<SharedSource> source_of(Ports& ports, const model::Snapshot& snapshot,
                               const std::string& name) {
  const model::BootConfig& boot = snapshot.vm.boot;
  if (name == boot.firmware) return SharedSource{SharedSource::Home::kFirmware, {}, {}, {}};
  if (name == boot.kernel && boot.boot_kit) return kernel_source(ports, snapshot);
  return pinned_source(ports, snapshot, name);
}

// The kernel object's own files, under names that no member has.
Result<void> carry_kernel(Ports& ports, snapshot::Sidecar& sidecar, Content& content,
                          const std::string& id) {
  auto kernel = COCOON_TRY(store::get_kernel(ports.db, id));
  if (!kernel) return fail(ErrorKind::kNotFound, "kernel object {} is gone", id);
  for (std::string_view file : {model::kKernelFile, model::kInitramfsFile, model::kVmlinuxFile}) {
    if (file == model::kVmlinuxFile && kernel->vmlinux_size == 0) continue;
    content.files[std::string(snapshot::kKernelPrefix) + std::string(file)] =
        ports.paths.kernel(id) / file;
  }
  sidecar.kernel_object = std::move(*kernel);
  return {};
}

// As others get it: not what a VM of this host sleeps in.
model::Snapshot as_exported(model::Snapshot snapshot) {
  snapshot.hibernated = false;
  return snapshot;
}

// The same snapshot in the form that the original reads, and all that only we read besides.
Result<void> give_original_form(Ports& ports, snapshot::Sidecar& sidecar, Content& content) {
  model::Snapshot& snapshot = sidecar.snapshot;
  OriginalForm form = COCOON_TRY(original_form(ports, snapshot, sidecar.shared));
  for (model::Member& member : snapshot.members) {
    if (member.name == form.memory_member) member.name = form.memory_name;
    for (const vmm::LoadText& text : form.texts) {
      if (member.name != text.name) continue;
      member.size = static_cast<std::int64_t>(text.text.size());
      member.sha256 = snapshot::pages_digest(text.text);
    }
  }
  snapshot.vm.memory_backing.clear();  // it lies beside the state there
  auto memory = content.files.extract(form.memory_member);
  memory.key() = form.memory_name;
  content.files.insert(std::move(memory));
  for (vmm::LoadText& text : form.texts) content.texts[text.name] = std::move(text.text);
  if (!form.overlay.empty()) content.heads[form.overlay] = std::move(form.overlay_head);
  sidecar.original_form = true;
  content.envelope = snapshot::original_envelope(form.guest);
  content.sidecar = snapshot::render_sidecar(sidecar, snapshot::original_sidecar(form.guest));
  return {};
}

// Standard output is read by clients of the original; what cannot have its form is for us alone.
Result<bool> wants_original_form(const ExportRequest& request) {
  bool zstd = request.packing == Packing::kZstd ||
              (!request.packing && packing_of(request.file) == Packing::kZstd);
  if (request.compat && zstd) {
    return fail(ErrorKind::kUnsupported, "the original engine reads no zstd: --gzip, or a .tar");
  }
  if (request.compat) return true;
  return request.file == "-" && request.to_dir.empty() && !zstd && !request.with_image;
}

Result<Content> gather(Ports& ports, const model::Snapshot& snapshot,
                       const ExportRequest& request) {
  bool with_image = request.with_image;
  Content content;
  snapshot::Sidecar sidecar;
  sidecar.snapshot = as_exported(snapshot);
  fs::path dir = snapshot_dir(ports, snapshot.id);
  for (const model::Member& member : snapshot.members) {
    if (member.kind != model::MemberKind::kShared) {
      content.files[member.name] = dir / member.name;
      continue;
    }
    SharedSource source = COCOON_TRY(source_of(ports, snapshot, member.name));
    bool of_object = source.home == SharedSource::Home::kKernel;
    if (with_image && of_object) COCOON_TRY(carry_kernel(ports, sidecar, content, source.id));
    if (with_image && !of_object) content.files[member.name] = dir / member.name;
    sidecar.shared[member.name] = std::move(source);
  }
  if (COCOON_TRY(wants_original_form(request))) {
    Content other = content;
    auto given = give_original_form(ports, sidecar, other);
    if (given) return other;
    if (request.compat || given.error().kind != ErrorKind::kUnsupported) {
      return pass(std::move(given).error());
    }
  }
  content.envelope = snapshot::render_envelope(sidecar.snapshot);
  content.sidecar = snapshot::render_sidecar(sidecar);
  return content;
}

// Tells how much was written, before it is packed.
class CountedSink : public snapshot::ByteSink {
 public:
  CountedSink(snapshot::SinkPtr inner, const ExportRequest& request, std::int64_t total)
      : inner_(std::move(inner)), request_(request), total_(total) {}

  Result<void> write(std::string_view bytes) override {
    COCOON_TRY(inner_->write(bytes));
    done_ += static_cast<std::int64_t>(bytes.size());
    // Headers are not counted in the total.
    if (request_.progress) request_.progress(std::min(done_, total_), total_);
    return {};
  }
  Result<void> finish() override { return inner_->finish(); }

 private:
  snapshot::SinkPtr inner_;
  const ExportRequest& request_;
  std::int64_t done_ = 0;
  std::int64_t total_;
};

// Of data; 0 for a file that is gone, which is said when its turn comes.
std::int64_t data_bytes_of(const fs::path& path) {
  auto file = sys::open_file(path, O_RDONLY | O_NOFOLLOW);
  struct stat info {};
  if (!file || fstat(file->get(), &info) != 0) return 0;
  auto data = snapshot::find_data(file->get(), info.st_size);
  return data ? snapshot::data_bytes(*data) : info.st_size;
}

Result<void> write_archive(const Content& content, int fd, Packing packing,
                           const ExportRequest& request) {
  std::int64_t total = 0;
  for (const auto& [name, path] : content.files) total += data_bytes_of(path);
  CountedSink sink(COCOON_TRY(snapshot::open_sink(fd, packing)), request, total);
  snapshot::ArchiveWriter writer(sink);
  std::int64_t now = time(nullptr);
  COCOON_TRY(writer.add_text(std::string(snapshot::kEnvelopeFile), content.envelope, now));
  bool has_sidecar = false;
  auto add_sidecar = [&]() -> Result<void> {
    has_sidecar = true;
    return writer.add_text(std::string(snapshot::kSidecarFile), content.sidecar, now);
  };
  for (const auto& [name, path] : content.files) {
    if (!has_sidecar && name > snapshot::kSidecarFile) COCOON_TRY(add_sidecar());
    if (auto text = content.texts.find(name); text != content.texts.end()) {
      COCOON_TRY(writer.add_text(name, text->second, now));
      continue;
    }
    auto head = content.heads.find(name);
    sys::UniqueFd file = COCOON_TRY(sys::open_file(path, O_RDONLY | O_NOFOLLOW));
    COCOON_TRY(writer.add_file(name, file.get(),
                               head == content.heads.end() ? std::string_view() : head->second));
  }
  if (!has_sidecar) COCOON_TRY(add_sidecar());
  return writer.finish();
}

Failure already_there(const fs::path& path) {
  return fail(ErrorKind::kConflict, "{} {}: use --force to replace it", path.native(),
              model::kAlreadyExists);
}

// A file that has no name until it is complete. Where the file system cannot do that it has one
// that tells what it is, and loses it with the object.
class NewFile {
 public:
  static Result<NewFile> create(const Ports& ports, const fs::path& path) {
    auto unnamed = sys::open_file(parent_of(path), O_TMPFILE | O_WRONLY, 0600);
    if (unnamed) return NewFile(ports, std::move(*unnamed), path, std::nullopt);
    bool unable =
        unnamed.error().saved_errno == EOPNOTSUPP || unnamed.error().saved_errno == EISDIR;
    if (!unable) return pass(std::move(unnamed).error());
    auto temp = COCOON_TRY(OutsideTemp::note(ports, parent_of(path)));
    auto fd =
        COCOON_TRY(sys::open_file(temp.path(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600));
    return NewFile(ports, std::move(fd), path, std::move(temp));
  }

  int fd() const { return fd_.get(); }

  // Synced and under its name. Without `force` never in the place of another file.
  Result<void> publish(bool force) {
    if (fsync(fd_.get()) != 0) return fail_errno(fmt::format("sync {}", path_.native()));
    if (!force) {
      COCOON_TRY(link_as(path_));
    } else {
      if (!temp_) {
        temp_.emplace(COCOON_TRY(OutsideTemp::note(ports_, parent_of(path_))));
        COCOON_TRY(link_as(temp_->path()));
      }
      COCOON_TRY(sys::rename_path(temp_->path(), path_));
    }
    return sys::sync_dir(parent_of(path_));
  }

 private:
  NewFile(const Ports& ports, sys::UniqueFd fd, fs::path path, std::optional<OutsideTemp> temp)
      : ports_(ports), fd_(std::move(fd)), path_(std::move(path)), temp_(std::move(temp)) {}

  static fs::path parent_of(const fs::path& path) {
    return path.has_parent_path() ? path.parent_path() : fs::path(".");
  }

  Result<void> link_as(const fs::path& path) const {
    std::string self = fmt::format("/proc/self/fd/{}", fd_.get());
    if (linkat(AT_FDCWD, self.c_str(), AT_FDCWD, path.c_str(), AT_SYMLINK_FOLLOW) == 0) return {};
    if (errno == EEXIST) return already_there(path);
    return fail_errno(fmt::format("make {}", path.native()));
  }

  const Ports& ports_;
  sys::UniqueFd fd_;
  fs::path path_;
  std::optional<OutsideTemp> temp_;  // none: it has no name
};

Result<bool> is_absent(const fs::path& path, struct stat& info) {
  if (lstat(path.c_str(), &info) == 0) return false;
  if (errno == ENOENT) return true;
  return fail_errno(fmt::format("look at {}", path.native()));
}

// What takes the place of a device or a link would do more than the user means.
Result<void> check_free(const fs::path& path, bool force) {
  struct stat info {};
  if (COCOON_TRY(is_absent(path, info))) return {};
  if (!S_ISREG(info.st_mode)) {
    return fail(ErrorKind::kConflict, "{} {} and is no regular file", path.native(),
                model::kAlreadyExists);
  }
  if (!force) return already_there(path);
  return {};
}

Result<void> check_free_dir(const fs::path& dir) {
  std::error_code error;
  struct stat info {};
  if (COCOON_TRY(is_absent(dir, info))) return {};
  if (S_ISDIR(info.st_mode) && fs::is_empty(dir, error)) return {};
  return fail(ErrorKind::kConflict, "{} {} and is no empty directory", dir.native(),
              model::kAlreadyExists);
}

Result<void> write_to_dir(const Ports& ports, const Content& content, const fs::path& dir) {
  std::error_code error;
  COCOON_TRY(check_free_dir(dir));
  fs::path absolute = fs::absolute(dir, error);
  if (!absolute.has_filename()) absolute = absolute.parent_path();  // it was given as "dir/"
  auto temp = COCOON_TRY(OutsideTemp::note(ports, absolute.parent_path()));
  if (mkdir(temp.path().c_str(), 0700) != 0) {
    return fail_errno(fmt::format("make {}", temp.path().native()));
  }
  sys::side_effect("make directory");
  for (const auto& [name, path] : content.files) {
    sys::UniqueFd from = COCOON_TRY(sys::open_file(path, O_RDONLY | O_NOFOLLOW));
    sys::UniqueFd to =
        COCOON_TRY(sys::open_file(temp.path() / name, O_WRONLY | O_CREAT | O_EXCL, 0600));
    COCOON_TRY(disk::copy_file(from.get(), to.get()), "copy {}", name);
    if (fsync(to.get()) != 0) return fail_errno(fmt::format("sync {}", name));
  }
  COCOON_TRY(sys::write_file_atomic(temp.path() / snapshot::kEnvelopeFile, content.envelope, 0644));
  COCOON_TRY(sys::write_file_atomic(temp.path() / snapshot::kSidecarFile, content.sidecar, 0644));
  COCOON_TRY(sys::sync_dir(temp.path()));
  COCOON_TRY(sys::rename_path(temp.path(), absolute));
  sys::side_effect("publish directory");
  return sys::sync_dir(absolute.parent_path());
}

std::string_view suffix_of(Packing packing) {
  switch (packing) {
    case Packing::kNone:
      return ".tar";
    case Packing::kGzip:
      return ".tar.gz";
    case Packing::kZstd:
      return ".tar.zst";
  }
  return "";
}

fs::path default_file(const model::Snapshot& snapshot, const ExportRequest& request) {
  std::string base = snapshot.name.empty() ? snapshot.id : model::file_name_of(snapshot.name);
  Packing usual = request.compat ? Packing::kNone : Packing::kZstd;
  return base + std::string(suffix_of(request.packing.value_or(usual)));
}

// Where it goes; empty for standard output.
fs::path target_of(const model::Snapshot& snapshot, const ExportRequest& request) {
  if (!request.to_dir.empty()) return request.to_dir;
  if (request.file == "-") return {};
  return request.file.empty() ? default_file(snapshot, request) : fs::path(request.file);
}

// Said before every byte of a large snapshot has been read.
Result<void> check_target(const fs::path& target, const ExportRequest& request) {
  if (target.empty()) return {};
  return request.to_dir.empty() ? check_free(target, request.force) : check_free_dir(target);
}

Result<void> write_out(const Ports& ports, const Content& content, const fs::path& path,
                       const ExportRequest& request) {
  if (!request.to_dir.empty()) return write_to_dir(ports, content, path);
  if (path.empty()) {
    COCOON_TRY(write_archive(content, request.standard_output,
                             request.packing.value_or(Packing::kNone), request),
               "standard output");
    return {};
  }
  COCOON_TRY(check_free(path, request.force));
  NewFile file = COCOON_TRY(NewFile::create(ports, path));
  Packing packing = request.packing.value_or(packing_of(path.filename().native()));
  COCOON_TRY(write_archive(content, file.fd(), packing, request), "write {}", path.native());
  COCOON_TRY(sys::check_cancelled());
  COCOON_TRY(file.publish(request.force));
  sys::side_effect("publish archive");
  return {};
}

}  // namespace

Packing packing_of(std::string_view file_name) {
  if (file_name.ends_with(".gz") || file_name.ends_with(".tgz")) return Packing::kGzip;
  if (file_name.ends_with(".zst") || file_name.ends_with(".tzst")) return Packing::kZstd;
  return Packing::kNone;
}

Result<ExportReport> export_snapshot(Ports& ports, const std::string& id,
                                     const ExportRequest& request) {
  auto lock = COCOON_TRY(lock_snapshot(ports, id, sys::FileLock::Mode::kShared, "export"));
  ExportReport report;
  report.snapshot = COCOON_TRY(ready_snapshot(ports, id));
  std::string what = report.snapshot.name.empty() ? id : report.snapshot.name;
  if (!report.snapshot.parent.empty()) {
    return fail(ErrorKind::kUnsupported,
                "export snapshot \"{}\": it holds only what has changed since snapshot {}, and an "
                "archive stands for itself: export a whole snapshot of a clone of it",
                what, report.snapshot.parent);
  }
  report.file = target_of(report.snapshot, request);
  COCOON_TRY(check_target(report.file, request), "export snapshot \"{}\"", what);
  report.snapshot =
      COCOON_TRY(with_digests(ports, std::move(report.snapshot)), "export snapshot \"{}\"", what);
  Content content =
      COCOON_TRY(gather(ports, report.snapshot, request), "export snapshot \"{}\"", what);
  COCOON_TRY(write_out(ports, content, report.file, request), "export snapshot \"{}\"", what);
  return report;
}

}  // namespace cocoon::engine
