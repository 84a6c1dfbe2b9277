// SPDX-License-Identifier: Apache-2.0
// Proof that nobody holds a file open for writing: a read lease (fcntl(2), F_SETLEASE) is only
// granted then.
#pragma once

#include "base/clock.h"
#include "base/error.h"

namespace cocoon::sys {

// Waits until no descriptor of anybody's can write `fd`'s file. False: the deadline passed, or the
// file system has no leases. The file must belong to this process's uid (or it has CAP_LEASE).
// Nothing keeps others from opening it for writing afterwards but its owner and mode.
Result<bool> wait_no_writer(int fd, Deadline deadline);

}  // namespace cocoon::sys
