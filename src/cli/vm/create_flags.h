// SPDX-License-Identifier: Apache-2.0
// The flags of `vm create` and `vm run` (spec 01 §5.1, design §8).
#pragma once

#include <string>
#include <vector>

#include "cli/command.h"
#include "engine/vm_create.h"

namespace cocoon::cli {

struct CreateFlags {
  engine::CreateRequest request;  // what is bound as it is
  std::string memory = "1G";
  std::string storage = "10G";
  std::string backend;
  bool firecracker = false;
  bool qemu = false;
  // Parts of the original's command line that need what is not built yet.
  std::vector<std::string> data_disks;
  std::string network;
  std::string bridge;
  std::string cloud_user = "root";
  std::string password = "cocoon";
  bool windows = false;
};

std::vector<Flag> create_flag_table(CreateFlags& flags);

// Checks everything in the order of spec 01 §5.1 and makes the request of it. kInvalid names flag
// and value; kUnsupported for what this build cannot do.
Result<engine::CreateRequest> make_request(const CreateFlags& flags, const Arguments& arguments);

}  // namespace cocoon::cli
