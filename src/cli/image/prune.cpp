// SPDX-License-Identifier: Apache-2.0
#include "cli/app.h"
#include "cli/general/gc_report.h"
#include "cli/image/image.h"
#include "cli/json_output.h"
#include "engine/image_prune.h"

namespace cocoon::cli {
namespace {

struct PruneFlags {
  bool all = false;
  bool dry_run = false;
  std::string format;
};

Result<int> run(App& app, const PruneFlags& flags) {
  engine::Ports* ports = COCOON_TRY(app.ports_of_existing_store());
  engine::GcReport report;
  if (ports != nullptr) {
    report = COCOON_TRY(engine::prune_images(*ports, flags.all, flags.dry_run), "prune images");
  }
  if (wants_json(flags.format)) {
    app.output().print(render_json(gc_json(report, flags.dry_run)));
    return 0;
  }
  for (const std::string& skipped : report.skipped) app.output().remark("skipped " + skipped);
  app.output().print(gc_text(report, flags.dry_run));
  return 0;
}

}  // namespace

Command image_prune_command() {
  auto flags = std::make_shared<PruneFlags>();
  Command command;
  command.path = "image prune";
  command.summary = "Remove files of images that nothing needs";
  command.details = "Without --all no name goes: only what was left by `image rm` and ended pulls.";
  command.flags = {
      {.name = "all",
       .short_name = 'a',
       .target = &flags->all,
       .help = "first remove every image that no VM or snapshot rests on"},
      {.name = "dry-run", .target = &flags->dry_run, .help = "only say what would be removed"},
      output_flag(&flags->format)};
  command.run = [flags](App& app, const Arguments&) { return run(app, *flags); };
  return command;
}

}  // namespace cocoon::cli
