// SPDX-License-Identifier: Apache-2.0
#include "engine/disk_plan.h"

#include "base/units.h"
#include "engine/boot_json.h"
#include "engine/run_spec.h"
#include "model/guest_files.h"
#include "vmm/launch.h"

namespace cocoon::engine {
namespace {

constexpr std::int64_t kDefaultStorage = 10 * kGiB;

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

void add_data_disks(model::Vm& vm, const CreateRequest& request) {
  for (const model::DataDiskSpec& spec : request.data_disks) {
    vm.disks.push_back(model::data_disk(spec));
  }
}

std::int64_t whole_pages(std::int64_t bytes) { return bytes / 4096 * 4096; }

Failure no_vmlinux(const model::Vm& vm, std::string_view owner, std::string_view remedy) {
  return fail(ErrorKind::kUnsupported,
              "{} boots unpacked kernels only (vmlinux), and {} has none: {}", vm.hypervisor, owner,
              remedy);
}

// The image's own kernel in the form that the VMM boots.
Result<void> link_image_kernel(const image::BootSource& source, const vmm::Capabilities& able,
                               const model::Vm& vm, Links& links) {
  if (able.needs_vmlinux && !source.vmlinux) {
    return no_vmlinux(vm, fmt::format("image \"{}\"", source.image.name),
                      "import it again, or use --kernel with one of `cocoon kernel import`");
  }
  const image::BlobFile& kernel =
      able.prefers_vmlinux && source.vmlinux ? *source.vmlinux : *source.kernel;
  links.links.push_back({kernel.path, vm.boot.kernel});
  links.links.push_back({source.initrd->path, vm.boot.initrd});
  links.blobs.insert(links.blobs.end(), {kernel.id, source.initrd->id});
  return {};
}

// A kernel object's kernel in that form.
Result<void> link_kernel(const image::KernelSource& kernel, const vmm::Capabilities& able,
                         const model::Vm& vm, Links& links) {
  if (able.needs_vmlinux && kernel.vmlinux.empty()) {
    return no_vmlinux(vm, fmt::format("kernel \"{}\"", kernel.named.name),
                      "import it again with `cocoon kernel import`");
  }
  bool unpacked = able.prefers_vmlinux && !kernel.vmlinux.empty();
  links.links.push_back({unpacked ? kernel.vmlinux : kernel.kernel, vm.boot.kernel});
  return {};
}

Result<Links> plan_container(Ports& ports, const CreateRequest& request,
                             const image::BootSource& source, const vmm::Capabilities& able,
                             model::Vm& vm) {
  Links links;
  for (std::size_t i = 0; i < source.disks.size(); ++i) {
    add_layer(vm, links, source.disks[i], model::layer_file(i), layer_serial(i));
  }
  vm.boot.kernel = vmm::kKernelFile;
  vm.boot.initrd = vmm::kInitrdFile;
  if (source.kernel && source.initrd && request.kernel.empty()) {
    COCOON_TRY(link_image_kernel(source, able, vm, links));
  } else {
    auto kernel = COCOON_TRY(image::kernel_source(ports.db, ports.paths, request.kernel),
                             "image \"{}\" has no kernel of its own", request.image);
    vm.boot.boot_kit = true;
    vm.boot.kernel_id = kernel.named.kernel.id;
    COCOON_TRY(link_kernel(kernel, able, vm, links));
    if (kernel.modules) add_layer(vm, links, *kernel.modules, model::kModulesFile, kModulesSerial);
    vm.run = COCOON_TRY(resolve_run(request, source.image.config));
  }
  model::Disk cow;
  cow.path = model::kCowFile;
  cow.serial = kCowSerial;
  cow.role = model::DiskRole::kCow;
  vm.disks.push_back(cow);
  vm.config.storage = whole_pages(request.storage.value_or(kDefaultStorage));
  add_data_disks(vm, request);
  return links;
}

Result<Links> plan_cloud_image(const CreateRequest& request, const image::BootSource& source,
                               model::Vm& vm) {
  if (source.disks.size() != 1) {
    return fail(ErrorKind::kCorrupt, "cloud image \"{}\" has {} disks", source.image.name,
                source.disks.size());
  }
  const image::BlobFile& base = source.disks[0];
  vm.config.storage = whole_pages(request.storage.value_or(std::max(kDefaultStorage, base.size)));
  if (vm.config.storage < base.size) {
    return fail(ErrorKind::kInvalid, "--storage {} is below the {} of image \"{}\"",
                bytes_size(vm.config.storage), bytes_size(base.size), source.image.name);
  }
  vm.boot.firmware = vmm::kFirmwareFile;
  model::Disk overlay;
  overlay.path = model::kOverlayFile;
  overlay.role = model::DiskRole::kCow;
  overlay.backing = model::kBaseFile;
  overlay.blob = base.id;
  vm.disks.push_back(overlay);
  add_data_disks(vm, request);
  if (!request.windows) {
    model::Disk seed;
    seed.path = model::kSeedFile;
    seed.read_only = true;
    seed.role = model::DiskRole::kCidata;
    vm.disks.push_back(seed);
  }
  Links links;
  links.links.push_back({base.path, model::kBaseFile});
  links.blobs.push_back(base.id);
  return links;
}

}  // namespace

Result<Links> plan_disks(Ports& ports, const CreateRequest& request,
                         const image::BootSource& source, const vmm::Capabilities& able,
                         model::Vm& vm) {
  if (source.image.type == model::kCloudImage) return plan_cloud_image(request, source, vm);
  return plan_container(ports, request, source, able, vm);
}

}  // namespace cocoon::engine
