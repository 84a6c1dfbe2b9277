// SPDX-License-Identifier: Apache-2.0
#include "cli/snapshot/snapshot.h"

namespace cocoon::cli {
namespace {

Result<void> check_flags(const SnapshotExportFlags& flags) {
  if (flags.gzip && flags.zstd) {
    return fail(ErrorKind::kInvalid, "--gzip and --zstd exclude each other");
  }
  if (flags.compat && (flags.zstd || flags.with_image || !flags.to_dir.empty())) {
    return fail(ErrorKind::kInvalid,
                "--compat goes with none of --zstd, --with-image and --to-dir: the original engine "
                "reads none of them");
  }
  if (flags.to_dir.empty()) return {};
  if (flags.output.empty() && !flags.gzip && !flags.zstd && !flags.force) return {};
  return fail(
      ErrorKind::kInvalid,
      "--to-dir makes plain files in a new directory: it goes with none of --output, --gzip, "
      "--zstd and --force");
}

}  // namespace

Command snapshot_export_command(const SnapshotExportBody& body) {
  auto flags = std::make_shared<SnapshotExportFlags>();
  Command command;
  command.path = "snapshot export";
  command.usage = "SNAPSHOT";
  command.summary = "Write a snapshot into one file, which another host can import";
  command.details =
      "Without --output the file is called after the snapshot, .tar.zst. The name decides how it "
      "is\n"
      "packed: .tar, .tar.gz or .tar.zst. Standard output gets a plain tar. What many VMs share "
      "(the\n"
      "image's layers, the kernel) is not in it, unless --with-image says so. --compat, and\n"
      "standard output for guests that it is possible for, have the form of the original engine.";
  command.flags = {
      {.name = "output",
       .short_name = 'o',
       .target = &flags->output,
       .help = "file to write, or - for standard output",
       .value_name = "FILE",
       .completes = Names::kFile},
      {.name = "to-dir",
       .target = &flags->to_dir,
       .help = "write plain files into a new directory instead",
       .value_name = "DIR",
       .completes = Names::kDirectory},
      {.name = "gzip", .target = &flags->gzip, .help = "pack with gzip"},
      {.name = "zstd", .target = &flags->zstd, .help = "pack with zstd"},
      {.name = "force", .target = &flags->force, .help = "replace a file that is there"},
      {.name = "with-image",
       .target = &flags->with_image,
       .help = "carry layers, kernel and firmware along"},
      {.name = "compat",
       .target = &flags->compat,
       .help = "write what the original engine imports (Cloud Hypervisor only)"}};
  command.min_names = command.max_names = 1;
  command.names = Names::kSnapshot;
  set_helper_body(command, flags, body);
  command.check = [flags] { return check_flags(*flags); };
  return command;
}

}  // namespace cocoon::cli
