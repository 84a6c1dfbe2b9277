// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <poll.h>

#include <string>
#include <vector>

#include "guest/fd.h"

namespace cocoon::guest {

/// Listens for the ACPI power button: without a listener on its input device the host's request to
/// stop is silently lost. The device may appear late (its driver is a module), so the kernel's
/// device events are followed too. Owns its descriptors.
class PowerButton {
 public:
  /// `input_dir` is /dev/input outside of tests.
  explicit PowerButton(std::string input_dir);

  /// What to poll, all for reading. Valid until the next call of pressed().
  std::vector<pollfd> poll_set() const;

  /// Reads what has arrived; whether the button was pressed. Never blocks.
  bool pressed();

 private:
  struct Device {
    std::string name;
    UniqueFd fd;
  };

  void scan();
  bool read_device_events();
  static bool read_keys(int fd, bool& gone);

  std::string input_dir_;
  UniqueFd events_;
  std::vector<Device> devices_;
};

}  // namespace cocoon::guest
