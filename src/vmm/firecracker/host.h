// SPDX-License-Identifier: Apache-2.0
// What this host offers to Firecracker.
#pragma once

#include <string>
#include <string_view>

#include "vmm/firecracker/payload.h"

namespace cocoon::vmm::firecracker {

// `program`: the path of Firecracker.
HostFacts look_at_host(const std::string& program);

// Does the program name a dynamic loader? `head`: its first bytes, with the program headers. False
// for anything but a 64-bit ELF program. Pure.
bool needs_loader(std::string_view head);

// Does io_uring work for a program without privileges? `release`: "6.1.0-18-amd64"; `disabled`: the
// content of kernel.io_uring_disabled, empty where the kernel has no such knob. Pure.
bool allows_io_uring(std::string_view release, std::string_view disabled);

}  // namespace cocoon::vmm::firecracker
