// SPDX-License-Identifier: Apache-2.0
#include "vmm/api_refusal.h"

#include <algorithm>

#include "base/text.h"
#include "model/untrusted_json.h"

namespace cocoon::vmm {
namespace {

constexpr std::size_t kMaxText = 2048;

// Cloud Hypervisor's chain; its first link says no more than that there is a chain.
std::string join_chain(const nlohmann::json& chain) {
  std::string text;
  for (const auto& link : chain) {
    if (!link.is_string()) continue;
    std::string_view words = link.get_ref<const std::string&>();
    words = words.substr(0, words.find("\n\nStack backtrace"));
    if (words == "Error from API" && chain.size() > 1) continue;
    if (!text.empty()) text += ": ";
    text += words;
  }
  return text;
}

std::string member(const nlohmann::json& object, const char* key) {
  auto at = object.find(key);
  return at != object.end() && at->is_string() ? at->get<std::string>() : std::string();
}

// `{ "error": "…` with a raw newline inside: what stands between the quotes.
std::string_view without_wrapping(std::string_view text) {
  constexpr std::string_view kLead = "\"error\":";
  auto at = text.find(kLead);
  if (!text.starts_with('{') || at == std::string_view::npos) return text;
  text = trim(text.substr(at + kLead.size()));
  while (!text.empty() && (text.back() == '}' || text.back() == ' ' || text.back() == '\n')) {
    text.remove_suffix(1);
  }
  if (text.starts_with('"')) text.remove_prefix(1);
  if (text.ends_with('"')) text.remove_suffix(1);
  return text;
}

std::string take_apart(std::string_view body) {
  auto json = model::parse_untrusted_json(body);
  if (json && json->is_array()) return join_chain(*json);
  if (json && json->is_object()) {
    std::string text = member(*json, "fault_message");
    return text.empty() ? member(*json, "error") : text;
  }
  if (json && json->is_string()) return json->get<std::string>();
  return std::string(without_wrapping(trim(body)));
}

}  // namespace

std::string describe_refusal(std::string_view body) {
  std::string text = take_apart(body);
  if (trim(text).empty()) text = trim(body);  // JSON that says nothing to us
  std::replace(text.begin(), text.end(), '\n', ' ');
  if (text.size() > kMaxText) text.resize(kMaxText);
  text = trim(text);
  return text.empty() ? "no reason given" : text;
}

}  // namespace cocoon::vmm
