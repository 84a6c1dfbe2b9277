// SPDX-License-Identifier: Apache-2.0
// Text lines over a stream socket whose peer may be hostile: every wait has a deadline, a line and
// the whole conversation have a size limit.
#pragma once

#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/error.h"
#include "sys/fd.h"

namespace cocoon::sys {

class [[nodiscard]] LineChannel {
 public:
  struct Limits {
    std::size_t line = std::size_t{256} << 10;
    std::size_t total = std::size_t{8} << 20;  // all bytes ever read
  };

  // Takes a connected stream socket. Writing never raises SIGPIPE.
  explicit LineChannel(UniqueFd socket) : socket_(std::move(socket)) {}
  LineChannel(UniqueFd socket, Limits limits) : socket_(std::move(socket)), limits_(limits) {}

  // The next line without its end (LF or CR LF). kTimeout, kInterrupted; kCorrupt when a limit is
  // passed; kSystem with ECONNRESET when the peer is gone, be it by end of file or by a reset.
  Result<std::string> read_line(Deadline deadline);

  // Writes all bytes. Errors as above.
  Result<void> write(std::string_view bytes, Deadline deadline);
  // The same with a descriptor for the peer of a unix socket (send_with_fd).
  Result<void> write_with_fd(std::string_view bytes, int fd, Deadline deadline);

 private:
  Result<void> fill(Deadline deadline);

  UniqueFd socket_;
  Limits limits_;
  std::string buffer_;
  std::size_t scanned_ = 0;  // no LF before this offset
  std::size_t total_ = 0;
};

}  // namespace cocoon::sys
