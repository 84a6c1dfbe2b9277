// SPDX-License-Identifier: Apache-2.0
#include "cli/image/import_body.h"

#include <unistd.h>

#include "base/units.h"
#include "cli/app.h"
#include "cli/json_output.h"
#include "cli/progress.h"
#include "engine/image_import.h"

namespace cocoon::cli {
namespace {

std::string remark_of(const engine::ImageReport& report) {
  const model::Image& image = report.image;
  if (!report.changed) return fmt::format("image {} is up to date", image.name);
  if (image.type == model::kCloudImage) {
    return fmt::format("imported cloud image {}: a disk of {}", image.name, bytes_size(image.size));
  }
  return fmt::format("imported image {}: {} layers, {} of its files new", image.name,
                     image.layers.size(), report.new_blobs);
}

}  // namespace

Result<int> run_image_import(App& app, const ImageImportFlags& flags, const Arguments& arguments) {
  engine::ImageImportRequest request;
  request.name = arguments.names[0];
  request.files.assign(arguments.names.begin() + 1, arguments.names.end());
  request.standard_input = STDIN_FILENO;
  bool from_terminal = request.files.empty() && isatty(STDIN_FILENO) == 1;
  if (from_terminal) {
    return fail(ErrorKind::kInvalid, "no FILE, and standard input is a terminal");
  }
  engine::Ports* ports = COCOON_TRY(app.ports());
  ProgressView view(app.output());
  auto report =
      COCOON_TRY(engine::import_image(*ports, request, [&view](const image::Progress& step) {
        view.step(step.phase, step.done, step.total, step.text);
      }));
  view.finish();
  if (wants_json(flags.format)) {
    app.output().print(render_json(model::to_public_json(report.image)));
    return 0;
  }
  app.output().line(report.image.digest);
  app.output().remark(remark_of(report));
  return 0;
}

}  // namespace cocoon::cli
