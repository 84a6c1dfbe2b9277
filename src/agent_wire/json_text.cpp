// SPDX-License-Identifier: Apache-2.0
#include "agent_wire/json_text.h"

#include <algorithm>
#include <charconv>

#include "agent_wire/base64.h"

namespace cocoon::agent_wire {
namespace {

constexpr int kMaxDepth = 32;

void append_utf8(std::string& out, std::uint32_t code) {
  const auto put = [&out](std::uint32_t byte) { out += static_cast<char>(byte); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xc0 | code >> 6);
    put(0x80 | (code & 0x3f));
  } else if (code < 0x10000) {
    put(0xe0 | code >> 12);
    put(0x80 | (code >> 6 & 0x3f));
    put(0x80 | (code & 0x3f));
  } else {
    put(0xf0 | code >> 18);
    put(0x80 | (code >> 12 & 0x3f));
    put(0x80 | (code >> 6 & 0x3f));
    put(0x80 | (code & 0x3f));
  }
}

constexpr std::uint32_t kReplacement = 0xfffd;
bool is_high(std::uint32_t unit) { return unit >= 0xd800 && unit < 0xdc00; }
bool is_low(std::uint32_t unit) { return unit >= 0xdc00 && unit < 0xe000; }

}  // namespace

char JsonReader::peek() {
  while (at_ < text_.size() &&
         (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\r' || text_[at_] == '\n'))
    ++at_;
  return at_ < text_.size() ? text_[at_] : '\0';
}

bool JsonReader::at_end() {
  peek();
  return !failed_ && at_ == text_.size();
}

bool JsonReader::take(char c) {
  if (failed_ || peek() != c) return fail();
  ++at_;
  return true;
}

bool JsonReader::take_word(std::string_view word) {
  peek();
  if (failed_ || !text_.substr(at_).starts_with(word)) return false;
  at_ += word.size();
  return true;
}

bool JsonReader::take_null() { return peek() == 'n' && take_word("null"); }

bool JsonReader::enter_object() {
  first_ = true;
  return take('{');
}

bool JsonReader::enter_array() {
  first_ = true;
  return take('[');
}

bool JsonReader::next_in(char end) {
  if (failed_) return false;
  if (peek() == end) {
    ++at_;
    first_ = false;
    return false;
  }
  if (!first_ && !take(',')) return false;
  first_ = false;
  return true;
}

bool JsonReader::next_key(std::string& key) {
  if (!next_in('}')) return false;
  key.clear();
  return take_string(key) && take(':');
}

bool JsonReader::next_item() { return next_in(']'); }

bool JsonReader::take_code_unit(std::uint32_t& unit) {
  const std::string_view digits = text_.substr(at_, 4);
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), unit, 16);
  if (error != std::errc() || digits.size() != 4 || end != digits.data() + 4) return fail();
  at_ += 4;
  return true;
}

bool JsonReader::take_escape(std::string& out) {
  constexpr std::string_view kFrom = "\"\\/bfnrt";
  constexpr std::string_view kTo = "\"\\/\b\f\n\r\t";
  if (at_ >= text_.size()) return fail();
  const char c = text_[at_++];
  if (const std::size_t found = kFrom.find(c); found != std::string_view::npos) {
    out += kTo[found];
    return true;
  }
  if (c != 'u') return fail();
  std::uint32_t unit = 0;
  if (!take_code_unit(unit)) return false;
  if (is_high(unit) && text_.substr(at_).starts_with("\\u")) {
    at_ += 2;
    std::uint32_t low = 0;
    if (!take_code_unit(low)) return false;
    if (is_low(low)) {
      unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
    } else {
      append_utf8(out, kReplacement);
      unit = low;
    }
  }
  append_utf8(out, unit >= 0xd800 && unit < 0xe000 ? kReplacement : unit);
  return true;
}

bool JsonReader::take_string(std::string& out) {
  if (!take('"')) return false;
  while (at_ < text_.size()) {
    const std::size_t stop = text_.find_first_of("\"\\", at_);
    if (stop == std::string_view::npos) return fail();
    const std::string_view plain = text_.substr(at_, stop - at_);
    for (const char c : plain)
      if (static_cast<unsigned char>(c) < 0x20) return fail();
    out += plain;
    at_ = stop + 1;
    if (text_[stop] == '"') return true;
    if (!take_escape(out)) return false;
  }
  return fail();
}

