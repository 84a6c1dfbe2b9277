// SPDX-License-Identifier: Apache-2.0
#include "image/acquire/remote/headers.h"

#include <algorithm>
#include <limits>

#include <nlohmann/json.hpp>

#include "base/text.h"

namespace cocoon::image {
namespace {

using nlohmann::json;

constexpr std::size_t kMostChallenges = 16;
constexpr std::size_t kLongestToken = 64 << 10;

// The characters of a token (RFC 9110 §5.6.2), and those of token68 besides.
bool is_token_char(char c) {
  bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  return letter ||
         (c != 0 && std::string_view("!#$%&'*+-.^_`|~/").find(c) != std::string_view::npos);
}

class HeaderReader {
 public:
  explicit HeaderReader(std::string_view text) : text_(text) {}

  bool at_end() const { return at_ >= text_.size(); }
  char peek() const { return at_end() ? '\0' : text_[at_]; }
  void skip(std::string_view set) {
    while (!at_end() && set.find(text_[at_]) != set.npos) ++at_;
  }
  bool take(char c) {
    if (peek() != c || at_end()) return false;
    ++at_;
    return true;
  }
  std::string token() {
    std::size_t start = at_;
    while (!at_end() && is_token_char(text_[at_])) ++at_;
    return std::string(text_.substr(start, at_ - start));
  }
  // After the opening quote.
  std::string quoted() {
    std::string out;
    while (!at_end() && text_[at_] != '"') {
      if (text_[at_] == '\\' && at_ + 1 < text_.size()) ++at_;
      out += text_[at_++];
    }
    take('"');
    return out;
  }
  std::size_t place() const { return at_; }
  void back_to(std::size_t place) { at_ = place; }

 private:
  std::string_view text_;
  std::size_t at_ = 0;
};

// name=value, or back where it was: then a new challenge begins here.
bool read_parameter(HeaderReader& reader, Challenge& challenge) {
  std::size_t start = reader.place();
  std::string name = to_lower(reader.token());
  reader.skip(" \t");
  if (name.empty() || !reader.take('=')) {
    reader.back_to(start);
    return false;
  }
  reader.skip(" \t");
  std::string value = reader.take('"') ? reader.quoted() : reader.token();
  challenge.parameters.emplace(std::move(name), std::move(value));
  reader.skip("=");  // the padding of a token68
  return true;
}

std::optional<std::int64_t> number(std::string_view text) {
  auto value = parse_decimal(text);
  if (!value || *value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
    return std::nullopt;
  }
  return static_cast<std::int64_t>(*value);
}

// One line of a list of checksums: digest and name; empty when it is something else.
std::pair<std::string, std::string_view> checksum_line(std::string_view line) {
  constexpr std::size_t kDigits = 64;
  constexpr std::string_view kTag = "SHA256 (";
  if (line.starts_with(kTag)) {
    auto end = line.rfind(") = ");
    if (end == line.npos) return {};
    return {to_lower(line.substr(end + 4)), line.substr(kTag.size(), end - kTag.size())};
  }
  if (line.size() < kDigits + 3 || line[kDigits] != ' ') return {};
  std::string_view name = line.substr(kDigits + 1);
  if (name[0] == ' ' || name[0] == '*') name.remove_prefix(1);
  return {to_lower(line.substr(0, kDigits)), name};
}

}  // namespace

std::vector<Challenge> parse_challenges(std::string_view value) {
  std::vector<Challenge> out;
  HeaderReader reader(value);
  while (out.size() < kMostChallenges) {
    reader.skip(" \t,");
    Challenge challenge;
    challenge.scheme = to_lower(reader.token());
    if (challenge.scheme.empty()) break;
    do {
      reader.skip(" \t,");
    } while (read_parameter(reader, challenge));
    out.push_back(std::move(challenge));
  }
  return out;
}

std::optional<ContentRange> parse_content_range(std::string_view value) {
  constexpr std::string_view kUnit = "bytes ";
  value = trim(value);
  if (to_lower(value.substr(0, kUnit.size())) != kUnit) return std::nullopt;
  value.remove_prefix(kUnit.size());
  auto dash = value.find('-');
  auto slash = value.find('/');
  if (dash == value.npos || slash == value.npos || slash < dash) return std::nullopt;
  auto first = number(value.substr(0, dash));
  auto last = number(value.substr(dash + 1, slash - dash - 1));
  std::string_view total_text = value.substr(slash + 1);
  auto total = total_text == "*" ? std::optional<std::int64_t>(-1) : number(total_text);
  if (!first || !last || !total || *last < *first || (*total >= 0 && *last >= *total)) {
    return std::nullopt;
  }
  return ContentRange{*first, *last, *total};
}

std::optional<std::int64_t> parse_content_length(std::string_view value) {
  return number(trim(value));
}

std::optional<std::int64_t> parse_retry_after(std::string_view value) {
  return number(trim(value));
}

Result<std::optional<std::string>> find_checksum(std::string_view list, std::string_view name) {
  std::optional<std::string> found;
  for (std::string_view line : split(list, '\n')) {
    auto [digest, file] = checksum_line(trim(line));
    if (file.starts_with("./")) file.remove_prefix(2);
    if (!is_sha256_hex(digest) || file != name) continue;
    if (found && *found != digest) {
      return fail(ErrorKind::kCorrupt, "\"{}\" stands in it with different checksums", name);
    }
    found = digest;
  }
  return found;
}

std::string registry_error_text(std::string_view body) {
  if (std::count(body.begin(), body.end(), '[') + std::count(body.begin(), body.end(), '{') > 64) {
    return "";
  }
  json document = json::parse(body, nullptr, false);
  if (!document.is_object() || !document.contains("errors")) return "";
  const json& errors = document["errors"];
  if (!errors.is_array() || errors.empty() || !errors[0].is_object()) return "";
  std::string text;
  for (const char* key : {"code", "message"}) {
    auto at = errors[0].find(key);
    if (at == errors[0].end() || !at->is_string()) continue;
    text += (text.empty() ? "" : ": ") + at->get<std::string>().substr(0, 200);
  }
  return text;
}

Result<std::string> parse_token(std::string_view body) {
  auto refuse = [](std::string_view why) {
    return fail(ErrorKind::kCorrupt, "the token server's answer {}", why);
  };
  if (std::count(body.begin(), body.end(), '[') + std::count(body.begin(), body.end(), '{') > 64) {
    return refuse("is nested too deeply");
  }
  json document = json::parse(body, nullptr, false);
  if (!document.is_object()) return refuse("is no JSON object");
  std::string token;
  for (const char* key : {"token", "access_token"}) {  // the second one wins (spec 02 §5.2)
    auto at = document.find(key);
    if (at != document.end() && at->is_string()) token = at->get<std::string>();
  }
  bool good = !token.empty() && token.size() <= kLongestToken &&
              std::all_of(token.begin(), token.end(), [](char c) { return c > ' ' && c < 0x7f; });
  if (!good) return refuse("has no token in it");
  return token;
}

}  // namespace cocoon::image
