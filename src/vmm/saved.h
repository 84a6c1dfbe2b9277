// SPDX-License-Identifier: Apache-2.0
// A saved guest as the backends see it: the files that a VMM writes, and how one is loaded again.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "model/vm.h"
#include "vmm/launch.h"

namespace cocoon::vmm {

// How a guest's memory comes back (design §7).
enum class RestoreMode {
  kAuto,      // the best that the VMM can: mmap, else copy
  kCopy,      // read in before the guest runs
  kOnDemand,  // read in page by page while it runs (userfaultfd)
  kMmap,      // a private mapping of the snapshot's file: copy on write
};

// "auto", "copy", "ondemand", "mmap"; kInvalid for anything else.
std::string_view restore_mode_name(RestoreMode mode);
Result<RestoreMode> parse_restore_mode(std::string_view text);

// The members of a snapshot that a VMM makes.
struct SavedFiles {
  std::vector<std::string> state;  // written by save(): names in its directory
  // Guest memory: the name that it has in the snapshot.
  std::string memory;
  // True: save() writes it; false: it is copied from the VM directory's kMemoryFile while the guest
  // is paused.
  bool memory_by_vmm = true;
  // The state names files that the VMM opens, in a form that nobody but it can read: made elsewhere
  // it is to be trusted or not to be loaded (design decision 8).
  bool names_files = false;
};

// A snapshot that is to be loaded.
struct SavedVm {
  const model::Vm* vm = nullptr;  // the record as it was saved (borrowed)
  std::filesystem::path dir;      // the snapshot's directory
  SavedFiles files;
  // Where it holds only the memory that has changed since another snapshot: the bytes of the whole.
  std::optional<std::int64_t> memory_bytes = std::nullopt;
  // Nobody in the guest can give its NICs other MACs. Where the new record has other ones, and the
  // guest's machine has room, it gets NICs that are other devices (Capabilities::nic_swap).
  bool swap_nics = false;
};

// "old0": of NIC `index`.
std::string stand_in_name(std::size_t index);

// A TAP that is there for a load alone: what the guest's former NIC is on until the guest has let
// go of it. Nothing passes through it.
struct StandIn {
  std::string tap;      // device name in the VM's network namespace
  int queue_pairs = 1;  // as many as that NIC has
  bool operator==(const StandIn&) const = default;
};

// A small file that the VMM reads at load, made anew each time.
struct LoadText {
  std::string name;  // relative to the VM directory
  std::string text;
};

// What the original engine calls the files of a guest that it saved: absolute paths in its own
// store and directories (spec 04 §4.1).
struct OriginalPaths {
  std::vector<std::string> disks;        // of the record's disks, in their order
  std::string kernel, initrd, firmware;  // empty where the record has none
  std::string run_dir;                   // of the VM; only for what goes there
  std::string vsock;                     // a socket; only for what goes there
};

// A guest that the original engine saved, as one of ours.
struct OriginalGuest {
  model::Vm vm;
  std::vector<LoadText> files;  // SavedFiles::state as save() would have left them
};

struct LoadPlan {
  Launch launch;
  RestoreMode mode = RestoreMode::kCopy;  // the chosen one
  // Members to be hard-linked into the VM directory under their own names; the VMM only reads them.
  // Memory that is spread over several snapshots is put together there instead.
  std::vector<std::string> links;
  // Those of `links` and `texts` that the VMM reads again later (at a guest's reboot); the others
  // go once the load is done.
  std::vector<std::string> kept;
  std::vector<LoadText> texts;  // files to be written there, root:vm-gid 0440
  // The guest gets other NICs: one for each of those it had. Made before the VMM starts, up and
  // owned by the VM's uid; they go once the load is done, however it ended. Empty: it keeps its
  // NICs.
  std::vector<StandIn> stand_ins;
  // IDs of devices that the guest has to let go of before the load is done.
  std::vector<std::string> leaving;
  // The member that becomes the VM's own memory file (Launch::memory_file_bytes): a copy. Empty:
  // none.
  std::string memory_copy;
};

// Everything that a load may have put into a VM directory, of all backends: goes with the run.
inline constexpr std::array<std::string_view, 6> kLoadFiles{
    "state", "config.json", "state.json", "memory-ranges", "vmstate", "mem"};

}  // namespace cocoon::vmm
