// SPDX-License-Identifier: Apache-2.0
#include "cli/image/pull_body.h"

#include "base/units.h"
#include "cli/app.h"
#include "cli/helper_result.h"
#include "cli/json_output.h"
#include "cli/progress.h"
#include "engine/image_pull.h"

namespace cocoon::cli {
namespace {

std::string remark_of(const engine::ImageReport& report) {
  const model::Image& image = report.image;
  if (!report.changed) return fmt::format("image {} is up to date", image.name);
  if (image.type == model::kCloudImage) {
    return fmt::format("pulled cloud image {}: a disk of {}", image.name, bytes_size(image.size));
  }
  return fmt::format("pulled image {}: {} layers, {} of its files new", image.name,
                     image.layers.size(), report.new_blobs);
}

Result<engine::ImageReport> pull_one(App& app, const ImagePullFlags& flags,
                                     const std::string& reference) {
  engine::Ports* ports = COCOON_TRY(app.ports());
  engine::ImagePullRequest request;
  request.reference = reference;
  request.platform = flags.platform;
  request.checksum = flags.checksum;
  request.force = flags.force;
  ProgressView view(app.output(), parse_progress_mode(flags.progress));
  return engine::pull_image(*ports, request, [&view](const image::Progress& step) {
    if (step.phase == "download") {
      view.transfer(step.phase, step.bytes_done, step.bytes_total);
    } else {
      view.step(step.phase, step.done, step.total, step.text);
    }
  });
}

}  // namespace

Result<int> run_image_pull(App& app, const ImagePullFlags& flags, const Arguments& arguments) {
  std::optional<HelperResult> caller = COCOON_TRY(HelperResult::from_environment());
  nlohmann::json records = nlohmann::json::array();
  for (const std::string& reference : arguments.names) {
    auto report = pull_one(app, flags, reference);
    if (!report && caller) return caller->send_error(report.error());
    if (!report) return pass(std::move(report).error());
    records.push_back(model::to_public_json(report->image));
    if (!wants_json(flags.format)) app.output().line(report->image.digest);
    app.output().remark(remark_of(*report));
  }
  if (caller) return caller->send({{"images", records}});
  if (wants_json(flags.format)) app.output().print(render_json(records));
  return 0;
}

}  // namespace cocoon::cli
