// SPDX-License-Identifier: Apache-2.0
// A QMP connection (spec 06 §2). QEMU serves one client at a time: a second one connects and waits
// in silence, so connections are short, and every wait has a deadline.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/error.h"
#include "sys/line_channel.h"
#include "vmm/qemu/qmp_message.h"

namespace cocoon::vmm::qemu {

// Errors of all members: kVmm: QEMU refused the command (its own words are the cause). kSystem with
// ECONNRESET: the process is gone or going. kCorrupt: what came is no QMP, or too much of it.
// kTimeout, kInterrupted. After anything but kVmm the connection is of no more use.
class [[nodiscard]] QmpClient {
 public:
  // Takes a connected socket: reads the greeting and leaves negotiation mode.
  static Result<QmpClient> open(sys::UniqueFd socket, Deadline deadline);

  // Runs one command and returns its value. `arguments`: an object, or null for none. Events that
  // come before the answer are kept.
  Result<nlohmann::json> execute(std::string_view command, const nlohmann::json& arguments,
                                 Deadline deadline);

  // Gives QEMU a copy of `fd` under a name that commands know as "fd:<name>".
  Result<void> give_fd(std::string_view name, int fd, Deadline deadline);

  // The next event, kept or to come.
  Result<QmpMessage> next_event(Deadline deadline);

 private:
  explicit QmpClient(sys::UniqueFd socket) : channel_(std::move(socket)) {}
  Result<QmpMessage> read_message(Deadline deadline);
  Result<nlohmann::json> run(std::string_view command, const nlohmann::json& arguments, int fd,
                             Deadline deadline);
  void keep(QmpMessage event);

  sys::LineChannel channel_;
  std::uint64_t next_id_ = 1;
  std::deque<QmpMessage> events_;
};

}  // namespace cocoon::vmm::qemu
