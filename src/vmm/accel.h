// SPDX-License-Identifier: Apache-2.0
// Hardware virtualization or software emulation (spec 06 §9). "Usable" is measured, never assumed:
// /dev/kvm may exist and hang every guest.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace cocoon::vmm {

enum class Accel { kKvm, kTcg };

// "kvm", "tcg": what records hold.
std::string_view accel_name(Accel accel);
Result<Accel> parse_accel(std::string_view text);

struct AccelRequest {
  std::string override_text;      // value of COCOON_ACCEL: empty, "kvm" or "tcg"
  std::filesystem::path run_dir;  // where the answer of this boot is kept
  uid_t uid = 0;                  // the VMM's uid = gid: the probe runs with the same rights
  std::filesystem::path device = "/dev/kvm";
};

struct AccelChoice {
  Accel accel = Accel::kTcg;
  // Supplementary groups that the VMM needs for it: the owner group of /dev/kvm, or none.
  std::vector<gid_t> groups;
  // Why guests are emulated, one sentence for the user; empty with KVM or when emulation was asked
  // for. Print it when `fresh`: the answer was measured now and not taken from an earlier command
  // of this boot, so it is said once.
  std::string note;
  bool fresh = false;
  // Why KVM is not usable, for a sentence of the caller's; empty as `note`.
  std::string reason;
};

// Decides for one start. kInvalid: the override is neither kvm nor tcg. kUnsupported: KVM was
// demanded and is not usable, with the reason. A missing, unreadable or hanging device alone is no
// error. Takes 2–3 ms with a good KVM, at most about 1.2 s with the worst (a demanded one is asked
// four times before it is refused), ~0 from the cache.
Result<AccelChoice> choose_accel(const AccelRequest& request);

}  // namespace cocoon::vmm
