// SPDX-License-Identifier: Apache-2.0
#include "agent_wire/mux_line.h"

#include <gtest/gtest.h>

namespace cocoon::agent_wire {
namespace {

using Kind = MuxLine::Kind;

std::string_view chomp(const std::string& line) {
  return std::string_view(line).substr(0, line.size() - 1);
}

TEST(MuxLine, SplitsWhatItJoins) {
  std::string out;
  append_mux_line(out, 7, R"({"type":"exit"})");
  EXPECT_EQ(out, "{\"session\":7,\"type\":\"exit\"}\n");
  const MuxLine line = split_mux_line(chomp(out));
  EXPECT_EQ(line.kind, Kind::kSession);
  EXPECT_EQ(line.session, 7);
  EXPECT_EQ("{" + std::string(line.rest), R"({"type":"exit"})");
}

TEST(MuxLine, KnowsTheLinesOfTheLink) {
  std::string out;
  append_window(out, 3, 262144);
  MuxLine line = split_mux_line(chomp(out));
  EXPECT_EQ(line.kind, Kind::kWindow);
  EXPECT_EQ(line.bytes, 262144);
  out.clear();
  append_close(out, 4);
  line = split_mux_line(chomp(out));
  EXPECT_EQ(line.kind, Kind::kClose);
  EXPECT_EQ(line.session, 4);
  out.clear();
  append_reset(out, "00ff");
  line = split_mux_line(chomp(out));
  EXPECT_EQ(line.kind, Kind::kReset);
  EXPECT_EQ(line.token, "00ff");
  out.clear();
  append_hello(out);
  EXPECT_EQ(split_mux_line(chomp(out)).kind, Kind::kHello);
}

TEST(MuxLine, TakesNothingElse) {
  for (const char* text :
       {"", "{", "{}", "x", R"({"type":"exec"})", R"({"session":,"a":1})", R"({"session":0,"a":1})",
        R"({"session":-1,"a":1})", R"({"session":99999999999999999999,"a":1})", R"({"session":1})",
        R"({"type":"reset","token":"XY"})", R"({"type":"reset","token":")",
        R"({"session":1x,"type":"exit"})"})
    EXPECT_EQ(split_mux_line(text).kind, Kind::kBad) << text;
}

}  // namespace
}  // namespace cocoon::agent_wire
