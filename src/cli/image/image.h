// SPDX-License-Identifier: Apache-2.0
// The commands of the group "image".
#pragma once

#include <functional>
#include <string>

#include "cli/command.h"

namespace cocoon::cli {

struct ImageImportFlags {
  std::string format;
};
// The body of `image import` lives in cocoon-image; cocoon passes none.
using ImageImportBody = std::function<Result<int>(App&, const ImageImportFlags&, const Arguments&)>;

struct ImagePullFlags {
  bool force = false;
  std::string platform;
  std::string checksum;
  std::string progress = "auto";
  std::string format;
};
using ImagePullBody = std::function<Result<int>(App&, const ImagePullFlags&, const Arguments&)>;

Command image_pull_command(const ImagePullBody& body);
Command image_import_command(const ImageImportBody& body);
Command image_inspect_command();
Command image_list_command();
Command image_prune_command();
Command image_rm_command();

}  // namespace cocoon::cli
