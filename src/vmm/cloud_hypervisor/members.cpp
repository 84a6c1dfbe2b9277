// SPDX-License-Identifier: Apache-2.0
#include "vmm/cloud_hypervisor/members.h"

#include <algorithm>

#include "model/untrusted_json.h"

namespace cocoon::vmm::cloud_hypervisor {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxText = 4095;
constexpr std::size_t kMaxQuoted = 120;

// A value for a message.
std::string quote(const json& value) {
  std::string text = value.dump(-1, ' ', true, json::error_handler_t::replace);
  if (text.size() <= kMaxQuoted) return text;
  return fmt::format("{}…", std::string_view(text).substr(0, kMaxQuoted));
}

// Nesting is bounded by the parser.
bool has_inexact_number(const json& value) {  // NOLINT(misc-no-recursion)
  if (value.is_number_float()) return true;
  if (!value.is_structured()) return false;
  return std::any_of(value.begin(), value.end(), has_inexact_number);
}

}  // namespace

Members::Members(const json& object, std::string name) : object_(object), name_(std::move(name)) {
  if (!object.is_object()) problem_ = fmt::format("{} is no object", name_);
}

const json* Members::find(const char* key) {
  known_.insert(key);
  if (!object_.is_object()) return nullptr;
  auto at = object_.find(key);
  return at == object_.end() || at->is_null() ? nullptr : &*at;
}

const json& Members::object(const char* key) {
  static const json kEmpty = json::object();
  const json* value = find(key);
  if (value != nullptr && value->is_object()) return *value;
  refuse(key, "is no object");
  return kEmpty;
}

const json& Members::list(const char* key) {
  static const json kEmpty = json::array();
  const json* value = find(key);
  if (value != nullptr && value->is_array()) return *value;
  refuse(key, "is no list");
  return kEmpty;
}

void Members::same(const char* key, const json& expected) {
  const json* value = find(key);
  if (value == nullptr) {
    refuse(key, fmt::format("is missing, not {}", quote(expected)));
  } else if (*value != expected) {
    refuse(key, fmt::format("is {}, not {}", quote(*value), quote(expected)));
  }
}

void Members::same_or_absent(const char* key, const json& expected) {
  if (find(key) != nullptr) same(key, expected);
}

bool Members::flag(const char* key, bool otherwise) {
  const json* value = find(key);
  if (value == nullptr) return otherwise;
  if (!value->is_boolean()) refuse(key, fmt::format("is {}, no flag", quote(*value)));
  return value->is_boolean() ? value->get<bool>() : otherwise;
}

std::uint64_t Members::number(const char* key, std::uint64_t most, std::uint64_t otherwise) {
  const json* value = find(key);
  if (value == nullptr) return otherwise;
  if (value->is_number_unsigned() && value->get<std::uint64_t>() <= most) {
    return value->get<std::uint64_t>();
  }
  refuse(key, fmt::format("is {}, no number up to {}", quote(*value), most));
  return otherwise;
}

std::string Members::text(const char* key) {
  const json* value = find(key);
  if (value == nullptr) return {};
  if (value->is_string() && value->get_ref<const std::string&>().size() <= kMaxText) {
    return value->get<std::string>();
  }
  refuse(key, "is no text, or too long");
  return {};
}

void Members::refuse(const char* key, std::string_view why) {
  if (problem_.empty()) problem_ = fmt::format("{}: {} {}", name_, key, why);
}

Result<void> Members::check() const {
  if (!problem_.empty()) return fail(ErrorKind::kCorrupt, "{}", problem_);
  return {};
}

Result<void> Members::finish() const {
  COCOON_TRY(check());
  for (const auto& [key, value] : object_.items()) {
    if (value.is_null() || known_.contains(key)) continue;
    return fail(ErrorKind::kCorrupt, "{}: {} is not expected there", name_,
                quote(key.substr(0, kMaxQuoted)));
  }
  return {};
}

Result<json> parse_exact(std::string_view text, std::string_view name) {
  json value = COCOON_TRY(model::parse_untrusted_json(text), "{}", name);
  if (has_inexact_number(value)) {
    return fail(ErrorKind::kCorrupt, "{}: a number that is none of 64 bits", name);
  }
  return value;
}

}  // namespace cocoon::vmm::cloud_hypervisor
