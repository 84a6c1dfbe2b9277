// SPDX-License-Identifier: Apache-2.0
#include "cli/json_output.h"
#include "cli/snapshot/snapshot.h"

namespace cocoon::cli {

Command snapshot_import_command(const SnapshotImportBody& body) {
  auto flags = std::make_shared<SnapshotImportFlags>();
  Command command;
  command.path = "snapshot import";
  command.usage = "[FILE]";
  command.summary = "Take in a snapshot that was exported, from a file or standard input";
  command.details =
      "The image that the snapshot rests on must be here, byte for byte, or in the archive, or in "
      "the\n"
      "directory that --blobs names. An archive of the original engine has no digests of it: its\n"
      "store is named with --blobs, or --assume-same-blobs takes what is here for the same.";
  command.flags = {
      {.name = "name",
       .target = &flags->name,
       .help = "name of the snapshot (default: the one it had)",
       .value_name = "NAME"},
      {.name = "description",
       .target = &flags->description,
       .help = "what it is, in free words (default: what was said of it)",
       .value_name = "TEXT"},
      {.name = "from-dir",
       .target = &flags->from_dir,
       .help = "take the files of a directory (see `snapshot export --to-dir`)",
       .value_name = "DIR",
       .completes = Names::kDirectory},
      {.name = "blobs",
       .target = &flags->blobs,
       .help = "where layers, base disks and boot files may be that are not here",
       .value_name = "DIR",
       .completes = Names::kDirectory},
      {.name = "assume-same-blobs",
       .target = &flags->assume_same_blobs,
       .help = "an archive of the original engine: its image's files are the same bytes here"},
      {.name = "trust",
       .target = &flags->trust,
       .help = "load a Firecracker state that was made elsewhere: it cannot be checked"},
      output_flag(&flags->format)};
  command.max_names = 1;
  command.names = Names::kFile;
  set_helper_body(command, flags, body);
  return command;
}

}  // namespace cocoon::cli
