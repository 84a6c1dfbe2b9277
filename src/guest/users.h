// SPDX-License-Identifier: Apache-2.0
//
// The user that an image names, resolved as docker does. Pure: the texts of /etc/passwd and
// /etc/group of the new root come in as values.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "guest/result.h"

namespace cocoon::guest {

struct Credentials {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;  // supplementary; the primary one first
  std::string home = "/";

  bool operator==(const Credentials&) const = default;
};

/// `spec` is empty (uid 0), `user` or `user:group`, each by name or number. A number is always an
/// id and needs no entry. With no group given, the user's entry says the primary group and
/// /etc/group the supplementary ones; with a group given there are none but it. Malformed lines of
/// either file are skipped. Fails for a name without an entry and for an id above 2^31-1.
Result<Credentials> resolve_user(std::string_view spec, std::string_view passwd,
                                 std::string_view group);

}  // namespace cocoon::guest
