// SPDX-License-Identifier: Apache-2.0
#include "cli/image/image.h"
#include "cli/json_output.h"
#include "cli/progress.h"

namespace cocoon::cli {

Command image_pull_command(const ImagePullBody& body) {
  auto flags = std::make_shared<ImagePullFlags>();
  Command command;
  command.path = "image pull";
  command.usage = "IMAGE [IMAGE...]";
  command.summary = "Fetch images from registries, or cloud images from web servers";
  command.details =
      "IMAGE is a reference as for `docker pull`, or the http or https URL of a qcow2 or raw "
      "disk.\n"
      "What is here already is not fetched again; a pull that was ended goes on where it was.\n"
      "Accounts are those of `docker login` and `podman login`.";
  command.flags = {{.name = "force",
                    .target = &flags->force,
                    .help = "fetch everything again and check what is here"},
                   {.name = "platform",
                    .target = &flags->platform,
                    .help = "of an image for several (default: this host's)",
                    .value_name = "OS/ARCH[/VARIANT]"},
                   {.name = "checksum",
                    .target = &flags->checksum,
                    .help = "of a URL's file: sha256:HEX, or the URL of a SHA256SUMS file",
                    .value_name = "SUM"},
                   progress_flag(&flags->progress),
                   output_flag(&flags->format)};
  command.min_names = 1;
  command.max_names = kAnyNumber;
  set_helper_body(command, flags, body);
  return command;
}

}  // namespace cocoon::cli
