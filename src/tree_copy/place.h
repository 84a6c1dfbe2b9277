// SPDX-License-Identifier: Apache-2.0
// Paths of an archive below one directory.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tree_copy/fd.h"

namespace cocoon::tree_copy {

// The components of an archive's path: no "", no ".". nullopt for ".." and for names that no file
// system has.
std::optional<std::vector<std::string>> path_components(std::string_view path);

// A directory below which everything lands.
class Place {
 public:
  // `confined`: symlinks on the way to an entry are refused, so that nothing lands elsewhere,
  // whatever an archive or somebody beside us puts there (openat2, RESOLVE_BENEATH).
  Place(Fd directory, bool confined) : directory_(std::move(directory)), confined_(confined) {}

  int fd() const { return directory_.get(); }

  // The directory at the first `count` components, O_PATH. Missing ones are made if asked for.
  // Failure: no descriptor, errno says why.
  Fd open_dir(const std::vector<std::string>& components, std::size_t count, bool make) const;

 private:
  Fd open_one(int at, const std::string& name) const;

  Fd directory_;
  bool confined_;
};

}  // namespace cocoon::tree_copy
