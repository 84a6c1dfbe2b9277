// SPDX-License-Identifier: Apache-2.0
#include "cli/kernel/import_body.h"

#include "cli/app.h"
#include "cli/json_output.h"
#include "cli/progress.h"
#include "engine/kernel_import.h"

namespace cocoon::cli {
namespace {

std::string remark_of(const engine::KernelImportReport& report) {
  const model::KernelName& kernel = report.kernel;
  std::string version = kernel.kernel.version.empty() ? "" : " " + kernel.kernel.version;
  return fmt::format("{} kernel {}{}{}", report.changed ? "imported" : "unchanged:", kernel.name,
                     version, kernel.is_default ? ", the default one" : "");
}

}  // namespace

Result<int> run_kernel_import(App& app, const KernelImportFlags& flags,
                              const Arguments& arguments) {
  engine::Ports* ports = COCOON_TRY(app.ports());
  ProgressView view(app.output());
  engine::KernelImportRequest request{arguments.names[0], flags.kernel, flags.modules, {}};
  auto report =
      COCOON_TRY(engine::import_kernel(*ports, request, [&view](const image::Progress& step) {
        view.step(step.phase, step.done, step.total, step.text);
      }));
  view.finish();
  if (!report.note.empty()) app.output().remark(report.note);
  if (wants_json(flags.format)) {
    app.output().print(render_json(model::to_public_json(report.kernel)));
    return 0;
  }
  app.output().line(report.kernel.name);
  app.output().remark(remark_of(report));
  return 0;
}

}  // namespace cocoon::cli
