// SPDX-License-Identifier: Apache-2.0
// Many sessions over one byte stream (QEMU's virtio-serial port). Each line of a session carries
// the session's number as its first key:
//
//   {"session":7,"type":"exec","argv":["true"]}
//
// so that joining and splitting are a matter of a prefix. Three lines are of the link itself:
//
//   {"session":7,"type":"window","bytes":N}   N bytes of the session's lines were taken; the sender
//                                             keeps at most kWindowBytes (and one line) outstanding
//   {"session":7,"type":"close"}              the host has no interest in the session any more
//   {"type":"reset","token":"…"}              host → guest: all sessions of an earlier link end,
//   what
//                                             is in flight is void; answered with the same line
//   {"type":"hello"}                          guest → host: an agent has just opened the port
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace cocoon::agent_wire {

// Bytes of lines of one session that may be outstanding in one direction.
inline constexpr std::size_t kWindowBytes = std::size_t{1} << 20;
// Taken bytes are reported in steps of this at least.
inline constexpr std::size_t kWindowStep = kWindowBytes / 4;

struct MuxLine {
  enum class Kind { kBad, kSession, kWindow, kClose, kReset, kHello };
  Kind kind = Kind::kBad;
  std::int64_t session = 0;
  std::string_view rest;   // kSession: the line without its first '{' and session key
  std::int64_t bytes = 0;  // kWindow
  std::string token;       // kReset
};

MuxLine split_mux_line(std::string_view line);

// Appends a line of a session (without its end, starting with '{') as a line of the link.
void append_mux_line(std::string& out, std::int64_t session, std::string_view line);
void append_window(std::string& out, std::int64_t session, std::size_t bytes);
void append_close(std::string& out, std::int64_t session);
void append_reset(std::string& out, std::string_view token);
void append_hello(std::string& out);

}  // namespace cocoon::agent_wire
