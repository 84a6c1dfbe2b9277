// SPDX-License-Identifier: Apache-2.0
// What `vm create`, `vm run` and `vm debug` are asked for.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model/data_disk.h"
#include "model/nic.h"

namespace cocoon::engine {

// What the user asked for; the flags of spec 01 §5.1 and design §8.
struct CreateRequest {
  std::string image;  // reference as typed
  std::string name;   // empty: made from the image (spec 01 §6.2), -2, -3… when taken
  int cpu = 2;
  std::int64_t memory = std::int64_t{1} << 30;
  // Bytes of the root disk; not said: 10 GiB, or a cloud image's own size where that is more.
  std::optional<std::int64_t> storage;
  int queue_size = 0;
  int disk_queue_size = 0;
  // Not said: 1 where there is a network for it, else 0.
  std::optional<int> nics;
  std::string network;  // CNI network by name, or "user"; empty: the first one
  std::string bridge;   // a bridge of the host instead
  std::vector<model::PortMapping> ports;
  bool no_direct_io = false;
  std::string backend;                          // empty: config, then auto
  std::string memory_backing;                   // "file" or empty
  std::vector<model::DataDiskSpec> data_disks;  // complete (model::complete_data_disks)
  std::string kernel;                           // kernel object's name; empty: the default one
  // What to run: -- CMD, --entrypoint, the image's own, /sbin/init, in this order (design §8).
  std::vector<std::string> command;  // after --
  std::optional<std::string> entrypoint;
  bool init = false;
  std::vector<std::string> env;  // K=V, added to the image's; a bare K takes the caller's value
  std::string workdir;
  std::string user;
  // Cloud images only: what cloud-init is told (spec 05 §3). Never stored.
  std::string guest_user = "root";
  std::string guest_password = "cocoon";
  std::vector<std::string> ssh_keys;     // lines of authorized_keys(5)
  std::optional<std::string> user_data;  // the user's own, merged with ours
  bool no_agent = false;                 // do not install our agent through the NoCloud disk
  bool windows = false;
};

}  // namespace cocoon::engine
