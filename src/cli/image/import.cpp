// SPDX-License-Identifier: Apache-2.0
#include "cli/image/image.h"
#include "cli/json_output.h"

namespace cocoon::cli {

Command image_import_command(const ImageImportBody& body) {
  auto flags = std::make_shared<ImageImportFlags>();
  Command command;
  command.path = "image import";
  command.usage = "NAME [FILE...]";
  command.summary = "Make an image from files, or from standard input";
  command.details =
      "FILE is an OCI image layout or the output of `docker save` as a tar, or one tar per layer,\n"
      "bottom first; each may be compressed.";
  command.flags = {output_flag(&flags->format)};
  command.min_names = 1;
  command.max_names = kAnyNumber;
  command.names = Names::kFile;
  set_helper_body(command, flags, body);
  return command;
}

}  // namespace cocoon::cli
