// SPDX-License-Identifier: Apache-2.0
// Our part of user-data, a cloud-config document (spec 05 §3.2 with §8 c2 to c5).
#pragma once

#include <string>

#include "cidata/seed.h"

namespace cocoon::cidata {

struct CloudConfig {
  std::string document;  // "#cloud-config" and its sections, each only when it says something
  std::string scalars;   // the document's keys that hold no list, as top-level lines; may be empty
};

// Accounts: the password goes through cloud-init's chpasswd, as data and not through a shell; an
// account other than root is made by `users`, which runs early and so before the password is set
// (c2, c3). It stays locked until then: `lock_passwd: false` would make cloud-init from 24.3 on
// warn that the account has no password yet.
//
// kInvalid:
//  - user: not ^[a-z_][a-z0-9_-]{0,31}$; empty with a password;
//  - password: control characters, or text that means something else to cloud-init's chpasswd list:
//    "R" and "RANDOM" (it would make one up) and a leading "$" (it would take it for a hash);
//  - an SSH key that is_public_key() refuses;
//  - a mount whose serial is not [A-Za-z0-9_.-]+, whose fstype is not [a-z0-9]+ or whose mount
//    point is not absolute, or holds a blank, a control character or a backslash. cloud-init (seen
//    in 22.4) joins the columns of /etc/fstab as they are, where "/a b" shifts them and costs the
//    guest its next boot; its newest sources escape them. So no spelling is right for all versions;
//  - NICs as render_network_units().
Result<CloudConfig> render_cloud_config(const SeedValues& values);

}  // namespace cocoon::cidata
