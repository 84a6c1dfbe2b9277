// SPDX-License-Identifier: Apache-2.0
// A tar stream becomes files, with owners, modes, times, extended attributes, links and holes.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "tree_copy/tar.h"

namespace cocoon::tree_copy {

struct ExtractRequest {
  // Where to: an existing directory takes the archive's entries. Otherwise the parent has to exist,
  // and the archive's one top entry gets this name (as cp does).
  std::string destination;
  bool must_be_directory = false;
  // The name of the one top entry that was asked for (top_name() of it); all else is refused.
  // Empty: whatever the archive has.
  std::string top;
  // For archives of a stranger: nothing outside of the destination is touched, a destination that
  // existed keeps its owner and mode, set-id bits, devices and all extended attributes but user.*
  // are left out.
  bool confined = true;
};

// Says what could not be done; one line.
using Report = std::function<void(std::string_view)>;

// Reads the archive to its end. False: something was reported.
bool extract_tree(const ExtractRequest& request, ByteSource& source, const Report& report);

}  // namespace cocoon::tree_copy
