// SPDX-License-Identifier: Apache-2.0
#include "agent_wire/mux_line.h"

#include <algorithm>
#include <charconv>

#include "agent_wire/json_text.h"

namespace cocoon::agent_wire {
namespace {

constexpr std::string_view kPrefix = R"({"session":)";
constexpr std::string_view kWindowHead = R"("type":"window","bytes":)";
constexpr std::string_view kCloseRest = R"("type":"close"})";
constexpr std::string_view kResetHead = R"({"type":"reset","token":")";
constexpr std::string_view kHelloLine = R"({"type":"hello"})";

// A number of at least 1 off the front of `text`.
bool take_number(std::string_view& text, std::int64_t& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || value < 1) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return true;
}

bool is_token(std::string_view text) {
  return text.size() <= 64 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

MuxLine split_own_line(std::string_view line) {
  MuxLine result;
  if (line == kHelloLine) {
    result.kind = MuxLine::Kind::kHello;
  } else if (line.starts_with(kResetHead) && line.ends_with("\"}")) {
    line.remove_prefix(kResetHead.size());
    line.remove_suffix(std::min<std::size_t>(line.size(), 2));
    if (!is_token(line)) return result;
    result.kind = MuxLine::Kind::kReset;
    result.token = line;
  }
  return result;
}

}  // namespace

MuxLine split_mux_line(std::string_view line) {
  if (!line.starts_with(kPrefix)) return split_own_line(line);
  line.remove_prefix(kPrefix.size());
  MuxLine result;
  if (!take_number(line, result.session) || !line.starts_with(',')) return result;
  line.remove_prefix(1);
  if (line == kCloseRest) {
    result.kind = MuxLine::Kind::kClose;
  } else if (line.starts_with(kWindowHead)) {
    line.remove_prefix(kWindowHead.size());
    if (take_number(line, result.bytes) && line == "}") result.kind = MuxLine::Kind::kWindow;
  } else {
    result.kind = MuxLine::Kind::kSession;
    result.rest = line;
  }
  return result;
}

void append_mux_line(std::string& out, std::int64_t session, std::string_view line) {
  out += kPrefix;
  out += std::to_string(session);
  out += ',';
  out += line.substr(1);
  out += '\n';
}

void append_window(std::string& out, std::int64_t session, std::size_t bytes) {
  out += kPrefix;
  out += std::to_string(session);
  out += ',';
  out += kWindowHead;
  out += std::to_string(bytes);
  out += "}\n";
}

void append_close(std::string& out, std::int64_t session) {
  out += kPrefix;
  out += std::to_string(session);
  out += ',';
  out += kCloseRest;
  out += '\n';
}

void append_reset(std::string& out, std::string_view token) {
  out += kResetHead;
  out += token;
  out += "\"}\n";
}

void append_hello(std::string& out) {
  out += kHelloLine;
  out += '\n';
}

}  // namespace cocoon::agent_wire
