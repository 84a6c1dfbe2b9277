// SPDX-License-Identifier: Apache-2.0
// The VM record: plain data, its JSON, its rules. No I/O.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "model/disk.h"
#include "model/nic.h"

namespace cocoon::model {

// What the world sees; work in flight is the op, never a state (design §4).
enum class VmState { kCreating, kCreated, kRunning, kStopped, kError };

std::string_view state_name(VmState state);
Result<VmState> parse_state(std::string_view text);

// Is the step allowed? kWrongState naming both states otherwise.
Result<void> check_transition(VmState from, VmState to);

// Limits of spec 01 §5.1.
inline constexpr std::int64_t kMinMemory = std::int64_t{512} << 20;
// 10^10, not 10 GiB: the Kubernetes provider turns "10G" into 10000000000 (spec 05 §7.1).
inline constexpr std::int64_t kMinStorage = 10'000'000'000;

struct VmConfig {
  std::string name;
  int cpu = 2;
  std::int64_t memory = std::int64_t{1} << 30;    // bytes, a multiple of 1 MiB
  std::int64_t storage = std::int64_t{10} << 30;  // bytes of the COW disk
  int queue_size = 0;
  int disk_queue_size = 0;
  std::string image;         // reference as typed
  std::string image_digest;  // sha256:…
  std::string image_type;    // oci, cloudimg
  std::string network;
  bool no_direct_io = false;
  bool windows = false;
};

// How the guest boots. Names are relative to the VM directory.
struct BootConfig {
  std::string kernel;   // "kernel"; empty: firmware
  std::string initrd;   // "initrd"
  std::string cmdline;  // for images with a kernel of their own; the boot kit's is rendered
  std::string firmware;
  bool boot_kit = false;  // our guest program, boot.json in the initrd
  std::string kernel_id;  // boot kit: the kernel object
  bool operator==(const BootConfig&) const = default;
};

// What runs in a boot-kit guest, resolved at create (design §8).
struct RunSpec {
  bool init = false;              // hand over to an init as PID 1
  std::vector<std::string> argv;  // empty with init: /sbin/init
  std::vector<std::string> env;   // K=V
  std::string workdir;
  std::string user;
  bool attach = false;  // of one start alone, never stored: the program waits for the host
};

// The device plan a VM was first launched with; every later launch and every restore is built from
// it, never from defaults (spec 06 §0). Opaque to the engine: each backend defines and reads its
// own.
using DevicePlan = nlohmann::json;

// Work in flight: who does what. Never a state.
struct Op {
  std::string verb;
  int pid = 0;
  std::uint64_t start_time = 0;
  std::string phase;
};

// A recorded process (sys::ProcessRef without the dependency).
struct Process {
  int pid = 0;
  std::uint64_t start_time = 0;
  std::string boot_id;
  bool operator==(const Process&) const = default;
};

struct Vm {
  std::string id;
  std::string hypervisor;  // "cloud-hypervisor", "firecracker", "qemu"
  VmState state = VmState::kCreating;
  VmConfig config;
  std::vector<Disk> disks;  // attach order
  std::vector<Nic> nics;    // network_configs: order = eth<i>
  std::vector<PortMapping> ports;
  BootConfig boot;
  RunSpec run;
  DevicePlan device_plan;
  std::string memory_backing;  // "file": on disk; empty: tmpfs
  bool first_booted = false;
  std::uint32_t uid = 0;  // uid = gid of its VMM
  Process vmm;            // pid 0 when not running
  std::string nonce;      // of the current run's exit marker
  std::string accel;      // what the last start used: kvm, tcg
  std::string created_at, updated_at, started_at, stopped_at;
  std::optional<int> exit_code;  // of the entrypoint, from the last run
  std::string exit_reason;       // why the last run ended
  std::string hibernation;       // ID of the snapshot that the next start goes on from; else empty
  std::string restore_mode;      // how the memory of this run came back; empty: the guest booted
  std::optional<Op> op;
};

// The whole record as it is stored, and back. Unknown keys are ignored, missing ones get defaults;
// kCorrupt for a wrong type. parse_vm does not validate: call validate().
nlohmann::json to_stored_json(const Vm& vm);
Result<Vm> parse_vm(const nlohmann::json& json);

// Everything that must hold for a record before anything acts on it; for its disks with what its
// kind of guest can mount.
Result<void> validate(const Vm& vm);

// The public object of all JSON output (spec 01 §10.1 plus exit_code, exit, uid, op): disk paths
// and socket absolute below vm_dir.
nlohmann::json to_public_json(const Vm& vm, const std::string& vm_dir);

// ^[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}$ (spec 01 §6.2).
Result<void> check_vm_name(std::string_view name);

// The directory name of a backend below run and log: cloudhypervisor, firecracker, qemu.
std::string backend_directory(std::string_view hypervisor);

}  // namespace cocoon::model
