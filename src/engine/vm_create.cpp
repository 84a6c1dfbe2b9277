// SPDX-License-Identifier: Apache-2.0
#include "engine/vm_create.h"

#include <sched.h>

#include "base/clock.h"
#include "base/id.h"
#include "engine/boot_json.h"
#include "engine/locks.h"
#include "engine/reconcile.h"
#include "engine/rollback.h"
#include "engine/run_spec.h"
#include "engine/uids.h"
#include "engine/vm_files.h"
#include "image/catalog/catalog.h"
#include "model/vm_name.h"
#include "model/wording.h"
#include "store/vm_rows.h"
#include "sys/cancel.h"
#include "vmm/backend.h"

namespace cocoon::engine {
namespace {

// What has to be linked into the VM directory.
struct Links {
  struct Link {
    store::fs::path file;
    std::string name;
  };
  std::vector<Link> links;
  std::vector<std::string> blobs;  // to pin
};

int host_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

Result<void> check_values(const CreateRequest& request) {
  if (!request.name.empty()) COCOON_TRY(model::check_vm_name(request.name));
  if (request.cpu < 1 || request.cpu > host_cpus()) {
    return fail(ErrorKind::kInvalid, "--cpu {}: must be between 1 and the host's {}", request.cpu,
                host_cpus());
  }
  if (request.memory < model::kMinMemory) {
    return fail(ErrorKind::kInvalid, "--memory {}: below the minimum of 512 MiB", request.memory);
  }
  if (request.storage < model::kMinStorage) {
    return fail(ErrorKind::kInvalid, "--storage {}: below the minimum of 10 GB", request.storage);
  }
  if (request.memory_backing != "" && request.memory_backing != "file") {
    return fail(ErrorKind::kInvalid, "--memory-backing \"{}\": the only value is file",
                request.memory_backing);
  }
  if (request.nics > 0) {
    return fail(ErrorKind::kUnsupported,
                "--nics {}: this build has no networking yet; use --nics 0", request.nics);
  }
  return {};
}

// The name of the VM: the given one must be free, a made one gets -2, -3… until it is.
Result<std::string> choose_name(Ports& ports, const CreateRequest& request) {
  if (!request.name.empty()) {
    if (COCOON_TRY(store::vm_name_taken(ports.db, request.name))) {
      return fail(ErrorKind::kConflict, "vm \"{}\" {}", request.name, model::kAlreadyExists);
    }
    return request.name;
  }
  std::string base = model::default_vm_name(request.image);
  std::string name = base;
  COCOON_TRY(model::check_vm_name(name), "make a name from \"{}\" (give one with --name)",
             request.image);
  for (int number = 2; COCOON_TRY(store::vm_name_taken(ports.db, name)); ++number) {
    std::string suffix = fmt::format("-{}", number);
    name = base.substr(0, 63 - suffix.size()) + suffix;
  }
  return name;
}

void add_layer(model::Vm& vm, Links& links, const image::BlobFile& blob, const std::string& name,
               const std::string& serial) {
  model::Disk disk;
  disk.path = name;
  disk.read_only = true;
  disk.serial = serial;
  disk.role = model::DiskRole::kLayer;
  disk.blob = blob.id;
  vm.disks.push_back(disk);
  links.links.push_back({blob.path, name});
  links.blobs.push_back(blob.id);
}

// Boot files and disks of a VM from its image (and the kernel object for plain images).
Result<Links> plan_disks(Ports& ports, const CreateRequest& request,
                         const image::BootSource& source, model::Vm& vm) {
  Links links;
  for (std::size_t i = 0; i < source.disks.size(); ++i) {
    add_layer(vm, links, source.disks[i], fmt::format("layer{}.erofs", i), layer_serial(i));
  }
  vm.boot.kernel = vmm::kKernelFile;
  vm.boot.initrd = vmm::kInitrdFile;
  if (source.kernel && source.initrd && request.kernel.empty()) {
    links.links.push_back({source.kernel->path, vm.boot.kernel});
    links.links.push_back({source.initrd->path, vm.boot.initrd});
    links.blobs.insert(links.blobs.end(), {source.kernel->id, source.initrd->id});
  } else {
    auto kernel = COCOON_TRY(image::kernel_source(ports.db, ports.paths, request.kernel),
                             "image \"{}\" has no kernel of its own", request.image);
    vm.boot.boot_kit = true;
    vm.boot.kernel_id = kernel.named.kernel.id;
    links.links.push_back({kernel.kernel, vm.boot.kernel});
    if (kernel.modules) add_layer(vm, links, *kernel.modules, "modules.erofs", kModulesSerial);
    vm.run = COCOON_TRY(resolve_run(request, source.image.config));
  }
  model::Disk cow;
  cow.path = "cow.raw";
  cow.serial = kCowSerial;
  cow.role = model::DiskRole::kCow;
  vm.disks.push_back(cow);
  return links;
}

Result<model::Vm> plan_vm(Ports& ports, const CreateRequest& request,
                          const image::BootSource& source) {
  model::Vm vm;
  vm.id = COCOON_TRY(generate_id());
  vm.config.name = COCOON_TRY(choose_name(ports, request));
  vm.config.cpu = request.cpu;
  // Whole MiB: what every VMM can be told.
  vm.config.memory = request.memory & ~((std::int64_t{1} << 20) - 1);
  vm.config.storage = request.storage / 4096 * 4096;
  vm.config.queue_size = request.queue_size;
  vm.config.disk_queue_size = request.disk_queue_size;
  vm.config.no_direct_io = request.no_direct_io;
  vm.config.image = request.image;
  vm.config.image_digest = source.image.digest;
  vm.config.image_type = source.image.type;
  vm.memory_backing = request.memory_backing;
  vm.created_at = vm.updated_at = utc_now();
  return vm;
}

// Row and uid: from here on gc knows what belongs to us.
Result<void> reserve(Ports& ports, const CreateRequest& request, model::Vm& vm, const Links& links,
                     Rollback& undo) {
  for (std::uint32_t attempt = 0; attempt < kUidRange; ++attempt) {
    vm.uid = COCOON_TRY(propose_uid(ports, vm.id, attempt));
    {
      auto tx = COCOON_TRY(ports.db.begin());
      // Another create may have taken the uid since the proposal.
      if (COCOON_TRY(store::uid_taken(ports.db, vm.uid))) continue;
      vm.config.name = COCOON_TRY(choose_name(ports, request));  // and the name as well
      COCOON_TRY(store::insert_vm(ports.db, vm, links.blobs));
      COCOON_TRY(tx.commit());
    }
    auto claim = claim_uid(ports, vm.uid, vm.id);
    if (claim) {
      undo.add("remove the VM", [&ports, vm] { return drop_vm(ports, vm); });
      return {};
    }
    auto tx = COCOON_TRY(ports.db.begin());
    COCOON_TRY(store::delete_vm(ports.db, vm.id));
    COCOON_TRY(tx.commit());
    if (claim.error().kind != ErrorKind::kConflict) return claim;
  }
  return fail(ErrorKind::kConflict, "no VMM uid is free");
}

Result<void> make_files(Ports& ports, const model::Vm& vm, const Links& links, int lock_fd) {
  COCOON_TRY(make_vm_dirs(ports, vm));
  for (const Links::Link& link : links.links) {
    COCOON_TRY(link_into_vm(ports, vm, link.file, link.name));
  }
  COCOON_TRY(sys::check_cancelled());
  return make_cow(ports, vm, lock_fd);
}

}  // namespace

Result<model::Vm> create_vm(Ports& ports, const CreateRequest& request) {
  COCOON_TRY(check_values(request));
  std::string backend_name = COCOON_TRY(vmm::select_backend(request.backend, ports.config));
  auto backend = COCOON_TRY(vmm::make_backend(backend_name, ports.config));
  auto source = COCOON_TRY(image::boot_source(ports.db, ports.paths, request.image));
  COCOON_TRY(check_layout(ports));

  model::Vm vm = COCOON_TRY(plan_vm(ports, request, source));
  vm.hypervisor = backend_name;
  Links links = COCOON_TRY(plan_disks(ports, request, source, vm));
  COCOON_TRY(model::validate(vm), "create vm \"{}\"", vm.config.name);
  vm.device_plan = COCOON_TRY(backend->plan_devices(vm), "create vm \"{}\"", vm.config.name);
  // Pure: what the VMM could never be told is an error now, not at the first start.
  COCOON_TRY(backend->plan_launch(vm, vmm::Accel::kTcg), "create vm \"{}\"", vm.config.name);

  auto lock = COCOON_TRY(lock_vm(ports, vm.id, "create"));
  Rollback undo_lock;
  undo_lock.add("remove the lock file", [&lock]() -> Result<void> {
    lock.unlink();
    return {};
  });
  Rollback undo;
  vm.op = op_of("create");
  COCOON_TRY(reserve(ports, request, vm, links, undo), "create vm \"{}\"", vm.config.name);
  COCOON_TRY(make_files(ports, vm, links, lock.fd()), "create vm \"{}\"", vm.config.name);
  COCOON_TRY(sys::check_cancelled());
  vm.state = model::VmState::kCreated;
  vm.op.reset();
  vm.updated_at = utc_now();
  auto tx = COCOON_TRY(ports.db.begin());
  COCOON_TRY(store::update_vm(ports.db, vm));
  COCOON_TRY(tx.commit());
  undo.commit();
  undo_lock.commit();
  return vm;
}

}  // namespace cocoon::engine
