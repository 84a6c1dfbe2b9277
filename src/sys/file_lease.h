// SPDX-License-Identifier: Apache-2.0
// Proof that nobody holds a file open for writing: a read lease (fcntl(2), F_SETLEASE) is only
// granted then.
#pragma once

#include "base/clock.h"
#include "base/error.h"

namespace cocoon::sys {

enum class Writers {
  kNone,     // nobody can write it by what he holds now
  kSome,     // somebody still can
  kUnknown,  // the file system has no leases
};

// Waits (until the deadline) for nobody to have a descriptor or a mapping that can write `fd`'s
// file. The file must belong to this process's uid (or it has CAP_LEASE). Nothing keeps others from
// opening it for writing afterwards but its owner and mode. kInterrupted.
Result<Writers> wait_no_writer(int fd, Deadline deadline);

}  // namespace cocoon::sys
