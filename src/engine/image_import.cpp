// SPDX-License-Identifier: Apache-2.0
#include "engine/image_import.h"

#include "image/acquire/image_input.h"
#include "image/acquire/work_dir.h"
#include "image/catalog/reference.h"

namespace cocoon::engine {
namespace {

Result<ImageReport> run_import(Ports& ports, const ImageImportRequest& request,
                               image::BlobStore& blobs, const image::ProgressSink& progress) {
  image::WorkDir work = COCOON_TRY(image::WorkDir::create(ports.paths, "image import"));
  image::InputRequest wanted{request.name, request.files, request.standard_input, work.path(),
                             ports.config.max_layer_bytes};
  image::ImageInput input = COCOON_TRY(image::open_image_input(wanted));
  if (input.disk) {
    auto made = COCOON_TRY(convert_disk(blobs, work, *input.disk, progress));
    return commit_image(ports, request.name, input, made);
  }
  progress({"read", 0, input.layers.size(), fmt::format("{} layers", input.layers.size())});
  auto settings = image::convert_settings(ports.config, work);
  auto made = COCOON_TRY(image::convert_image(blobs, settings, input, progress));
  return commit_image(ports, request.name, input, made);
}

}  // namespace

Result<ImageReport> import_image(Ports& ports, const ImageImportRequest& request,
                                 const image::ProgressSink& progress) {
  COCOON_TRY(image::check_image_name(request.name));
  image::BlobStore blobs(ports.db, ports.paths);
  auto report = run_import(ports, request, blobs, progress);
  if (!report) {
    blobs.undo();
    return pass(std::move(report).error(), fmt::format("import image \"{}\"", request.name));
  }
  blobs.keep();
  return report;
}

}  // namespace cocoon::engine
