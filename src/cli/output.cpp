// SPDX-License-Identifier: Apache-2.0
#include "cli/output.h"

#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

#include "base/log.h"
#include "base/text.h"
#include "sys/cancel.h"
#include "sys/files.h"

namespace cocoon::cli {

void Output::line(std::string_view text) {
  pending_ += text;
  pending_ += '\n';
}

Result<void> Output::flush() {
  std::string text = std::exchange(pending_, {});
  return stream(text);
}

Result<void> Output::stream(std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t put = write(out_fd_, bytes.data(), bytes.size());
    if (put >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(put));
    } else if (errno == EAGAIN || errno == EINTR) {
      // Whoever does not read our output must not keep us from being interrupted.
      COCOON_TRY(sys::check_cancelled(), "write to standard output");
      std::array<pollfd, 2> entries{pollfd{out_fd_, POLLOUT, 0},
                                    pollfd{sys::cancel_fd(), POLLIN, 0}};
      poll(entries.data(), entries.size(), -1);
    } else {
      reader_gone_ = errno == EPIPE;
      return fail_errno("write to standard output");
    }
  }
  return {};
}

void Output::raw_remark(std::string_view bytes) {
  std::lock_guard guard(errors_);
  // Nobody is left to be told when stderr is gone.
  ignore(sys::write_all(err_fd_, bytes), "standard error");
}

void Output::remark(std::string_view text) {
  std::lock_guard guard(errors_);
  std::string line = std::exchange(bar_shown_, false) ? "\n" : "";
  ignore(sys::write_all(err_fd_, line + escape_controls(text) + "\n"), "standard error");
}

void Output::draw_bar(std::string_view text) {
  constexpr std::string_view kClearToEnd = "\x1b[K";
  std::lock_guard guard(errors_);
  bool shown = std::exchange(bar_shown_, !text.empty());
  if (text.empty() && !shown) return;
  std::string bytes =
      text.empty() ? "\n" : fmt::format("\r{}{}", escape_controls(text), kClearToEnd);
  ignore(sys::write_all(err_fd_, bytes), "standard error");
}

void Output::error(const Error& error) {
  remark("Error: " + error.to_string());
  if (error.frames.empty()) return;
  log_debug("cause ({}): {}", kind_name(error.kind), error.cause);
  for (const std::string& frame : error.frames) log_debug("  while: {}", frame);
}

bool Output::errors_on_terminal() const { return isatty(err_fd_) == 1; }

bool Output::data_on_terminal() const { return isatty(out_fd_) == 1; }

}  // namespace cocoon::cli
