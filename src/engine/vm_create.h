// SPDX-License-Identifier: Apache-2.0
// `vm create`: reserve, make, commit (design decision 5).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/ports.h"
#include "model/vm.h"

namespace cocoon::engine {

// What the user asked for; the flags of spec 01 §5.1 and design §8.
struct CreateRequest {
  std::string image;  // reference as typed
  std::string name;   // empty: made from the image (spec 01 §6.2), -2, -3… when taken
  int cpu = 2;
  std::int64_t memory = std::int64_t{1} << 30;
  std::int64_t storage = std::int64_t{10} << 30;
  int queue_size = 0;
  int disk_queue_size = 0;
  int nics = 0;
  bool no_direct_io = false;
  std::string backend;         // empty: config, then auto
  std::string memory_backing;  // "file" or empty
  std::string kernel;          // kernel object's name; empty: the default one
  // What to run: -- CMD, --entrypoint, the image's own, /sbin/init, in this order (design §8).
  std::vector<std::string> command;  // after --
  std::optional<std::string> entrypoint;
  bool init = false;
  std::vector<std::string> env;  // K=V, added to the image's; a bare K takes the caller's value
  std::string workdir;
  std::string user;
};

// Creates a VM in state `created`. On any failure, cancellation included, everything it made is
// gone again. kInvalid for bad values, kNotFound for the image or kernel, kConflict ("already
// exists") for the name, kUnsupported for what the backend or host cannot do.
Result<model::Vm> create_vm(Ports& ports, const CreateRequest& request);

}  // namespace cocoon::engine
