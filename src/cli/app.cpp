// SPDX-License-Identifier: Apache-2.0
#include "cli/app.h"

namespace cocoon::cli {

engine::Ports* App::open(store::Db db) {
  db_ = std::move(db);
  ports_.emplace(engine::Ports{settings_.config, store::Paths(settings_.config), *db_,
                               [this](std::string_view note) { output_.remark(note); }});
  return &*ports_;
}

Result<engine::Ports*> App::ports() {
  if (ports_) return &*ports_;
  store::Paths paths(settings_.config);
  return open(COCOON_TRY(store::Db::open(paths.database())));
}

Result<engine::Ports*> App::ports_of_existing_store() {
  if (ports_) return &*ports_;
  store::Paths paths(settings_.config);
  auto db = COCOON_TRY(store::Db::open_existing(paths.database()));
  return db ? open(std::move(*db)) : nullptr;
}

}  // namespace cocoon::cli
