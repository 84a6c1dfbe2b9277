// SPDX-License-Identifier: Apache-2.0
// Is KVM usable? Opening /dev/kvm, or even running a few instructions, proves nothing: there are
// hosts whose KVM interprets foreign guests instruction by instruction, so that they hang (spec 06
// §9). This runs a loop of a million iterations in long mode with paging and looks at the clock.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/error.h"

namespace cocoon::sys {

// The rights that a VMM will have.
struct ProbeUser {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;
};

struct KvmProbeRequest {
  std::filesystem::path device = "/dev/kvm";
  std::optional<ProbeUser> user;  // unset: our own rights
  Milliseconds first{50};         // time for the guest loop
  Milliseconds second{200};       // once more when the first was not enough: the host may be busy
  Milliseconds grace{400};        // beyond these the child is killed: an ioctl may never return
};

struct KvmProbe {
  bool usable = false;
  std::string reason;                  // why not; empty when usable
  double iterations_per_second = 0.0;  // when usable
};

// The work is done in a child process that holds none of our descriptors, so not even a child that
// cannot be killed holds up our caller. Bounded by first + second + 2 × grace and a little. Errors
// only when no child can be made; an unusable KVM is an answer.
Result<KvmProbe> probe_kvm(const KvmProbeRequest& request);

}  // namespace cocoon::sys
