// SPDX-License-Identifier: Apache-2.0
#include "agent_wire/frame.h"

#include <algorithm>

#include "agent_wire/base64.h"

namespace cocoon::agent_wire {
namespace {

constexpr std::size_t kMaxStrings = 65536;  // arguments, environment entries

// {"type":"stdout","data":"…"} as everybody writes it, without looking at each byte twice. False:
// not of that form, which says nothing about the line.
bool parse_data_frame(std::string_view line, Frame& frame) {
  constexpr std::string_view kHead = R"({"type":")";
  constexpr std::string_view kMiddle = R"(","data":")";
  constexpr std::string_view kTail = R"("})";
  if (!line.starts_with(kHead) || !line.ends_with(kTail)) return false;
  line.remove_prefix(kHead.size());
  for (const std::string_view name : {type::kStdin, type::kStdout, type::kStderr}) {
    if (!line.starts_with(name) || !line.substr(name.size()).starts_with(kMiddle)) continue;
    line.remove_prefix(name.size() + kMiddle.size());
    line.remove_suffix(std::min(line.size(), kTail.size()));
    frame.type = name;
    if (append_decoded(frame.data, line)) return true;
    frame.data.clear();
    return false;
  }
  return false;
}

bool read_bytes(JsonReader& reader, std::string& out) {
  std::string text;
  out.clear();
  return reader.read(text) && append_decoded(out, text);
}

bool read_value(JsonReader& reader, std::string_view key, Frame& frame) {
  if (key == "type") return reader.read(frame.type);
  if (key == "argv") return reader.read(frame.argv, kMaxStrings);
  if (key == "env") return reader.read(frame.env, kMaxStrings);
  if (key == "data") return read_bytes(reader, frame.data);
  if (key == "regen_machine_id") return reader.read(frame.regen_machine_id);
  if (key == "pid") return reader.read(frame.pid);
  if (key == "exit_code") return reader.read(frame.exit_code);
  if (key == "message") return reader.read(frame.message);
  if (key == "tty") return reader.read(frame.tty);
  if (key == "rows") return reader.read(frame.rows);
  if (key == "cols") return reader.read(frame.cols);
  if (key == "workdir") return reader.read(frame.workdir);
  if (key == "user") return reader.read(frame.user);
  if (key == "signal") return reader.read(frame.signal);
  if (key == "code") return reader.read(frame.code);
  if (key == "path") return reader.read(frame.path);
  if (key == "follow") return reader.read(frame.follow);
  if (key == "directory") return reader.read(frame.directory);
  if (key == "reboot") return reader.read(frame.reboot);
  if (key == "version") return reader.read(frame.version);
  if (key == "phase") return reader.read(frame.phase);
  if (key == "items") return reader.read(frame.items, kMaxStrings);
  return reader.skip();
}

}  // namespace

bool parse_frame(std::string_view line, Frame& frame) {
  frame = Frame();
  if (parse_data_frame(line, frame)) return true;
  frame = Frame();
  JsonReader reader(line);
  if (!reader.enter_object()) return false;
  std::string key;
  while (reader.next_key(key))
    if (!read_value(reader, key, frame)) return false;
  return reader.at_end();
}

std::string render_frame(const Frame& frame) {
  std::string out;
  ObjectWriter object(out);
  object.text("type", frame.type);
  object.texts("argv", frame.argv);
  object.map("env", frame.env);
  object.bytes("data", frame.data);
  object.flag("regen_machine_id", frame.regen_machine_id);
  object.number("pid", frame.pid);
  object.number("exit_code", frame.exit_code);
  object.text("message", frame.message);
  object.flag("tty", frame.tty);
  object.number("rows", frame.rows);
  object.number("cols", frame.cols);
  object.text("workdir", frame.workdir);
  object.text("user", frame.user);
  object.number("signal", frame.signal);
  object.number("code", frame.code);
  object.text("path", frame.path);
  object.flag("follow", frame.follow);
  object.flag("directory", frame.directory);
  object.flag("reboot", frame.reboot);
  object.text("version", frame.version);
  object.text("phase", frame.phase);
  object.texts("items", frame.items);
  object.finish();
  out += '\n';
  return out;
}

void append_data_frame(std::string& out, std::string_view type, std::string_view bytes) {
  out += R"({"type":")";
  out += type;
  out += R"(","data":")";
  append_base64(out, bytes);
  out += "\"}\n";
}

}  // namespace cocoon::agent_wire
