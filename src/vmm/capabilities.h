// SPDX-License-Identifier: Apache-2.0
// What a backend of this build can do with the VMM that is installed here (design decision 7). The
// engine asks before the first side effect; it never branches on a backend's name.
#pragma once

#include <compare>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace cocoon::vmm {

// A VMM's release. Patch levels never change what we do, but are shown.
struct Version {
  int major = 0;
  int minor = 0;
  int patch = 0;
  auto operator<=>(const Version&) const = default;
  std::string to_string() const;  // "7.2.22"
};

enum class GracefulStop {
  kNone,         // the guest cannot be asked
  kPowerButton,  // ACPI power button; lost when the guest does not listen yet, so it is repeated
  kCtrlAltDel,   // reaches PID 1 as SIGINT
};

struct Capabilities {
  Version version;
  bool direct_boot = false;         // kernel + initramfs
  bool uefi = false;                // firmware boot, so cloud images
  bool windows = false;             // the devices and CPU features that Windows wants
  bool qcow2 = false;               // disks in qcow2
  bool disk_serials = false;        // the guest sees Disk::serial; else it goes by order
  bool per_disk_direct_io = false;  // Disk::direct_io has an effect
  bool queue_sizes = false;         // VmConfig::queue_size and disk_queue_size have an effect
  bool hotplug = false;             // the device plan has room for disks and NICs added at run time
  bool reboot_in_place = false;     // a guest reboot keeps the VMM process
  bool needs_kvm = false;           // no software emulation
  bool needs_vmlinux = false;       // boots no compressed kernel
  bool prefers_vmlinux = false;     // takes an unpacked kernel where there is one
  bool ends_by_reboot = false;      // a guest has to reboot to end its VMM, not to power off
  bool landlock = false;            // the VMM confines itself to its directory
  bool snapshots = false;           // a running guest can be saved and loaded
  bool mmap_restore = false;        // a load maps the snapshot's memory, copy on write
  bool ondemand_restore = false;    // a load reads memory in page by page
  bool incremental = false;         // a save may hold only the memory that has changed
  bool nic_swap = false;            // a loaded guest can get other NICs in place of those it had
  GracefulStop graceful_stop = GracefulStop::kNone;
  int max_disks = 0;  // all roles together, from the device plan that would be launched, no NIC
  int max_cpus = 0;
  bool multi_queue_nics = false;  // a NIC may have a queue pair per vCPU; else it has one
  bool user_network = false;      // NICs of the user-mode stack (Nic::backend "user")
  int max_nics = 0;
};

// "power_button", …
std::string_view graceful_stop_name(GracefulStop stop);

// Every yes-or-no capability with its name as JSON has it: "direct_boot", …
std::vector<std::pair<std::string_view, bool>> capability_flags(const Capabilities& able);

// "version 53.0.0: direct_boot, uefi, …; up to 26 disks and 255 vCPUs", for people.
std::string describe(const Capabilities& able);

}  // namespace cocoon::vmm
