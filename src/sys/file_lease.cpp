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

Result<bool> wait_no_writer(int fd, Deadline deadline) {
  // Who opens the file while the lease stands makes the kernel send this, which would end us.
  signal(SIGIO, SIG_IGN);
  while (fcntl(fd, F_SETLEASE, F_RDLCK) != 0) {
    if (errno != EAGAIN) return false;
    COCOON_TRY(check_cancelled());
    if (time_left(deadline).count() == 0) return false;
    std::this_thread::sleep_for(kPoll);
  }
  fcntl(fd, F_SETLEASE, F_UNLCK);
  return true;
}

}  // namespace cocoon::sys
