// SPDX-License-Identifier: Apache-2.0
//
// The guest's console: the only way out of the guest for messages and for the exit marker. The host
// may leave it undrained for a while, and a program inside may have stopped it (Ctrl-S) or left it
// in raw mode, so no write here waits for ever.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "guest/boot_config.h"
#include "guest/fd.h"

namespace cocoon::guest {

class Console {
 public:
  /// Not connected: messages are kept (a few KiB of them) until it is.
  Console() = default;

  /// Opens `path` (/dev/console); true if that worked now or before. A console whose driver is a
  /// module (hvc0) exists only some time after the module was loaded.
  bool connect(const char* path);

  /// Uses any descriptor, which is put into non-blocking mode.
  void connect(UniqueFd fd);

  /// `cocoon: <line>`. Waits at most a few seconds.
  void say(std::string_view line);

  /// Undoes what the guest's programs did to the terminal, prints the exit marker and waits (at
  /// most a few seconds) until the device has sent all of it.
  void finish(const Ending& ending, int exit_code);

  int fd() const { return fd_.get(); }

 private:
  bool write(std::string_view text, Deadline deadline);
  void drain(Deadline deadline);

  UniqueFd fd_;
  std::string early_;
};

/// Makes /dev/console, or /dev/null without one, standard input, output and error.
void attach_standard_streams();

/// The marker line `cocoon-exit <nonce> <code>`, begun on a new line: the guest's last output may
/// have ended without one. Empty when the nonce is unknown.
std::string render_exit_marker(const Ending& ending, int exit_code);

}  // namespace cocoon::guest
