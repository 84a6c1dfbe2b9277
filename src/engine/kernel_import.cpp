// SPDX-License-Identifier: Apache-2.0
#include "engine/kernel_import.h"

#include <sys/stat.h>
#include <unistd.h>

#include <set>

#include "base/clock.h"
#include "image/acquire/byte_source.h"
#include "image/acquire/digest.h"
#include "image/acquire/documents.h"
#include "image/acquire/initramfs.h"
#include "image/acquire/kernel_image.h"
#include "image/acquire/kernel_unpack.h"
#include "image/acquire/module_tree.h"
#include "image/acquire/work_dir.h"
#include "store/kernel_rows.h"
#include "sys/cancel.h"
#include "sys/fault.h"
#include "sys/spawn.h"

namespace cocoon::engine {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxKernel = std::size_t{1} << 30;
constexpr std::size_t kMaxGuestProgram = std::size_t{64} << 20;
// Raised when the same parts would make another object: those of before are not it then.
// 2: with an unpacked kernel.
constexpr int kLayoutVersion = 2;

// Everything that an object is made from.
struct Parts {
  std::string kernel;  // bytes
  image::KernelImage facts;
  std::string guest_program;
  std::optional<image::ModuleTree> modules;
  std::string version;

  std::string id() const {
    return image::sha256_hex(
        fmt::format("cocoon kernel {}\nkernel {}\nguest {}\nmodules {}\nversion {}\n",
                    kLayoutVersion, image::sha256_hex(kernel), image::sha256_hex(guest_program),
                    modules ? modules->digest : "none", version));
  }
};

Result<std::string> read_kernel(const fs::path& path) {
  auto file = COCOON_TRY(image::FileSource::open(path));
  auto peeked = std::make_unique<image::PeekSource>(std::move(file));
  image::SourcePtr source = std::move(peeked);
  std::string bytes = COCOON_TRY(image::read_all(*source, kMaxKernel, "it"));
  // arm64 distributions ship Image.gz under the name vmlinuz.
  if (image::sniff_compression(bytes) != image::Compression::kGzip) return bytes;
  auto plain =
      COCOON_TRY(image::decompress(std::make_unique<image::MemorySource>(std::move(bytes))));
  return image::read_all(*plain, kMaxKernel, "it");
}

Result<std::string> read_guest_program(const fs::path& given) {
  fs::path path = given;
  if (path.empty()) path = fs::path(COCOON_TRY(sys::libexec_dir())) / "cocoon-guest";
  auto bytes = sys::read_file(path, kMaxGuestProgram);
  if (bytes) return bytes;
  if (bytes.error().saved_errno == ENOENT) {
    return fail(ErrorKind::kUnsupported, "{} is missing: the installation is incomplete",
                path.native());
  }
  return pass(std::move(bytes).error());
}

Result<Parts> read_parts(const KernelImportRequest& request) {
  Parts parts;
  parts.kernel = COCOON_TRY(read_kernel(request.kernel), "read {}", request.kernel.native());
  parts.facts =
      COCOON_TRY(image::parse_kernel_image(parts.kernel), "read {}", request.kernel.native());
  auto host = image::host_platform();
  if (parts.facts.architecture != host.architecture) {
    return fail(ErrorKind::kUnsupported, "the kernel is made for {}, this host is {}",
                parts.facts.architecture, host.architecture);
  }
  parts.guest_program = COCOON_TRY(read_guest_program(request.guest_program));
  parts.version = parts.facts.version;
  if (request.modules.empty()) return parts;
  parts.modules = COCOON_TRY(image::find_module_tree(request.modules, parts.version));
  if (parts.version.empty()) parts.version = parts.modules->path.filename();
  return parts;
}

class KernelBuild {
 public:
  KernelBuild(Ports& ports, image::BlobStore& blobs, const image::WorkDir& work,
              const image::ProgressSink& progress)
      : ports_(ports), blobs_(blobs), work_(work), progress_(progress) {}

  // Makes directory and row of the object; its lock is held.
  Result<model::Kernel> make(const Parts& parts);

 private:
  Result<void> stage_modules(const Parts& parts);
  Result<image::BlobLease> modules_blob(const image::ModuleTree& tree);
  Result<std::vector<image::LoadedModule>> load_modules(const Parts& parts);
  Result<void> write(model::Kernel& kernel, const Parts& parts, const std::string& initramfs,
                     const std::string& vmlinux);

