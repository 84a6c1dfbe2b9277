// SPDX-License-Identifier: Apache-2.0
// Frames of the agent's protocol: one JSON object a line, one session a connection. The first frame
// of a session says what it is about. docs/agent.md has the table of types and keys.
//
// The frames of the original's protocol are "exec", "reseed", "stdin", "stdin_close" to the guest
// and "started", "stdout", "stderr", "exit", "error" from it. Everything else is ours: a first
// frame that an old agent does not know is answered with an "error" at once.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "agent_wire/json_text.h"

namespace cocoon::agent_wire {

// The port that agents listen on (vsock), and the name of the virtio-serial port.
inline constexpr unsigned kAgentPort = 1024;
inline constexpr std::string_view kSerialPortName = "org.cocoon.agent";

// Pieces of stdin, stdout and stderr in one frame; the original's client sends as much.
inline constexpr std::size_t kDataPiece = 32 * 1024;

namespace type {
// First frames.
inline constexpr std::string_view kExec = "exec";           // argv, env
inline constexpr std::string_view kRun = "run";             // exec with tty, workdir, user, …
inline constexpr std::string_view kAttach = "attach";       // the VM's own entrypoint
inline constexpr std::string_view kReseed = "reseed";       // data, regen_machine_id
inline constexpr std::string_view kTarRead = "tar_read";    // path: a tar comes as stdout
inline constexpr std::string_view kTarWrite = "tar_write";  // path: a tar goes in as stdin
inline constexpr std::string_view kIdentity = "identity";
inline constexpr std::string_view kShutdown = "shutdown";  // reboot
inline constexpr std::string_view kInfo = "info";
// To the guest.
inline constexpr std::string_view kStdin = "stdin";
inline constexpr std::string_view kStdinClose = "stdin_close";
inline constexpr std::string_view kResize = "resize";  // rows, cols
inline constexpr std::string_view kSignal = "signal";  // signal
// From the guest.
inline constexpr std::string_view kStarted = "started";
inline constexpr std::string_view kStdout = "stdout";
inline constexpr std::string_view kStderr = "stderr";
inline constexpr std::string_view kExit = "exit";
inline constexpr std::string_view kError = "error";
inline constexpr std::string_view kDone = "done";  // last: the answer to identity and info
}  // namespace type

// All keys that any frame but "identity" has. Zero and empty values are not written.
struct Frame {
  std::string type;
  std::vector<std::string> argv;
  StringMap env;
  std::string data;  // decoded
  bool regen_machine_id = false;
  std::int64_t pid = 0;
  std::int64_t exit_code = 0;
  std::string message;
  // Ours.
  bool tty = false;
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::string workdir;
  std::string user;
  std::int64_t signal = 0;  // to the guest: to be sent; in "exit": what ended the program
  std::int64_t code = 0;    // in "error": 126, 127 as exit codes of a shell
  std::string path;
  bool follow = false;             // tar_read: the symlink's target at the top
  bool directory = false;          // tar_write: path has to be an existing directory
  bool reboot = false;             // shutdown
  std::string version;             // info
  std::string phase;               // info: entrypoint, init
  std::vector<std::string> items;  // done: what was applied, "hostname", "nic 0: No such device"
};

// False: not a JSON object, a wrong type, bad base64, a string with more entries than any session
// needs. Unknown keys are ignored. `frame` is reset first.
bool parse_frame(std::string_view line, Frame& frame);

// One line with its end.
std::string render_frame(const Frame& frame);

// Appends a line {"type":TYPE,"data":BYTES}: what render_frame makes, without the copies.
void append_data_frame(std::string& out, std::string_view type, std::string_view bytes);

}  // namespace cocoon::agent_wire
