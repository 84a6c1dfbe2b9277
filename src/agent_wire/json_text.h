// SPDX-License-Identifier: Apache-2.0
// Just enough JSON for one frame: a pull reader that allocates nothing but the strings it is asked
// for, so that hostile nesting costs nothing, and the writer's half.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace cocoon::agent_wire {

using StringMap = std::vector<std::pair<std::string, std::string>>;  // in the order of the text

// Reads one value after the other. After the first mistake every call fails. `null` counts as an
// absent value: the reading functions leave their target alone.
class JsonReader {
 public:
  explicit JsonReader(std::string_view text) : text_(text) {}

  bool failed() const { return failed_; }
  // Nothing but white space is left.
  bool at_end();

  // {"key": VALUE, ...}: after enter_object(), each next_key() that is true is followed by exactly
  // one read or skip of a value. next_key() is false after the last one.
  bool enter_object();
  bool next_key(std::string& key);
  // [VALUE, ...], the same way.
  bool enter_array();
  bool next_item();

  bool read(std::string& value);
  bool read(std::int64_t& value);  // integers only
  bool read(bool& value);
  // Arrays and maps of strings, of at most `limit` entries.
  bool read(std::vector<std::string>& values, std::size_t limit);
  bool read(StringMap& values, std::size_t limit);
  bool skip();

 private:
  bool fail() {
    failed_ = true;
    return false;
  }
  char peek();
  bool take(char c);
  bool take_word(std::string_view word);
  bool take_null();
  bool take_string(std::string& out);
  bool take_escape(std::string& out);
  bool take_code_unit(std::uint32_t& unit);
  bool take_number();
  bool skip_at(int depth);
  bool next_in(char end);

  std::string_view text_;
  std::size_t at_ = 0;
  bool first_ = false;  // just after { or [
  bool failed_ = false;
};

// Appends "text" with quotes and escapes. Bytes from 0x20 on go through as they are.
void append_json_string(std::string& out, std::string_view text);

// Writes one flat object: keys in the order of the calls, zero and empty values left out.
class ObjectWriter {
 public:
  explicit ObjectWriter(std::string& out) : out_(out) { out_ += '{'; }
  void text(std::string_view key, std::string_view value);
  void number(std::string_view key, std::int64_t value);
  void flag(std::string_view key, bool value);
  void bytes(std::string_view key, std::string_view value);  // base64
  void texts(std::string_view key, const std::vector<std::string>& values);
  void map(std::string_view key, const StringMap& values);
  // "key": followed by what the caller appends.
  void key(std::string_view name);
  void finish() { out_ += '}'; }

 private:
  std::string& out_;
  bool first_ = true;
};

}  // namespace cocoon::agent_wire
