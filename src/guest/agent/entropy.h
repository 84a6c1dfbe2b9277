// SPDX-License-Identifier: Apache-2.0
//
// What makes a clone a machine of its own: fresh randomness and a machine id.
#pragma once

#include <string>
#include <string_view>

#include "guest/result.h"

namespace cocoon::guest {

/// Bytes of one reseed that are used.
inline constexpr std::size_t kMaxEntropy = 512;

/// Feeds the kernel's generator, credits the bytes in full, and makes it use them at once.
Result<void> add_entropy(std::string_view bytes);

/// systemd's stored seed would be the same in every clone.
Result<void> forget_stored_seed();

/// A new random id in /etc/machine-id, if the guest has that file; D-Bus's copy goes.
Result<void> renew_machine_id();

/// The same with a given id of 32 hex digits; an id that is there already stays.
Result<void> set_machine_id(const std::string& id);

}  // namespace cocoon::guest
