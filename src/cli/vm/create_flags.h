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
  std::string storage;  // not given: 10G, or a cloud image's own size where that is more
  std::string backend;
  bool firecracker = false;
  bool qemu = false;
  std::vector<std::string> data_disks;
  std::vector<std::string> ssh_key_files;
  std::string user_data_file;
  std::vector<std::string> publish;
  bool agent = true;
};

// More help for the commands that have --data-disk.
inline constexpr const char* kDataDiskDetails =
    "A data disk is size=SIZE[,name=NAME][,fstype=ext4|xfs|btrfs|none][,mount=DIR]\n"
    "[,directio=on|off|auto]. NAME is its serial in the guest (data1, data2...); it is formatted "
    "with\n"
    "ext4 and mounted at /mnt/NAME unless said otherwise (mount= alone: not mounted).";

std::vector<Flag> create_flag_table(CreateFlags& flags);

// --data-disk, and what its values say, one by one. kInvalid naming the value.
Flag data_disk_flag(std::vector<std::string>* target);
Result<std::vector<model::DataDiskSpec>> parse_data_disks(const std::vector<std::string>& values);

// Checks everything in the order of spec 01 §5.1 and makes the request of it. kInvalid names flag
// and value; kUnsupported for what this build cannot do.
Result<engine::CreateRequest> make_request(const CreateFlags& flags, const Arguments& arguments);

}  // namespace cocoon::cli
