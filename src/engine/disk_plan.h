// SPDX-License-Identifier: Apache-2.0
// Boot files and disks of a new VM, in attach order (design §9). The one place that decides the
// order: layers, module tree, root disk, data disks; for a cloud image overlay, data disks, NoCloud
// disk.
#pragma once

#include <string>
#include <vector>

#include "engine/create_request.h"
#include "engine/ports.h"
#include "image/catalog/catalog.h"
#include "model/vm.h"
#include "vmm/capabilities.h"

namespace cocoon::engine {

// What has to be linked into the VM directory.
struct Links {
  struct Link {
    store::fs::path file;
    std::string name;
  };
  std::vector<Link> links;
  std::vector<std::string> blobs;  // to pin
};

// Fills in the VM's disks, boot configuration, what runs in it and the size of its root disk. Makes
// nothing. `able` says which form of a kernel the VMM boots. kNotFound: a kernel is needed and
// there is none; kUnsupported: there is none in the form that this VMM boots; kInvalid: --storage
// below the size of a cloud image.
Result<Links> plan_disks(Ports& ports, const CreateRequest& request,
                         const image::BootSource& source, const vmm::Capabilities& able,
                         model::Vm& vm);

}  // namespace cocoon::engine
