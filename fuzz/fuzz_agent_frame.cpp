// SPDX-License-Identifier: Apache-2.0
// The door of the guest's agent: lines, frames, the lines of the shared link, identities. What is
// read is written and read again.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "agent_wire/frame.h"
#include "agent_wire/identity.h"
#include "agent_wire/line_reader.h"
#include "agent_wire/mux_line.h"

namespace {

using namespace cocoon::agent_wire;

void check_frame(std::string_view line) {
  Frame frame;
  if (!parse_frame(line, frame)) return;
  std::string written = render_frame(frame);
  if (written.find('\n') != written.size() - 1) std::abort();
  Frame again;
  if (!parse_frame(std::string_view(written).substr(0, written.size() - 1), again)) std::abort();
  if (render_frame(again) != written) std::abort();
}

void check_identity(std::string_view line) {
  Identity identity;
  if (!parse_identity(line, identity)) return;
  std::string written = render_identity(identity);
  Identity again;
  if (!parse_identity(std::string_view(written).substr(0, written.size() - 1), again)) std::abort();
  if (render_identity(again) != written) std::abort();
}

void check_mux_line(std::string_view line) {
  MuxLine parsed = split_mux_line(line);
  if (parsed.kind == MuxLine::Kind::kSession && parsed.session < 1) std::abort();
  if (parsed.kind == MuxLine::Kind::kWindow && parsed.bytes < 1) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  LineReader reader(4096);
  std::size_t step = size == 0 ? 1 : 1 + data[0];
  for (std::size_t at = 0; at < bytes.size(); at += step) {
    reader.feed(bytes.substr(at, step));
    std::string_view line;
    while (reader.next(line)) {
      if (line.size() > 4096) std::abort();
      check_mux_line(line);
      check_frame(line);
      check_identity(line);
    }
  }
  return 0;
}
