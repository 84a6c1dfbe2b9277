// SPDX-License-Identifier: Apache-2.0
#include "cli/json_output.h"
#include "cli/snapshot/snapshot.h"

namespace cocoon::cli {

Command snapshot_verify_command(const SnapshotVerifyBody& body) {
  auto flags = std::make_shared<SnapshotVerifyFlags>();
  Command command;
  command.path = "snapshot verify";
  command.usage = "SNAPSHOT";
  command.summary = "Read all files of a snapshot and compare their digests";
  command.details = "Digests that nobody has taken yet are taken, for the next time.";
  command.flags = {output_flag(&flags->format)};
  command.min_names = command.max_names = 1;
  command.names = Names::kSnapshot;
  set_helper_body(command, flags, body);
  return command;
}

}  // namespace cocoon::cli
