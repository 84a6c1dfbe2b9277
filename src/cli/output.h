// SPDX-License-Identifier: Apache-2.0
// The two streams. Data goes to stdout, everything else to stderr (design §11); nothing below cli
// writes to either.
#pragma once

#include <mutex>
#include <string>
#include <string_view>

#include "base/error.h"

namespace cocoon::cli {

// stdout is collected and written by flush(), so that a command that fails half-way leaves nothing
// for a client to parse. The stderr half may be used by several threads at once.
class Output {
 public:
  Output(int out_fd, int err_fd) : out_fd_(out_fd), err_fd_(err_fd) {}

  // Adds to stdout.
  void print(std::string_view text) { pending_ += text; }
  void line(std::string_view text);
  // Writes what was printed. kSystem when it cannot be written (full disk, closed pipe).
  Result<void> flush();
  // Writes at once: for output without end. Waits for a slow reader, also when the descriptor that
  // we were given does not block.
  Result<void> stream(std::string_view bytes);

  // True once stdout was a pipe that nobody reads any more.
  bool reader_gone() const { return reader_gone_; }

  // One line on stderr, control characters escaped. A progress bar in the way is ended first.
  void remark(std::string_view text);
  // "Error: outer: inner: cause" on stderr; with the debug log level the frames one a line, too.
  void error(const Error& error);
  // Bytes for stderr as they are: progress bars, terminal messages of the console.
  void raw_remark(std::string_view bytes);

  // Draws a progress bar over the last one (terminals only); an empty text ends its line.
  void draw_bar(std::string_view text);
  bool errors_on_terminal() const;
  bool data_on_terminal() const;

 private:
  int out_fd_;
  int err_fd_;
  bool reader_gone_ = false;
  std::mutex errors_;
  bool bar_shown_ = false;
  std::string pending_;
};

}  // namespace cocoon::cli
