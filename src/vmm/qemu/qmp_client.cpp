// SPDX-License-Identifier: Apache-2.0
#include "vmm/qemu/qmp_client.h"

namespace cocoon::vmm::qemu {
namespace {

// Older events are dropped: nobody waits for something that long ago, and a peer that floods us
// must not fill our memory.
constexpr std::size_t kMaxEvents = 64;

}  // namespace

Result<QmpClient> QmpClient::open(sys::UniqueFd socket, Deadline deadline) {
  QmpClient client(std::move(socket));
  QmpMessage greeting = COCOON_TRY(client.read_message(deadline), "wait for the QMP greeting");
  if (greeting.kind != QmpMessage::Kind::kGreeting) {
    return fail(ErrorKind::kCorrupt, "QMP does not begin with a greeting");
  }
  COCOON_TRY(client.execute("qmp_capabilities", nullptr, deadline));
  return client;
}

Result<QmpMessage> QmpClient::read_message(Deadline deadline) {
  std::string line = COCOON_TRY(channel_.read_line(deadline));
  return parse_qmp_message(line);
}

void QmpClient::keep(QmpMessage event) {
  if (events_.size() == kMaxEvents) events_.pop_front();
  events_.push_back(std::move(event));
}

Result<nlohmann::json> QmpClient::execute(std::string_view command, const nlohmann::json& arguments,
                                          Deadline deadline) {
  return run(command, arguments, -1, deadline);
}

Result<void> QmpClient::give_fd(std::string_view name, int fd, Deadline deadline) {
  COCOON_TRY(run("getfd", {{"fdname", name}}, fd, deadline));
  return {};
}

Result<nlohmann::json> QmpClient::run(std::string_view command, const nlohmann::json& arguments,
                                      int fd, Deadline deadline) {
  std::uint64_t id = next_id_++;
  nlohmann::json request{{"execute", command}, {"id", id}};
  if (!arguments.is_null()) request["arguments"] = arguments;
  std::string line = request.dump() + "\n";
  COCOON_TRY(fd < 0 ? channel_.write(line, deadline) : channel_.write_with_fd(line, fd, deadline),
             "QMP {}", command);
  while (true) {
    QmpMessage message = COCOON_TRY(read_message(deadline), "QMP {}", command);
    if (message.kind == QmpMessage::Kind::kEvent) {
      keep(std::move(message));
      continue;
    }
    // QEMU answers without an id only what it could not parse, which we never send.
    if (message.kind == QmpMessage::Kind::kGreeting || message.id != id) {
      return fail(ErrorKind::kCorrupt, "QMP {}: an answer to something else", command);
    }
    if (message.kind == QmpMessage::Kind::kError) {
      return fail(ErrorKind::kVmm, "QMP {}: {}", command,
                  message.text.empty() ? message.name : message.text);
    }
    return std::move(message.value);
  }
}

Result<QmpMessage> QmpClient::next_event(Deadline deadline) {
  while (events_.empty()) {
    QmpMessage message = COCOON_TRY(read_message(deadline), "wait for a QMP event");
    if (message.kind != QmpMessage::Kind::kEvent) {
      return fail(ErrorKind::kCorrupt, "QMP: an answer that nobody asked for");
    }
    keep(std::move(message));
  }
  QmpMessage event = std::move(events_.front());
  events_.pop_front();
  return event;
}

}  // namespace cocoon::vmm::qemu