bool JsonReader::read(std::string& value) {
  if (take_null()) return true;
  value.clear();
  return take_string(value);
}

bool JsonReader::read(std::int64_t& value) {
  if (take_null()) return true;
  peek();
  const char* begin = text_.data() + at_;
  const char* limit = text_.data() + text_.size();
  const auto [end, error] = std::from_chars(begin, limit, value);
  if (failed_ || error != std::errc()) return fail();
  at_ += static_cast<std::size_t>(end - begin);
  const char next = at_ < text_.size() ? text_[at_] : '\0';
  return next == '.' || next == 'e' || next == 'E' ? fail() : true;
}

bool JsonReader::read(bool& value) {
  if (take_null()) return true;
  if (take_word("true")) {
    value = true;
  } else if (take_word("false")) {
    value = false;
  } else {
    return fail();
  }
  return true;
}

bool JsonReader::read(std::vector<std::string>& values, std::size_t limit) {
  if (take_null()) return true;
  values.clear();
  if (!enter_array()) return false;
  while (next_item()) {
    if (values.size() >= limit) return fail();
    values.emplace_back();
    if (!take_string(values.back())) return false;
  }
  return !failed_;
}

bool JsonReader::read(StringMap& values, std::size_t limit) {
  if (take_null()) return true;
  values.clear();
  if (!enter_object()) return false;
  std::string key;
  while (next_key(key)) {
    if (values.size() >= limit) return fail();
    values.emplace_back(key, "");
    if (!take_string(values.back().second)) return false;
  }
  return !failed_;
}

bool JsonReader::take_number() {
  const std::size_t end = std::min(text_.find_first_not_of("0123456789+-.eE", at_), text_.size());
  if (end == at_) return fail();
  at_ = end;
  return true;
}

bool JsonReader::skip_at(int depth) {
  if (failed_ || depth > kMaxDepth) return fail();
  std::string text;
  switch (peek()) {
    case '{':
      enter_object();
      while (next_key(text))
        if (!skip_at(depth + 1)) return false;
      return !failed_;
    case '[':
      enter_array();
      while (next_item())
        if (!skip_at(depth + 1)) return false;
      return !failed_;
    case '"':
      return take_string(text);
    case 't':
      return take_word("true") || fail();
    case 'f':
      return take_word("false") || fail();
    case 'n':
      return take_word("null") || fail();
    default:
      return take_number();
  }
}

bool JsonReader::skip() { return skip_at(0); }

void append_json_string(std::string& out, std::string_view text) {
  constexpr std::string_view kHex = "0123456789abcdef";
  out += '"';
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (byte < 0x20 || byte == 0x7f) {
      out += "\\u00";
      out += kHex[byte >> 4];
      out += kHex[byte & 0xf];
    } else {
      out += c;
    }
  }
  out += '"';
}

void ObjectWriter::key(std::string_view name) {
  if (!first_) out_ += ',';
  first_ = false;
  append_json_string(out_, name);
  out_ += ':';
}

void ObjectWriter::text(std::string_view name, std::string_view value) {
  if (value.empty()) return;
  key(name);
  append_json_string(out_, value);
}

void ObjectWriter::number(std::string_view name, std::int64_t value) {
  if (value == 0) return;
  key(name);
  out_ += std::to_string(value);
}

void ObjectWriter::flag(std::string_view name, bool value) {
  if (!value) return;
  key(name);
  out_ += "true";
}

void ObjectWriter::bytes(std::string_view name, std::string_view value) {
  if (value.empty()) return;
  key(name);
  out_ += '"';
  append_base64(out_, value);
  out_ += '"';
}

void ObjectWriter::texts(std::string_view name, const std::vector<std::string>& values) {
  if (values.empty()) return;
  key(name);
  out_ += '[';
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (i > 0) out_ += ',';
    append_json_string(out_, values[i]);
  }
  out_ += ']';
}

void ObjectWriter::map(std::string_view name, const StringMap& values) {
  if (values.empty()) return;
  key(name);
  ObjectWriter inner(out_);
  for (const auto& [entry, value] : values) {
    inner.key(entry);
    append_json_string(out_, value);
  }
  inner.finish();
}

}  // namespace cocoon::agent_wire
