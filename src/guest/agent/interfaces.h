// SPDX-License-Identifier: Apache-2.0
//
// Network interfaces of the running guest, for an identity: found, renamed to no other name, but
// given another MAC, MTU, addresses and routes. Nothing of them is touched that is right already.
#pragma once

#include <string>

#include "agent_wire/identity.h"
#include "guest/result.h"

namespace cocoon::guest {

/// Applies one entry. Its place counts the guest's own NICs (those with a device behind them) in
/// the order of the kernel's indexes.
Result<void> apply_nic(const agent_wire::IdentityNic& nic);

}  // namespace cocoon::guest
