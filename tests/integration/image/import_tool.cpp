// SPDX-License-Identifier: Apache-2.0
// One use case as a program of its own, for tests that end it in the middle:
//   import_tool ROOT image NAME FILE | kernel NAME KERNEL MODULES GUEST | rm-image NAME |
//               rm-kernel NAME | gc
#include <cstdio>
#include <cstdlib>
#include <string>

#include "engine/image_import.h"
#include "engine/image_rm.h"
#include "engine/kernel_import.h"
#include "engine/kernel_list.h"
#include "image/catalog/collect.h"
#include "store/db.h"
#include "sys/cancel.h"

namespace cocoon {
namespace {

Result<void> collect(engine::Ports& ports) {
  COCOON_TRY(image::collect_temp(ports.paths, false));
  COCOON_TRY(image::collect_kernels(ports.db, ports.paths, false));
  COCOON_TRY(image::collect_blobs(ports.db, ports.paths, false));
  return {};
}

Result<void> run(const std::vector<std::string>& args) {
  COCOON_TRY(sys::install_cancel_signals());
  model::Config config;
  config.root_dir = args.at(0);
  const char* compression = getenv("COCOON_TEST_EROFS_COMPRESSION");
  config.erofs_compression = compression == nullptr ? "lz4" : compression;
  config.pool_size = 1;
  auto db = COCOON_TRY(store::Db::open(config.root_dir / "cocoon.db"));
  engine::Ports ports{config, store::Paths(config), db};
  const std::string& verb = args.at(1);
  auto quiet = [](const image::Progress&) {};
  if (verb == "image") {
    engine::ImageImportRequest request{args.at(2), {args.at(3)}};
    COCOON_TRY(engine::import_image(ports, request, quiet));
  } else if (verb == "kernel") {
    engine::KernelImportRequest request{args.at(2), args.at(3), args.at(4), args.at(5)};
    COCOON_TRY(engine::import_kernel(ports, request, quiet));
  } else if (verb == "rm-image") {
    COCOON_TRY(engine::remove_images(ports, {args.at(2)}, false));
  } else if (verb == "rm-kernel") {
    COCOON_TRY(engine::remove_kernels(ports, {args.at(2)}, false));
  }
  if (verb == "gc") return collect(ports);
  return {};
}

}  // namespace
}  // namespace cocoon

int main(int argc, char** argv) {
  auto done = cocoon::run({argv + 1, argv + argc});
  if (done) return 0;
  std::fprintf(stderr, "Error: %s\n", done.error().to_string().c_str());
  return 1;
}
