// SPDX-License-Identifier: Apache-2.0
#include "image/acquire/work_dir.h"

#include "image/catalog/collect.h"
#include "sys/fault.h"

namespace cocoon::image {

Result<WorkDir> WorkDir::create(const store::Paths& paths, std::string_view verb) {
  using sys::FileLock;
  constexpr Milliseconds kWait(10'000);
  COCOON_TRY(sys::make_dirs(paths.temp(), 0700));
  auto gate = COCOON_TRY(lock_work_parent(paths, false), "make a work directory");
  sys::TempDir dir = COCOON_TRY(sys::TempDir::create(paths.temp(), kWorkPrefix));
  FileLock lock =
      COCOON_TRY(FileLock::take(dir.path() / kWorkLock, FileLock::Mode::kExclusive, verb, kWait),
                 "make a work directory");
  sys::side_effect("lock work directory");
  return WorkDir(std::move(lock), std::move(dir));
}

}  // namespace cocoon::image
