// SPDX-License-Identifier: Apache-2.0
#include "engine/vm_create.h"

#include <sched.h>
#include <sys/utsname.h>

#include <algorithm>

#include "base/clock.h"
#include "base/id.h"
#include "engine/firmware.h"
#include "engine/locks.h"
#include "engine/reconcile.h"
#include "engine/rollback.h"
#include "engine/seed.h"
#include "engine/vm_accel.h"
#include "engine/vm_files.h"
#include "engine/vm_network.h"
#include "engine/vm_record.h"
#include "engine/vm_reserve.h"
#include "image/catalog/catalog.h"
#include "model/vm_name.h"
#include "sys/cancel.h"
#include "vmm/backend.h"

namespace cocoon::engine {
namespace {

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
  if (request.storage && *request.storage < model::kMinStorage) {
    return fail(ErrorKind::kInvalid, "--storage {}: below the minimum of 10 GB", *request.storage);
  }
  if (request.memory_backing != "" && request.memory_backing != "file") {
    return fail(ErrorKind::kInvalid, "--memory-backing \"{}\": the only value is file",
                request.memory_backing);
  }
  return {};
}

Result<std::string> choose_name(Ports& ports, const CreateRequest& request) {
  std::string base = model::default_vm_name(request.image);
  if (request.name.empty()) {
    COCOON_TRY(model::check_vm_name(base), "make a name from \"{}\" (give one with --name)",
               request.image);
  }
  return choose_vm_name(ports, request.name, base);
}

// What the request may not ask of this kind of image.
Result<void> check_guest(const CreateRequest& request, const model::Image& image) {
  if (image.type == model::kCloudImage) {
    bool says_what_runs = !request.command.empty() || request.entrypoint || request.init ||
                          !request.env.empty() || !request.workdir.empty() ||
                          !request.user.empty() || !request.kernel.empty();
    if (!says_what_runs) return {};
    return fail(ErrorKind::kInvalid,
                "image \"{}\" is a cloud image: it boots its own kernel and init, so -- CMD, "
                "--entrypoint, --init, --env, --workdir, -u and --kernel mean nothing to it",
                image.name);
  }
  if (request.windows) {
    return fail(ErrorKind::kInvalid, "--windows: image \"{}\" is not a cloud image", image.name);
  }
  if (!request.ssh_keys.empty() || request.user_data) {
    return fail(ErrorKind::kInvalid, "--ssh-key and --user-data: image \"{}\" is not a cloud image",
                image.name);
  }
  return {};
}

// A guest that boots a disk needs firmware and an overlay in qcow2 (design decision 7).
Result<void> check_firmware_boot(const vmm::Backend& backend, const vmm::Capabilities& able,
                                 const model::Image& image, const model::Vm& vm) {
  if (image.type != model::kCloudImage) return {};
  if (!able.uefi || !able.qcow2) {
    return fail(ErrorKind::kUnsupported,
                "image \"{}\" is a cloud image, and {} has no {}; use --backend qemu", image.name,
                backend.name(),
                able.uefi ? "qcow2 disks (capability qcow2)" : "UEFI firmware (capability uefi)");
  }
  if (vm.config.windows && !able.windows) {
    return fail(ErrorKind::kUnsupported,
                "{} runs no Windows guests (capability windows); they need Cloud Hypervisor",
                backend.name());
  }
  return {};
}

// Wishes that this VMM cannot fulfil and that change nothing a guest relies on: said once.
Result<void> note_wishes(Ports& ports, const CreateRequest& request, const vmm::Backend& backend) {
  auto able = COCOON_TRY(backend.capabilities());
  bool direct = std::any_of(request.data_disks.begin(), request.data_disks.end(),
                            [](const auto& disk) { return disk.direct_io.has_value(); });
  if (direct && !able.per_disk_direct_io) {
    ports.note(fmt::format("{} has no direct I/O: directio= is ignored", backend.name()));
  }
  bool sized = request.queue_size != 0 || request.disk_queue_size != 0;
  if (sized && !able.queue_sizes) {
    ports.note(
        fmt::format("{} chooses the sizes of its queues: --queue-size and --disk-queue-size "
                    "are ignored",
                    backend.name()));
  }
  return {};
}

Result<model::Vm> plan_vm(Ports& ports, const CreateRequest& request,
                          const image::BootSource& source) {
  model::Vm vm;
  vm.id = COCOON_TRY(generate_id());
  vm.config.name = COCOON_TRY(choose_name(ports, request));
  vm.config.cpu = request.cpu;
  // Whole MiB: what every VMM can be told.
  vm.config.memory = request.memory & ~((std::int64_t{1} << 20) - 1);
  vm.config.windows = request.windows;
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

Result<void> make_files(Ports& ports, const CreateRequest& request, const model::Vm& vm,
                        const Links& links, const std::optional<vmm::Firmware>& firmware,
                        int lock_fd) {
  COCOON_TRY(make_vm_dirs(ports, vm));
  for (const Links::Link& link : links.links) {
    COCOON_TRY(link_into_vm(ports, vm, link.file, link.name));
  }
  COCOON_TRY(sys::check_cancelled());
  COCOON_TRY(make_root_disk(ports, vm, lock_fd));
  COCOON_TRY(make_data_disks(ports, vm, request.data_disks, lock_fd));
  COCOON_TRY(sys::check_cancelled());
  if (firmware) COCOON_TRY(make_firmware(ports, vm, *firmware));
  return make_seed(ports, vm, request);
}

// An image for another machine may be pulled with --platform; no VMM of this host runs it.
Result<void> check_architecture(const model::Image& image) {
  utsname names{};
  uname(&names);
  std::string_view machine = names.machine;
  std::string_view host = machine == "x86_64" ? "amd64" : machine == "aarch64" ? "arm64" : machine;
  if (image.architecture.empty() || image.architecture == host) return {};
  return fail(ErrorKind::kUnsupported, "image \"{}\" is made for linux/{}, this host is linux/{}",
              image.name, image.architecture, host);
}

}  // namespace

Result<Planned> plan_create(Ports& ports, const CreateRequest& request) {
  COCOON_TRY(check_values(request));
  Planned planned;
  auto source = COCOON_TRY(image::boot_source(ports.db, ports.paths, request.image));
  COCOON_TRY(check_architecture(source.image));
  COCOON_TRY(check_guest(request, source.image));
  vmm::BackendNeeds needs{source.image.type == model::kCloudImage, request.windows};
  std::string backend_name = COCOON_TRY(vmm::select_backend(
      request.backend, ports.config, needs, [&ports] { return is_kvm_usable(ports); }));
  planned.backend = COCOON_TRY(vmm::make_backend(backend_name, ports.config));
  model::Vm& vm = planned.vm;
  vm = COCOON_TRY(plan_vm(ports, request, source));
  vm.hypervisor = backend_name;
  auto able = COCOON_TRY(planned.backend->capabilities(), "create vm \"{}\"", vm.config.name);
  COCOON_TRY(check_firmware_boot(*planned.backend, able, source.image, vm), "create vm \"{}\"",
             vm.config.name);
  planned.links = COCOON_TRY(plan_disks(ports, request, source, able, vm));
  COCOON_TRY(plan_network(ports, request, able, vm), "create vm \"{}\"", vm.config.name);
  if (!vm.boot.firmware.empty()) {
    planned.firmware = COCOON_TRY(planned.backend->firmware(), "create vm \"{}\"", vm.config.name);
  }
  // Its values are checked now, before anything is made.
  COCOON_TRY(render_seed_disk(ports, vm, request), "create vm \"{}\"", vm.config.name);
  COCOON_TRY(model::validate(vm), "create vm \"{}\"", vm.config.name);
  vm.device_plan =
      COCOON_TRY(planned.backend->plan_devices(vm), "create vm \"{}\"", vm.config.name);
  // Pure: what the VMM could never be told is an error now, not at the first start.
  planned.launch = COCOON_TRY(planned.backend->plan_launch(vm, planning_accel(able)),
                              "create vm \"{}\"", vm.config.name);
  return planned;
}

Result<model::Vm> create_vm(Ports& ports, const CreateRequest& request) {
  COCOON_TRY(reclaim_vm_name(ports, request.name));
  Planned planned = COCOON_TRY(plan_create(ports, request));
  COCOON_TRY(check_accel(ports, *planned.backend), "create vm \"{}\"", planned.vm.config.name);
  COCOON_TRY(check_layout(ports));
  COCOON_TRY(note_wishes(ports, request, *planned.backend));
  model::Vm& vm = planned.vm;
  auto lock = COCOON_TRY(lock_vm(ports, vm.id, "create"));
  Rollback undo_lock;
  undo_lock.add("remove the lock file", [&lock]() -> Result<void> {
    lock.unlink();
    return {};
  });
  Rollback undo;
  vm.op = op_of("create");
  COCOON_TRY(reserve_vm(
                 ports, vm, planned.links.blobs, [&] { return choose_name(ports, request); }, undo),
             "create vm \"{}\"", vm.config.name);
  COCOON_TRY(make_network(ports, vm, 0, lock.fd()), "create vm \"{}\"", vm.config.name);
  COCOON_TRY(make_files(ports, request, vm, planned.links, planned.firmware, lock.fd()),
             "create vm \"{}\"", vm.config.name);
  COCOON_TRY(sys::check_cancelled());
  vm.state = model::VmState::kCreated;
  vm.op.reset();
  vm.updated_at = utc_now();
  COCOON_TRY(store_vm(ports, vm));
  undo.commit();
  undo_lock.commit();
  return vm;
}

}  // namespace cocoon::engine
