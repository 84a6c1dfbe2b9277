// SPDX-License-Identifier: Apache-2.0
// A VMM's start as a value: what the engine writes into shim.conf, and what has to be in the VM
// directory before.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "model/guest_files.h"

namespace cocoon::vmm {

// Names in the VM directory that every backend shares (design §5). A VMM is only ever told names
// relative to its working directory, which is the VM directory.
inline constexpr const char* kKernelFile = model::kGuestKernelFile;
inline constexpr const char* kInitrdFile = model::kGuestInitrdFile;
inline constexpr const char* kFirmwareFile = model::kFirmwareFile;
inline constexpr const char* kVariablesFile = model::kVariablesFile;
inline constexpr const char* kMemoryFile = "memory";
inline constexpr const char* kSocketDir = "sock";

// One call to a VMM's HTTP API.
struct ApiCall {
  std::string method;           // "PUT"
  std::string path;             // "/api/v1/vm.create"
  nlohmann::ordered_json body;  // null: none is sent
  bool operator==(const ApiCall&) const = default;
};

struct Launch {
  std::string program;            // absolute path
  std::vector<std::string> args;  // argv[1..]
  std::vector<std::string> env;   // K=V, the whole environment
  // Sockets that the VMM makes, relative to the VM directory. Stale ones must be unlinked before
  // the launch: the VMM would refuse to start, or somebody would talk to a dead socket.
  std::vector<std::string> sockets;
  // Bytes of guest memory in the file `memory` (or what it links to): sparse, this size, owned by
  // the VMM's uid, 0600. 0: the backend needs no such file.
  std::int64_t memory_file_bytes = 0;
  // Disks that the launcher locks for the VMM, because it locks none itself (design §5).
  std::vector<std::string> lock_files;
  // A guest reboot ends the process, and a guest power-off does not; else the other way round.
  bool ends_by_reboot = false;
  // The VMM has a root directory of its own: in it are the VM directory, the program, and these
  // absolute paths of the host, as far as they are there. Nothing else has a name.
  bool private_root = false;
  std::vector<std::string> shown;
  // What is said to the VMM once it listens, in this order; the last one starts the guest. Empty
  // for a VMM that is told everything by its arguments.
  std::vector<ApiCall> calls;
  std::string api_socket;  // where they go, relative to the VM directory; empty: nowhere
};

}  // namespace cocoon::vmm
