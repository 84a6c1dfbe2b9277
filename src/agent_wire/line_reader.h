// SPDX-License-Identifier: Apache-2.0
// Cuts a byte stream into lines of bounded length. The other end may be hostile.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace cocoon::agent_wire {

// Longest line of the protocol, its end not counted.
inline constexpr std::size_t kMaxLine = std::size_t{8} << 20;

class LineReader {
 public:
  explicit LineReader(std::size_t limit = kMaxLine) : limit_(limit) {}

  void feed(std::string_view bytes);

  // The next whole line without its LF (and without a CR before that), valid until the next call
  // of feed() or clear(). False: none yet, or a line is too long; then too_long() is true for good.
  bool next(std::string_view& line);

  bool too_long() const { return too_long_; }
  // Bytes that wait for the end of their line or to be taken.
  std::size_t pending() const { return buffer_.size() - begin_; }
  void clear();

 private:
  std::size_t limit_;
  std::string buffer_;
  std::size_t begin_ = 0;    // of the first line not handed out
  std::size_t scanned_ = 0;  // no LF between begin_ and here
  bool too_long_ = false;
};

}  // namespace cocoon::agent_wire
