// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "shim/fd.h"
#include "shim/outcome.h"

namespace cocoon::shim {

// The guest's console: a pseudo-terminal whose slave is the VMM's stdin and stdout.
struct Pty {
  UniqueFd master;  // O_NONBLOCK
  UniqueFd slave;   // raw mode, 24 x 80
  int number = -1;  // N of /dev/pts/N
};

// Opens a new pair. The slave comes from TIOCGPTPEER (Linux 4.13): no path is walked, so it cannot
// be that of another devpts instance. The shim must close its slave once the VMM has its own, or
// the end of the VMM's output cannot be told from silence.
Outcome open_pty(Pty& pty);

// Makes the master non-blocking. The setting is shared with the VMM, which holds the same open
// file and could clear it.
bool set_nonblocking(int fd);

// Whether `fd` is the master of /dev/pts/<number>. Safe for a descriptor taken from a hostile
// process: type and device number are checked first, without asking a file system that the process
// may serve itself.
bool is_pty_master(int fd, int number);

// TIOCSWINSZ on the master: the VMM gets SIGWINCH.
void set_window_size(int master, unsigned short rows, unsigned short columns);

}  // namespace cocoon::shim
