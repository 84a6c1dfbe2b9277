// SPDX-License-Identifier: Apache-2.0
#include "cli/batch_report.h"
#include "cli/image/image.h"
#include "cli/json_output.h"
#include "engine/image_list.h"
#include "engine/image_rm.h"
#include "model/wording.h"

namespace cocoon::cli {
namespace {

struct RmFlags {
  bool strict = false;
  std::string format;
};

Result<std::vector<engine::RemovedImage>> remove(engine::Ports* ports, const RmFlags& flags,
                                                 const std::vector<std::string>& references) {
  if (ports == nullptr) {
    return fail(ErrorKind::kNotFound, "{}: {}", model::kImageNotFound, references.front());
  }
  return engine::remove_images(*ports, references, flags.strict);
}

Result<int> run(App& app, const RmFlags& flags, const std::vector<std::string>& references) {
  engine::Ports* ports = COCOON_TRY(app.ports_of_existing_store());
  auto removed = remove(ports, flags, references);
  if (!removed) {
    auto look_up = [ports](const std::string& reference) -> Result<void> {
      if (ports != nullptr) COCOON_TRY(engine::inspect_image(*ports, reference));
      return {};
    };
    return report_batch(app, nothing_done(references, removed.error(), look_up), flags.format);
  }
  engine::BatchResult result;
  for (const engine::RemovedImage& image : *removed) {
    result.succeeded.push_back(image.name);
    if (image.used_by.empty()) continue;
    app.output().remark(fmt::format("the files of {} stay: used by {}", image.name,
                                    fmt::join(image.used_by, ", ")));
  }
  return report_batch(app, result, flags.format);
}

}  // namespace

Command image_rm_command() {
  auto flags = std::make_shared<RmFlags>();
  Command command;
  command.path = "image rm";
  command.usage = "IMAGE [IMAGE...]";
  command.summary = "Remove images, all or none; VMs keep what they rest on";
  command.details = "A digest removes every name of that image. Files go with `cocoon gc`.";
  command.flags = {{.name = "strict",
                    .target = &flags->strict,
                    .help = "refuse while a VM rests on one of them"},
                   output_flag(&flags->format)};
  command.min_names = 1;
  command.max_names = kAnyNumber;
  command.names = Names::kImage;
  command.run = [flags](App& app, const Arguments& arguments) {
    return run(app, *flags, arguments.names);
  };
  return command;
}

}  // namespace cocoon::cli
