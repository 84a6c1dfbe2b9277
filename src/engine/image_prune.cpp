// SPDX-License-Identifier: Apache-2.0
#include "engine/image_prune.h"

#include "image/catalog/collect.h"
#include "store/image_rows.h"

namespace cocoon::engine {
namespace {

Result<void> drop_unused_names(Ports& ports, GcReport& report) {
  for (const model::Image& image : COCOON_TRY(store::list_images(ports.db))) {
    if (!COCOON_TRY(store::users_of_image(ports.db, image.name)).empty()) continue;
    COCOON_TRY(store::delete_image(ports.db, image.name));
    report.removed.push_back({"image", image.name, 0});
  }
  return {};
}

void add(GcReport& report, const char* kind, image::Collected collected) {
  for (auto& item : collected.removed) report.removed.push_back({kind, item.name, item.bytes});
  for (auto& text : collected.skipped) report.skipped.push_back(std::move(text));
}

Result<void> collect(Ports& ports, bool dry_run, GcReport& report) {
  add(report, "temp", COCOON_TRY(image::collect_temp(ports.paths, dry_run)));
  add(report, "download", COCOON_TRY(image::collect_downloads(ports.paths, dry_run)));
  add(report, "blob", COCOON_TRY(image::collect_blobs(ports.db, ports.paths, dry_run)));
  return {};
}

}  // namespace

Result<GcReport> prune_images(Ports& ports, bool all, bool dry_run) {
  GcReport report;
  if (all) {
    store::Transaction tx = COCOON_TRY(ports.db.begin());
    COCOON_TRY(drop_unused_names(ports, report));
    if (dry_run) {
      // Seen from inside of the transaction the names are gone; it is never committed.
      COCOON_TRY(collect(ports, true, report));
      return report;
    }
    COCOON_TRY(tx.commit());
  }
  COCOON_TRY(collect(ports, dry_run, report));
  return report;
}

}  // namespace cocoon::engine
