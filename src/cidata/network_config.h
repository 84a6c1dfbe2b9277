// SPDX-License-Identifier: Apache-2.0
// What cloud-init is told about the guest's NICs, in two forms: network-config version 2, which it
// renders for whatever configures networks in the guest, and units for systemd-networkd as a
// fallback in images whose cloud-init does not (spec 05 §3.2).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cidata/seed.h"

namespace cocoon::cidata {

// The network-config document: `id<i>` per NIC that has a MAC. A NIC after the first one gets its
// default route with metric 100 + 100·i, so that the first one's wins (spec 05 §8 n22); a DHCP
// client shows its MAC, not a DUID that clones share (c5). nullopt when no NIC has a MAC. kInvalid
// for a MAC, address, prefix, gateway or name server that is none, and a gateway of another family.
Result<std::optional<std::string>> render_network_config(const std::vector<SeedNic>& nics,
                                                         const std::vector<std::string>& dns);

// The write_files items, one unit per NIC, indented for a cloud-config's write_files list; empty
// without NICs. kInvalid as above.
Result<std::string> render_network_units(const std::vector<SeedNic>& nics,
                                         const std::vector<std::string>& dns);

}  // namespace cocoon::cidata
