// SPDX-License-Identifier: Apache-2.0
#include "agent_wire/frame.h"

#include <gtest/gtest.h>

#include "agent_wire/identity.h"

namespace cocoon::agent_wire {
namespace {

Frame parsed(std::string_view line) {
  Frame frame;
  EXPECT_TRUE(parse_frame(line, frame)) << line;
  return frame;
}

// The protocol of the original, line by line: golden in both directions.
TEST(Frame, SpeaksTheOriginalsProtocol) {
  Frame exec;
  exec.type = "exec";
  exec.argv = {"echo", "a b"};
  exec.env = {{"K", "V"}};
  EXPECT_EQ(render_frame(exec),
            "{\"type\":\"exec\",\"argv\":[\"echo\",\"a b\"],\"env\":{\"K\":\"V\"}}\n");
  Frame reseed;
  reseed.type = "reseed";
  reseed.data = "abc";
  reseed.regen_machine_id = true;
  EXPECT_EQ(render_frame(reseed),
            "{\"type\":\"reseed\",\"data\":\"YWJj\",\"regen_machine_id\":true}\n");
  Frame close;
  close.type = "stdin_close";
  EXPECT_EQ(render_frame(close), "{\"type\":\"stdin_close\"}\n");
  std::string data;
  append_data_frame(data, "stdin", "hello");
  EXPECT_EQ(data, "{\"type\":\"stdin\",\"data\":\"aGVsbG8=\"}\n");

  EXPECT_EQ(parsed(R"({"type":"started","pid":321})").pid, 321);
  EXPECT_EQ(parsed(R"({"type":"stdout","data":"aGVsbG8K"})").data, "hello\n");
  EXPECT_EQ(parsed(R"({"data":"aGVsbG8K","type":"stderr"})").data, "hello\n");
  EXPECT_EQ(parsed(R"({"type":"exit"})").exit_code, 0);
  EXPECT_EQ(parsed(R"({"type":"exit","exit_code":-1})").exit_code, -1);
  EXPECT_EQ(parsed(R"({"type":"error","message":"exec: no"})").message, "exec: no");
}

TEST(Frame, ReadsWhatItWrites) {
  Frame frame;
  frame.type = "run";
  frame.argv = {"sh", "-c", "x\ny"};
  frame.tty = true;
  frame.rows = 24;
  frame.cols = 80;
  frame.workdir = "/srv";
  frame.user = "app:app";
  const std::string line = render_frame(frame);
  const Frame back = parsed(std::string_view(line).substr(0, line.size() - 1));
  EXPECT_EQ(render_frame(back), line);
  EXPECT_EQ(back.argv, frame.argv);
}

TEST(Frame, IgnoresUnknownKeysAndNulls) {
  const Frame frame = parsed(R"({"type":"exit","exit_code":3,"new":{"a":[1]},"message":null})");
  EXPECT_EQ(frame.exit_code, 3);
  EXPECT_EQ(frame.message, "");
}

TEST(Frame, RefusesWrongTypesAndBadBase64) {
  Frame frame;
  for (
      const char* line :
      {"", "[]", "null", "{", "{}x", R"({"type":1})", R"({"type":"exec","argv":"sh"})",
       R"({"type":"exec","argv":[1]})", R"({"type":"exec","env":["A"]})",
       R"({"type":"stdout","data":"!"})", R"({"type":"stdout","data":"YQ"})",
       R"({"type":"stdout","data":5})", R"({"type":"started","pid":"1"})",
       R"({"type":"exit","exit_code":1.5})", R"({"type":"run","tty":1})",
       R"({"type":"x","unknown":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]})"})
    EXPECT_FALSE(parse_frame(line, frame)) << line;
}

TEST(Identity, ReadsWhatItWrites) {
  Identity identity;
  identity.time_ns = 1'700'000'000'123'456'789;
  identity.entropy = std::string("\0\xff", 2);
  identity.hostname = "clone";
  identity.machine_id = "0123456789abcdef0123456789abcdef";
  identity.nics.push_back({.index = 1,
                           .find_mac = "02:00:00:00:00:01",
                           .mac = "02:00:00:00:00:02",
                           .mtu = 1450,
                           .set_addresses = true,
                           .addresses = {"10.0.0.2/24", "fd00::2/64"},
                           .routes = {{"default", "10.0.0.1"}, {"10.9.0.0/16", ""}}});
  identity.dns = {"1.1.1.1"};
  identity.search = {"example.org"};
  identity.mounts.push_back({.serial = "data1", .index = 3, .fstype = "ext4", .path = "/mnt/a"});
  const std::string line = render_identity(identity);
  Identity back;
  ASSERT_TRUE(parse_identity(std::string_view(line).substr(0, line.size() - 1), back));
  EXPECT_EQ(render_identity(back), line);
  ASSERT_EQ(back.nics.size(), 1U);
  EXPECT_EQ(back.nics[0].routes.size(), 2U);
  EXPECT_EQ(back.entropy, identity.entropy);
  EXPECT_FALSE(parse_identity(R"({"type":"identity","nics":[1]})", back));
  EXPECT_FALSE(parse_identity(R"({"type":"identity","mounts":{"a":1}})", back));
}

}  // namespace
}  // namespace cocoon::agent_wire
