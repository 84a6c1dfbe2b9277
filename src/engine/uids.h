// SPDX-License-Identifier: Apache-2.0
// The uid of a VMM (design §6): one of 65 536 from uid_base on, unique by the store and, against a
// second root directory on this host, by a claim <claims>/<uid> that only one can make. Claims are
// gone after a reboot and are made again at start.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/ports.h"

namespace cocoon::engine {

inline constexpr std::uint32_t kUidRange = 65'536;
// A tmpfs that every root directory of the host shares.
inline constexpr std::string_view kUidClaims = "/run/cocoon/uids";

// A uid that no row and no claim holds; where the search begins depends on the ID, so parallel
// creates do not meet. Only a proposal until row and claim are made. kConflict: all are taken.
Result<std::uint32_t> propose_uid(Ports& ports, const std::string& vm_id, std::uint32_t attempt);

// Makes the claim of `vm_id` on `uid`; one that is ours already is fine. kConflict: somebody
// else's.
Result<void> claim_uid(const Ports& ports, std::uint32_t uid, const std::string& vm_id);

// Drops our claim; another's is left alone.
Result<void> release_uid(const Ports& ports, std::uint32_t uid, const std::string& vm_id);

struct UidClaim {
  std::uint32_t uid = 0;
  std::string vm_id;
};
// The claims of this root directory.
Result<std::vector<UidClaim>> list_uid_claims(const Ports& ports);

// This root directory's own random identity, made at first use and kept in the store. Marks what is
// ours outside of it.
Result<std::string> install_id(store::Db& db);

}  // namespace cocoon::engine
