// SPDX-License-Identifier: Apache-2.0
// Attaching VMs to CNI networks: chains of plugins (CNI specification, section 3; spec 05 §1.3).
#pragma once

#include "network/cni/cache.h"
#include "network/cni/conflist.h"
#include "network/cni/plugin.h"
#include "network/cni/result.h"

namespace cocoon::network::cni {

// Runs ADD through the list and records the attachment: before the first plugin, since even a
// failed ADD may have to be deleted, and again with the result. After an error the caller deletes
// (the record stays until that has worked). Errors of run_plugin, parse_result, read_result;
// kInvalid for names that are none; kUnsupported when a capability is asked for that no plugin has.
Result<AddResult> add_attachment(const Host& host, const Conflist& list,
                                 const Attachment& attachment);

// Runs CHECK through the list of a recorded attachment. kUnsupported: the list forbids it, or it is
// older than 0.4.0, or there is no result to check against.
Result<void> check_attachment(const Host& host, const Cached& cached);

// Runs DEL through the list as it was at ADD, in reverse, and drops the record. Everything may be
// gone already, the namespace included. After a failure the record stays.
Result<void> delete_attachment(const Host& host, const Cached& cached);

// Notes in the record that deleting did not work once more: gc's patience has an end.
Result<void> count_failed_delete(const Host& host, const Cached& cached);

}  // namespace cocoon::network::cni
