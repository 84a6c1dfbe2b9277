// SPDX-License-Identifier: Apache-2.0
// The work directory of one import: <root>/tmp/import-XXXXXX, with a lock that tells gc that its
// owner lives. Gone with the object; gc removes it after a kill -9.
#pragma once

#include "base/error.h"
#include "store/paths.h"
#include "sys/file_lock.h"
#include "sys/files.h"

namespace cocoon::image {

class WorkDir {
 public:
  static Result<WorkDir> create(const store::Paths& paths, std::string_view verb);
  const store::fs::path& path() const { return dir_.path(); }
  // For programs that work in it.
  int lock_fd() const { return lock_.fd(); }

 private:
  WorkDir(sys::FileLock lock, sys::TempDir dir) : lock_(std::move(lock)), dir_(std::move(dir)) {}
  sys::FileLock lock_;  // released after the directory is gone
  sys::TempDir dir_;
};

}  // namespace cocoon::image
