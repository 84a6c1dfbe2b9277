// SPDX-License-Identifier: Apache-2.0
#include "sys/file_lease.h"

#include <fcntl.h>
#include <signal.h>

#include <cerrno>
#include <thread>

#include "sys/cancel.h"

namespace cocoon::sys {
namespace {

constexpr Milliseconds kPoll{2};

}  // namespace

Result<Writers> wait_no_writer(int fd, Deadline deadline) {
  // Who opens the file meanwhile breaks the lease, of which we would be told by SIGIO, and die. By
  // default SIGURG is ignored.
  fcntl(fd, F_SETSIG, SIGURG);
  while (fcntl(fd, F_SETLEASE, F_RDLCK) != 0) {
    if (errno != EAGAIN) return Writers::kUnknown;
    COCOON_TRY(check_cancelled());
    if (time_left(deadline).count() == 0) return Writers::kSome;
    std::this_thread::sleep_for(kPoll);
  }
  fcntl(fd, F_SETLEASE, F_UNLCK);
  return Writers::kNone;
}

}  // namespace cocoon::sys