  Ports& ports_;
  image::BlobStore& blobs_;
  const image::WorkDir& work_;
  const image::ProgressSink& progress_;
  fs::path staged_;
};

Result<void> KernelBuild::stage_modules(const Parts& parts) {
  if (!parts.modules) return {};
  staged_ =
      COCOON_TRY(image::stage_module_tree(*parts.modules, parts.version, work_.path() / "modules"));
  return {};
}

Result<image::BlobLease> KernelBuild::modules_blob(const image::ModuleTree& tree) {
  std::string key = "modules-" + tree.digest;
  auto there = COCOON_TRY(blobs_.find_like(key + "-", "modules"));
  if (there) return std::move(*there);
  auto tool = COCOON_TRY(image::probe_erofs(ports_.config.erofs_compression));
  model::Blob blob;
  blob.kind = "modules";
  blob.converter = tool.staged_id();
  blob.id = fmt::format("{}-{}", key, blob.converter);
  auto make = [&](const image::BlobStore::Order& order, model::Blob& made) -> Result<void> {
    image::ErofsJob job;
    job.output = order.file;
    job.work = work_.path();
    job.uuid = image::uuid_v5(key);
    job.no_times = true;
    job.keep_open = {order.lock_fd, work_.lock_fd()};
    COCOON_TRY(image::build_erofs(tool, job, staged_));
    sys::side_effect("make erofs");
    made.tool = tool.name();
    made.uuid = job.uuid;
    return {};
  };
  progress_({"modules", 0, 0, "making a file system of the modules"});
  return blobs_.ensure(std::move(blob), work_.path(), make);
}

Result<std::vector<image::LoadedModule>> KernelBuild::load_modules(const Parts& parts) {
  std::vector<image::LoadedModule> modules;
  if (!parts.modules) return modules;
  auto index = COCOON_TRY(image::read_module_index(staged_), "read the module index");
  auto plan = COCOON_TRY(image::plan_initramfs_modules(index));
  for (image::InitramfsModule& module : plan) {
    std::string bytes = COCOON_TRY(image::read_module(staged_, module.path));
    std::string made_for = image::module_version(bytes);
    if (!made_for.empty() && made_for != parts.version) {
      return fail(ErrorKind::kInvalid, "the modules are for kernel {}, the kernel is {}", made_for,
                  parts.version);
    }
    modules.push_back({std::move(module), std::move(bytes)});
  }
  return modules;
}

Result<void> write_part(const fs::path& path, const std::string& bytes) {
  COCOON_TRY(sys::write_file_atomic(path, bytes, 0444));
  return sys::set_owner(path, 0, 0, 0444);
}

// Rows before files: the object's directory appears whole, under a row that gc knows.
Result<void> KernelBuild::write(model::Kernel& kernel, const Parts& parts,
                                const std::string& initramfs, const std::string& vmlinux) {
  fs::path dir = work_.path() / "object";
  COCOON_TRY(sys::make_dirs(dir, 0700));
  COCOON_TRY(write_part(dir / model::kKernelFile, parts.kernel));
  COCOON_TRY(write_part(dir / model::kInitramfsFile, initramfs));
  if (!vmlinux.empty()) COCOON_TRY(write_part(dir / model::kVmlinuxFile, vmlinux));
  COCOON_TRY(store::put_pending_kernel(ports_.db, kernel));
  sys::side_effect("reserve kernel");
  COCOON_TRY(sys::make_dirs(ports_.paths.kernels(), 0700));
  COCOON_TRY(sys::remove_tree(ports_.paths.kernel(kernel.id)));  // of a dead import
  COCOON_TRY(sys::rename_path(dir, ports_.paths.kernel(kernel.id)));
  COCOON_TRY(sys::sync_dir(ports_.paths.kernels()));
  sys::side_effect("publish kernel");
  return {};
}

// The kernel for VMMs that boot no compressed one; empty where there is nothing to unpack, or it
// cannot be: the other VMMs boot it all the same (see note_of).
std::string unpack(const Parts& parts) {
  if (parts.facts.format != "bzimage") return "";
  auto vmlinux = image::unpack_kernel(parts.kernel);
  return vmlinux ? std::move(*vmlinux) : "";
}

Result<model::Kernel> KernelBuild::make(const Parts& parts) {
  COCOON_TRY(stage_modules(parts));
  auto modules = COCOON_TRY(load_modules(parts));
  std::string initramfs = COCOON_TRY(image::render_initramfs(parts.guest_program, modules));
  model::Kernel kernel;
  kernel.id = parts.id();
  kernel.version = parts.version;
  kernel.architecture = parts.facts.architecture;
  kernel.format = parts.facts.format;
  kernel.kernel_sha256 = image::sha256_hex(parts.kernel);
  kernel.initramfs_sha256 = image::sha256_hex(initramfs);
  kernel.kernel_size = static_cast<std::int64_t>(parts.kernel.size());
  kernel.initramfs_size = static_cast<std::int64_t>(initramfs.size());
  kernel.created_at = utc_now();
  std::set<std::string> seen;
  for (const auto& module : modules) {
    if (seen.insert(module.plan.file).second) kernel.initramfs_modules.push_back(module.plan.file);
  }
  // Held until the row pins it.
  std::optional<image::BlobLease> lease;
  if (parts.modules) {
    lease = COCOON_TRY(modules_blob(*parts.modules));
    kernel.modules_blob = lease->blob.id;
    kernel.modules_size = lease->blob.size;
  }
  std::string vmlinux = unpack(parts);
  kernel.vmlinux_size = static_cast<std::int64_t>(vmlinux.size());
  COCOON_TRY(write(kernel, parts, initramfs, vmlinux));
  return kernel;
}

bool is_whole(const store::Paths& paths, const model::Kernel& kernel) {
  auto size = [&](std::string_view file) -> std::int64_t {
    struct stat info {};
    return stat((paths.kernel(kernel.id) / file).c_str(), &info) == 0 ? info.st_size : -1;
  };
  return size(model::kKernelFile) == kernel.kernel_size &&
         size(model::kInitramfsFile) == kernel.initramfs_size &&
         (kernel.vmlinux_size == 0 || size(model::kVmlinuxFile) == kernel.vmlinux_size);
}

std::string note_of(const model::Kernel& kernel, const Parts& parts) {
  if (kernel.format != "bzimage" || kernel.vmlinux_size > 0) return "";
  auto error = image::unpack_kernel(parts.kernel);
  return fmt::format("Firecracker before 1.17 cannot boot this kernel: {}",
                     error ? "it was not unpacked" : error.error().to_string());
}

Result<KernelImportReport> name_it(Ports& ports, const std::string& name,
                                   const std::optional<model::Kernel>& made,
                                   const std::string& id) {
  KernelImportReport report;
  store::Transaction tx = COCOON_TRY(ports.db.begin());
  auto before = COCOON_TRY(store::get_kernel_name(ports.db, name));
  report.changed = !before || before->kernel.id != id;
  if (made) COCOON_TRY(store::set_kernel_ready(ports.db, *made));
  if (report.changed) COCOON_TRY(store::put_kernel_name(ports.db, name, id));
  auto now = COCOON_TRY(store::get_kernel_name(ports.db, name));
  if (!now) return fail(ErrorKind::kInternal, "kernel \"{}\" vanished", name);
  report.kernel = std::move(*now);
  if (report.changed || made) COCOON_TRY(tx.commit());
  return report;
}

// Under the object's lock.
Result<KernelImportReport> import_parts(Ports& ports, const KernelImportRequest& request,
                                        const Parts& parts, image::BlobStore& blobs,
                                        const image::WorkDir& work,
                                        const image::ProgressSink& progress) {
  std::string id = parts.id();
  auto there = COCOON_TRY(store::get_kernel(ports.db, id));
  if (there && is_whole(ports.paths, *there)) return name_it(ports, request.name, {}, id);
  if (there && COCOON_TRY(store::kernel_in_use(ports.db, id))) {
    return fail(ErrorKind::kCorrupt, "{} is damaged and in use: restore it from a backup",
                ports.paths.kernel(id).native());
  }
  auto undo = [&](Error error) {
    sys::CancelShield shield;
    ignore(sys::remove_tree(ports.paths.kernel(id)), "undo of a kernel; gc removes it");
    ignore(store::delete_kernel(ports.db, id), "undo of a kernel; gc removes it");
    return pass(std::move(error));
  };
  KernelBuild build(ports, blobs, work, progress);
  auto made = build.make(parts);
  if (!made) return undo(std::move(made).error());
  auto report = name_it(ports, request.name, *made, id);
  if (!report) return undo(std::move(report).error());
  return report;
}

Result<KernelImportReport> run_import(Ports& ports, const KernelImportRequest& request,
                                      image::BlobStore& blobs,
                                      const image::ProgressSink& progress) {
  if (geteuid() != 0) return fail(ErrorKind::kUnsupported, "importing kernels takes root");
  Parts parts = COCOON_TRY(read_parts(request));
  image::WorkDir work = COCOON_TRY(image::WorkDir::create(ports.paths, "kernel import"));
  auto lock_path = ports.paths.lock("kernel", parts.id());
  COCOON_TRY(sys::make_dirs(lock_path.parent_path(), 0700));
  constexpr Milliseconds kWait = std::chrono::minutes(10);  // while another imports the same one
  auto lock = COCOON_TRY(
      sys::FileLock::take(lock_path, sys::FileLock::Mode::kExclusive, "kernel import", kWait));
  sys::side_effect("lock kernel");
  auto report = import_parts(ports, request, parts, blobs, work, progress);
  if (report) report->note = note_of(report->kernel.kernel, parts);
  lock.unlink();
  return report;
}

}  // namespace

Result<KernelImportReport> import_kernel(Ports& ports, const KernelImportRequest& request,
                                         const image::ProgressSink& progress) {
  COCOON_TRY(model::check_kernel_name(request.name));
  image::BlobStore blobs(ports.db, ports.paths);
  auto report = run_import(ports, request, blobs, progress);
  if (!report) {
    blobs.undo();
    return pass(std::move(report).error(), fmt::format("import kernel \"{}\"", request.name));
  }
  blobs.keep();
  return report;
}

}  // namespace cocoon::engine
