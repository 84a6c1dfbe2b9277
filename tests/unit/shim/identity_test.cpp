// SPDX-License-Identifier: Apache-2.0
#include "shim/identity.h"

#include <unistd.h>

#include <gtest/gtest.h>

#include "shim/request.h"

namespace cocoon::shim {
namespace {

Identity example() {
  Identity identity;
  identity.boot_id = BootId("0b0c-1");
  identity.process = {.pid = 4711, .start_time = 18446744073709551615ULL};
  identity.pts = 0;
  identity.started_at = Timestamp("2026-11-22T17:04:05Z");
  return identity;
}

TEST(IdentityTest, IsReadAsWritten) {
  const std::string text(render_identity(example()).view());
  EXPECT_EQ(text,
            "boot_id=0b0c-1\npid=4711\nstart_time=18446744073709551615\npts=0\n"
            "started_at=2026-11-22T17:04:05Z\n");
  Identity identity;
  ASSERT_TRUE(parse_identity(text, identity).ok);
  EXPECT_EQ(identity.boot_id.view(), "0b0c-1");
  EXPECT_EQ(identity.process.pid, 4711);
  EXPECT_EQ(identity.process.start_time, 18446744073709551615ULL);
  EXPECT_EQ(identity.pts, 0);
}

TEST(IdentityTest, RefusesWhatItDidNotWrite) {
  const std::string good(render_identity(example()).view());
  Identity identity;
  for (const auto& [from, to] : {std::pair{"pid=4711", "pid=0"},
                                 {"pid=4711", "pid=-4"},
                                 {"pid=4711", "pid=99999999999"},
                                 {"pid=4711\n", ""},
                                 {"pts=0", "pts=-1"},
                                 {"pts=0", "pts= 0"},
                                 {"boot_id=0b0c-1", "boot_id="},
                                 {"start_time=", "start="},
                                 {"17:04:05Z\n", "17:04:05Z\nmore=1\n"}}) {
    std::string text = good;
    text.replace(text.find(from), std::string(from).size(), to);
    EXPECT_FALSE(parse_identity(text, identity).ok) << text;
  }
  EXPECT_FALSE(parse_identity("", identity).ok);
}

TEST(IdentityTest, RendersTime) {
  EXPECT_EQ(render_time(0).view(), "1970-01-01T00:00:00Z");
  EXPECT_EQ(render_time(951827696).view(), "2000-02-29T12:34:56Z");
  EXPECT_EQ(render_time(1795367045).view(), "2026-11-22T17:04:05Z");
  EXPECT_EQ(render_time(4102444799).view(), "2099-12-31T23:59:59Z");
}

TEST(ProcessTest, FindsStartTimeBehindAnyName) {
  const std::string tail = " S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 987654 20 21\n";
  EXPECT_EQ(parse_start_time("12 (plain)" + tail), 987654U);
  EXPECT_EQ(parse_start_time("12 (a) R 1 (b c) )" + tail), 987654U);
  EXPECT_EQ(parse_start_time("12 (short) S 1 2"), std::nullopt);
  EXPECT_EQ(parse_start_time("12"), std::nullopt);
  EXPECT_EQ(parse_start_time("12 (x)"), std::nullopt);
}

TEST(ProcessTest, KnowsThisProcessAndNoOther) {
  const std::optional<std::uint64_t> start = read_start_time(::getpid());
  ASSERT_TRUE(start);
  EXPECT_TRUE(open_process({.pid = ::getpid(), .start_time = *start}).valid());
  EXPECT_FALSE(open_process({.pid = ::getpid(), .start_time = *start + 1}).valid());
  EXPECT_FALSE(open_process({.pid = -1, .start_time = *start}).valid());
}

TEST(RequestTest, KnowsFourRequests) {
  EXPECT_EQ(parse_request("status"), Request::kStatus);
  EXPECT_EQ(parse_request("console read"), Request::kConsoleRead);
  EXPECT_EQ(parse_request("console write"), Request::kConsoleWrite);
  EXPECT_EQ(parse_request("console steal"), Request::kConsoleSteal);
  for (const char* text : {"", "Status", "status ", "console", "console  read", "i"})
    EXPECT_EQ(parse_request(text), std::nullopt) << text;
}

TEST(RequestTest, ParsesWindowSizes) {
  const std::optional<WindowSize> size = parse_window_size("24 65535");
  ASSERT_TRUE(size);
  EXPECT_EQ(size->rows, 24);
  EXPECT_EQ(size->columns, 65535);
  for (const char* text : {"", "24", "24 ", " 24 80", "0 80", "24 0", "24 65536", "24 80 1",
                           "-1 80", "24\t80", "99999999999999999999 1"})
    EXPECT_FALSE(parse_window_size(text)) << text;
}

}  // namespace
}  // namespace cocoon::shim
