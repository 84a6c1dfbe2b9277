// SPDX-License-Identifier: Apache-2.0
#include "agent_wire/line_reader.h"

#include <algorithm>

namespace cocoon::agent_wire {
namespace {

// An idle reader gives back what one long line made it take.
constexpr std::size_t kKeptCapacity = std::size_t{256} << 10;

}  // namespace

void LineReader::feed(std::string_view bytes) {
  if (too_long_) return;
  if (begin_ > 0) {
    buffer_.erase(0, begin_);
    scanned_ -= begin_;
    begin_ = 0;
  }
  if (buffer_.empty() && buffer_.capacity() > kKeptCapacity) buffer_ = std::string();
  buffer_ += bytes;
}

bool LineReader::next(std::string_view& line) {
  if (too_long_) return false;
  const std::size_t end = buffer_.find('\n', scanned_);
  const std::size_t length = std::min(end, buffer_.size()) - begin_;
  if (length > limit_) {
    clear();
    too_long_ = true;
    return false;
  }
  if (end == std::string::npos) {
    scanned_ = buffer_.size();
    return false;
  }
  line = std::string_view(buffer_).substr(begin_, length);
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  begin_ = scanned_ = end + 1;
  return true;
}

void LineReader::clear() {
  buffer_ = std::string();
  begin_ = scanned_ = 0;
}

}  // namespace cocoon::agent_wire
