// SPDX-License-Identifier: Apache-2.0
#include "sys/line_channel.h"

#include <array>

#include "sys/stream_socket.h"

namespace cocoon::sys {

Result<void> LineChannel::fill(Deadline deadline) {
  std::array<char, 16384> chunk{};
  std::size_t size = COCOON_TRY(receive_some(socket_.get(), chunk, deadline));
  total_ += size;
  if (total_ > limits_.total) {
    return fail(ErrorKind::kCorrupt, "the other side sent more than {} bytes", limits_.total);
  }
  buffer_.append(chunk.data(), size);
  return {};
}

Result<std::string> LineChannel::read_line(Deadline deadline) {
  while (true) {
    std::size_t end = buffer_.find('\n', scanned_);
    std::size_t length = end == std::string::npos ? buffer_.size() : end;
    if (length > limits_.line) {
      return fail(ErrorKind::kCorrupt, "the other side sent a line of more than {} bytes",
                  limits_.line);
    }
    if (end != std::string::npos) {
      std::string line = buffer_.substr(0, end);
      buffer_.erase(0, end + 1);
      scanned_ = 0;
      if (!line.empty() && line.back() == '\r') line.pop_back();
      return line;
    }
    scanned_ = buffer_.size();
    COCOON_TRY(fill(deadline));
  }
}

Result<void> LineChannel::write(std::string_view bytes, Deadline deadline) {
  return send_all(socket_.get(), bytes, deadline);
}

Result<void> LineChannel::write_with_fd(std::string_view bytes, int fd, Deadline deadline) {
  return send_with_fd(socket_.get(), bytes, fd, deadline);
}

}  // namespace cocoon::sys
