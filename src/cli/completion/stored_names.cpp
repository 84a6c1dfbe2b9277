// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "cli/completion/complete.h"
#include "store/db.h"
#include "store/image_rows.h"
#include "store/kernel_rows.h"
#include "store/paths.h"
#include "store/snapshot_rows.h"
#include "store/vm_rows.h"

namespace cocoon::cli {
namespace {

// A name with a control character would break the answer's lines; it can still be typed.
bool fits_a_line(const std::string& name) {
  return std::none_of(name.begin(), name.end(),
                      [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

Result<std::vector<Candidate>> read_names(Names names, const GlobalFlags& flags) {
  std::vector<Candidate> out;
  Settings settings =
      COCOON_TRY(load_settings(flags, process_environment(), std::filesystem::path(kConfigDir)));
  auto db = COCOON_TRY(store::Db::open_existing(store::Paths(settings.config).database()));
  if (!db) return out;
  auto add = [&out](const std::string& name, std::string help) {
    if (fits_a_line(name)) out.push_back({name, std::move(help)});
  };
  if (names == Names::kVm) {
    for (const auto& vm : COCOON_TRY(store::list_vms(*db))) {
      add(vm.config.name, std::string(model::state_name(vm.state)));
    }
  } else if (names == Names::kImage) {
    for (const auto& image : COCOON_TRY(store::list_images(*db))) add(image.name, image.type);
  } else if (names == Names::kKernel) {
    for (const auto& kernel : COCOON_TRY(store::list_kernel_names(*db))) {
      add(kernel.name, kernel.kernel.version);
    }
  }
  if (names == Names::kSnapshot) {
    for (const auto& snapshot : COCOON_TRY(store::list_snapshots(*db))) {
      if (snapshot.state != model::SnapshotState::kReady) continue;
      add(snapshot.name.empty() ? snapshot.id : snapshot.name, snapshot.description);
    }
  }
  return out;
}

}  // namespace

std::vector<Candidate> stored_names(Names names, const GlobalFlags& flags) {
  auto found = read_names(names, flags);
  ignore(found, "completion");
  return found ? *std::move(found) : std::vector<Candidate>();
}

}  // namespace cocoon::cli
