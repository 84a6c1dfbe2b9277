// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "shim/config.h"
#include "shim/outcome.h"

namespace cocoon::shim {

// Gives the calling process a mount namespace of its own, whose root is a tmpfs with nothing but
//   - the VM's directory, at the path that it has outside; it is the working directory afterwards,
//   - the program and everything in `config.shown`, each at its path; what is not there is left
//     out, and what is mounted below a directory stays outside,
//   - /proc/self/fd/2, which is vmm.log: by that name Firecracker opens its log anew.
// The host's other mounts are not in the namespace, so no name leads to them. Everything goes with
// the last process in it; the host's mount table never changes.
//
// The working directory must be the VM's, and the caller root with all capabilities. Linux 5.2
// (open_tree). Fails where the root directory is no mount of its own, which is so in a chroot and
// on an initramfs (pivot_root(2)). Open descriptors stay: the caller closes those that lead
// outside.
Outcome enter_private_root(const Config& config);

}  // namespace cocoon::shim
