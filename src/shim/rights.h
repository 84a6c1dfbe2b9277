// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <span>

namespace cocoon::shim {

// Capabilities by raw system calls (capabilities(7)): the shim links no libcap. All of these act on
// the calling thread, which is the only one. They return 0 or an errno.

// Takes every capability but those in `keep` (a mask of 1 << CAP_…) out of the bounding set and
// empties the ambient set. Needs CAP_SETPCAP, so it comes before the others.
int drop_bounding_set(unsigned long long keep);

// Becomes uid, gid and groups for good, without capabilities and without a way to gain any:
// exec of a set-uid program does nothing (no_new_privs). The bounding set must have been dropped.
int become_nobody(uid_t uid, gid_t gid, std::span<const gid_t> groups);

// Stays root, with CAP_KILL alone: the bounding set included, and with no_new_privs.
int keep_only_kill();

}  // namespace cocoon::shim
