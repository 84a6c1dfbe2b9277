// SPDX-License-Identifier: Apache-2.0
#include "base/text.h"
#include "base/units.h"
#include "cli/app.h"
#include "cli/general/gc_report.h"
#include "cli/general/general.h"
#include "cli/json_output.h"

namespace cocoon::cli {
namespace {

struct GcFlags {
  bool dry_run = false;
  std::string format;
};

Result<int> run_gc(App& app, const GcFlags& flags) {
  engine::Ports* ports = COCOON_TRY(app.ports_of_existing_store());
  engine::GcReport report;
  if (ports != nullptr) report = COCOON_TRY(engine::collect_garbage(*ports, flags.dry_run), "gc");
  Output& output = app.output();
  if (wants_json(flags.format)) {
    output.print(render_json(gc_json(report, flags.dry_run)));
    return 0;
  }
  for (const std::string& skipped : report.skipped) output.remark("skipped " + skipped);
  output.print(gc_text(report, flags.dry_run));
  return 0;
}

std::int64_t total_bytes(const engine::GcReport& report) {
  std::int64_t total = 0;
  for (const engine::GcItem& item : report.removed) total += item.bytes;
  return total;
}

}  // namespace

nlohmann::json gc_json(const engine::GcReport& report, bool dry_run) {
  nlohmann::json removed = nlohmann::json::array();
  for (const engine::GcItem& item : report.removed) {
    removed.push_back({{"kind", item.kind}, {"name", item.name}, {"bytes", item.bytes}});
  }
  return {{"dry_run", dry_run},
          {"removed", removed},
          {"skipped", report.skipped},
          {"bytes", total_bytes(report)}};
}

std::string gc_text(const engine::GcReport& report, bool dry_run) {
  std::string out;
  std::string_view verb = dry_run ? "would remove" : "removed";
  for (const engine::GcItem& item : report.removed) {
    out += fmt::format("{} {} {}", verb, item.kind, escape_controls(item.name));
    out += item.bytes > 0 ? fmt::format(" ({})\n", bytes_size(item.bytes)) : "\n";
  }
  if (report.removed.empty()) return "Nothing to remove.\n";
  return out + fmt::format("{} {} things, {}\n", verb, report.removed.size(),
                           bytes_size(total_bytes(report)));
}

Command gc_command() {
  auto flags = std::make_shared<GcFlags>();
  Command command;
  command.path = "gc";
  command.summary = "Remove what dead commands left and what nothing uses any more";
  command.details =
      "Never touches a running VM or the work of a running command; such things are skipped and "
      "named.";
  command.flags = {
      {.name = "dry-run", .target = &flags->dry_run, .help = "only say what would be removed"},
      output_flag(&flags->format)};
  command.run = [flags](App& app, const Arguments&) { return run_gc(app, *flags); };
  return command;
}

}  // namespace cocoon::cli
