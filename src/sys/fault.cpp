// SPDX-License-Identifier: Apache-2.0
#include "sys/fault.h"

#if COCOON_FAULTS

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <string>

#include <fmt/format.h>

namespace cocoon::sys {

void side_effect(std::string_view name) {
  static std::atomic<long> count{0};
  static const long target = [] {
    const char* text = getenv("COCOON_FAULT");
    return text == nullptr ? 0L : strtol(text, nullptr, 10);
  }();
  long number = ++count;
  static const char* const trace = getenv("COCOON_FAULT_TRACE");
  if (trace != nullptr) {
    int fd = open(trace, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd >= 0) {
      std::string line = fmt::format("{} {}\n", number, name);
      if (write(fd, line.data(), line.size()) < 0) abort();
      close(fd);
    }
  }
  if (number == target) kill(getpid(), SIGKILL);
}

}  // namespace cocoon::sys

#endif
