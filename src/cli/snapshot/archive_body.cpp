// SPDX-License-Identifier: Apache-2.0
#include "cli/snapshot/archive_body.h"

#include <unistd.h>

#include "base/units.h"
#include "cli/app.h"
#include "cli/json_output.h"
#include "cli/progress.h"
#include "cli/pull_on_demand.h"
#include "engine/snapshot_export.h"
#include "engine/snapshot_import.h"
#include "engine/snapshot_list.h"
#include "engine/snapshot_verify.h"
#include "model/wording.h"

namespace cocoon::cli {
namespace {

std::string shown_name(const model::Snapshot& snapshot) {
  return snapshot.name.empty() ? snapshot.id : snapshot.name;
}

struct Found {
  engine::Ports* ports = nullptr;  // never null
  std::string id;
};

Result<Found> find_snapshot(App& app, const std::string& reference) {
  engine::Ports* ports = COCOON_TRY(app.ports_of_existing_store());
  if (ports == nullptr) {
    return fail(ErrorKind::kNotFound, "{}: {}", model::kSnapshotNotFound, reference);
  }
  model::Snapshot snapshot = COCOON_TRY(engine::inspect_snapshot(*ports, reference));
  return Found{ports, std::move(snapshot.id)};
}

std::optional<snapshot::Packing> packing_of(const SnapshotExportFlags& flags) {
  if (flags.gzip) return snapshot::Packing::kGzip;
  if (flags.zstd) return snapshot::Packing::kZstd;
  return std::nullopt;
}

Result<engine::SnapshotSource> source_of(const SnapshotImportFlags& flags,
                                         const Arguments& arguments) {
  engine::SnapshotSource source;
  source.directory = flags.from_dir;
  source.standard_input = STDIN_FILENO;
  source.file = arguments.names.empty() ? "-" : arguments.names[0];
  if (!flags.from_dir.empty() && !arguments.names.empty()) {
    return fail(ErrorKind::kInvalid, "FILE and --from-dir exclude each other");
  }
  bool from_terminal = flags.from_dir.empty() && source.file == "-" && isatty(STDIN_FILENO) == 1;
  if (from_terminal) {
    return fail(ErrorKind::kInvalid, "no FILE, and standard input is a terminal");
  }
  return source;
}

void remark_skipped(App& app, const std::vector<std::string>& skipped) {
  for (const std::string& name : skipped) {
    app.output().remark(fmt::format("left out {}: no regular file", name));
  }
}

}  // namespace

Result<int> run_snapshot_export(App& app, const SnapshotExportFlags& flags,
                                const Arguments& arguments) {
  if (flags.output == "-" && app.output().data_on_terminal()) {
    return fail(ErrorKind::kInvalid, "an archive is nothing for a terminal");
  }
  Found found = COCOON_TRY(find_snapshot(app, arguments.names[0]));
  engine::ExportRequest request;
  request.file = flags.output;
  request.to_dir = flags.to_dir;
  request.packing = packing_of(flags);
  request.force = flags.force;
  request.with_image = flags.with_image;
  request.compat = flags.compat;
  request.standard_output = STDOUT_FILENO;
  // Who reads an archive from standard output wants nothing but errors beside it.
  ProgressView view(app.output(), flags.output == "-" ? ProgressMode::kNone : ProgressMode::kAuto);
  request.progress = [&view](std::int64_t done, std::int64_t total) {
    view.transfer("export", done, total);
  };
  auto report = COCOON_TRY(engine::export_snapshot(*found.ports, found.id, request));
  view.finish();
  if (report.file.empty()) return 0;
  app.output().line(report.file.native());
  app.output().remark(fmt::format("exported snapshot {}", shown_name(report.snapshot)));
  return 0;
}

Result<int> run_snapshot_import(App& app, const SnapshotImportFlags& flags,
                                const Arguments& arguments) {
  engine::SnapshotImportRequest request;
  request.source = COCOON_TRY(source_of(flags, arguments));
  request.name = flags.name;
  request.description = flags.description;
  request.blobs = flags.blobs;
  request.assume_same_blobs = flags.assume_same_blobs;
  request.trust = flags.trust;
  engine::Ports* ports = COCOON_TRY(app.ports());
  ProgressView view(app.output());
  request.source.progress = [&view](std::int64_t done, std::int64_t total) {
    view.transfer("import", done, total);
  };
  auto report = COCOON_TRY(engine::import_snapshot(*ports, request));
  view.finish();
  remark_skipped(app, report.skipped);
  if (report.snapshot.untrusted) {
    app.output().remark(
        "it will not be loaded: what its VMM's state would open cannot be checked (see --trust)");
  }
  if (wants_json(flags.format)) {
    app.output().print(render_json(engine::snapshot_json(*ports, report.snapshot)));
    return 0;
  }
  app.output().line(report.snapshot.id);
  app.output().remark(fmt::format("imported snapshot {}; `cocoon vm clone` clones it",
                                  shown_name(report.snapshot)));
  return 0;
}

Result<int> run_snapshot_verify(App& app, const SnapshotVerifyFlags& flags,
                                const Arguments& arguments) {
  Found found = COCOON_TRY(find_snapshot(app, arguments.names[0]));
  auto report = COCOON_TRY(engine::verify_snapshot(*found.ports, found.id));
  if (wants_json(flags.format)) {
    nlohmann::json shown = {{"id", report.snapshot.id},
                            {"name", report.snapshot.name},
                            {"compared", report.compared},
                            {"noted", report.noted},
                            {"bytes", report.bytes}};
    app.output().print(render_json(shown));
    return 0;
  }
  app.output().line(report.snapshot.id);
  app.output().remark(fmt::format("{}: {} files ({}) are as they were, {} digests taken anew",
                                  shown_name(report.snapshot), report.compared,
                                  bytes_size(report.bytes), report.noted));
  return 0;
}

Result<int> use_snapshot_directory(App& app, const SnapshotDirectory& directory,
                                   const UseSnapshot& use) {
  engine::Ports* ports = COCOON_TRY(app.ports());
  engine::SnapshotImportRequest request;
  request.source.directory = directory.path;
  request.blobs = directory.blobs;
  request.assume_same_blobs = directory.assume_same_blobs;
  request.trust = directory.trust;
  if (directory.pull) {
    auto saved = COCOON_TRY(engine::read_snapshot_directory(directory.path));
    const model::VmConfig& config = saved.vm.config;
    COCOON_TRY(ensure_snapshot_image(app, {config.image, config.image_digest, config.image_type},
                                     PullPolicy::kMissing));
  }
  int code = 0;
  auto use_it = [&](const engine::SnapshotImportReport& report) -> Result<void> {
    remark_skipped(app, report.skipped);
    code = COCOON_TRY(use(*ports, report.snapshot));
    return {};
  };
  COCOON_TRY(engine::lend_snapshot(*ports, request, use_it));
  return code;
}

Result<void> verify_before_restore(App& app, engine::Ports& ports, const std::string& id) {
  auto report = COCOON_TRY(engine::verify_snapshot(ports, id));
  if (report.noted == 0) return {};
  app.output().remark(fmt::format(
      "{} of {} files of the snapshot had no digest to compare: taken now, for the next time",
      report.noted, report.noted + report.compared));
  return {};
}

}  // namespace cocoon::cli
