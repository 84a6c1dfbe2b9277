// SPDX-License-Identifier: Apache-2.0
// `vm cp`: files into a running guest and out of it.
#pragma once

#include <string>

#include "engine/ports.h"
#include "model/vm.h"
#include "tree_copy/tar.h"

namespace cocoon::engine {

struct CopyRequest {
  std::string from;
  std::string to;
  bool follow = false;  // a symlink that is named stands for what it points to
};

// From the host into the guest, and back. Existing directories take the thing under its own name,
// else it gets the name of the target (as cp does); "DIR/." is what is in DIR. What comes out of a
// guest is hostile: nothing outside of the target is touched, and devices, set-id bits and all
// extended attributes but user.* are left out. Remarks about single files go to ports.note.
Result<void> copy_in(Ports& ports, const model::Vm& vm, const CopyRequest& request);
Result<void> copy_out(Ports& ports, const model::Vm& vm, const CopyRequest& request);

// A tar stream as it is: from descriptor `fd` into a directory of the guest, and from the guest.
Result<void> copy_stream_in(Ports& ports, const model::Vm& vm, int fd,
                            const std::string& directory);
Result<void> copy_stream_out(Ports& ports, const model::Vm& vm, const std::string& from,
                             bool follow, tree_copy::ByteSink& sink);

}  // namespace cocoon::engine
