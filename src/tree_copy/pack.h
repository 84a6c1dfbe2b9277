// SPDX-License-Identifier: Apache-2.0
// Files become a tar stream, with owners, modes, times, extended attributes, links and holes.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "tree_copy/tar.h"

namespace cocoon::tree_copy {

struct PackRequest {
  // A file or directory; the entries begin with its last component. "DIR/." is the content of a
  // directory.
  std::string path;
  bool follow = false;  // a symlink at the top stands for what it points to
};

// The first component of all entries of what is packed from `path`; "." for the content of a
// directory.
std::string top_name(std::string_view path);

using Report = std::function<void(std::string_view)>;

// Writes a whole archive. What cannot be read is reported and left out; false then, and when the
// sink fails.
bool pack_tree(const PackRequest& request, ByteSink& sink, const Report& report);

}  // namespace cocoon::tree_copy
