// SPDX-License-Identifier: Apache-2.0
#include "vmm/qemu/qmp_message.h"

#include "model/json_fields.h"
#include "model/untrusted_json.h"

namespace cocoon::vmm::qemu {
namespace {

constexpr std::size_t kMaxText = 1024;  // of an error, which ends up in a message to the user

Result<QmpMessage> parse_event(const model::Fields& outer, const nlohmann::json& name) {
  QmpMessage message;
  message.kind = QmpMessage::Kind::kEvent;
  if (!name.is_string()) return fail(ErrorKind::kCorrupt, "an event without a name");
  message.name = name.get_ref<const std::string&>();
  if (const auto* data = outer.find("data")) message.value = *data;
  return message;
}

Result<QmpMessage> parse_error(const nlohmann::json& body) {
  QmpMessage message;
  message.kind = QmpMessage::Kind::kError;
  model::Fields fields(body, "error");
  fields.get("class", message.name);
  fields.get("desc", message.text);
  COCOON_TRY(fields.check());
  if (message.name.size() > kMaxText) message.name.resize(kMaxText);
  if (message.text.size() > kMaxText) message.text.resize(kMaxText);
  return message;
}

}  // namespace

Result<QmpMessage> parse_qmp_message(std::string_view line) {
  nlohmann::json json = COCOON_TRY(model::parse_untrusted_json(line), "read a message");
  if (!json.is_object()) return fail(ErrorKind::kCorrupt, "a line that is no JSON object");
  model::Fields fields(json, "message");
  if (json.contains("QMP")) {
    QmpMessage message;
    message.kind = QmpMessage::Kind::kGreeting;
    message.value = json["QMP"];
    return message;
  }
  if (const auto* event = fields.find("event")) return parse_event(fields, *event);
  QmpMessage message;
  if (const auto* error = fields.find("error")) {
    message = COCOON_TRY(parse_error(*error));
  } else if (json.contains("return")) {
    message.value = json["return"];
  } else {
    return fail(ErrorKind::kCorrupt, "a message that is neither greeting, answer nor event");
  }
  if (fields.find("id") != nullptr) {
    std::uint64_t id = 0;
    fields.get("id", id);
    COCOON_TRY(fields.check());
    message.id = id;
  }
  return message;
}

}  // namespace cocoon::vmm::qemu
