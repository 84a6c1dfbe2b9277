// SPDX-License-Identifier: Apache-2.0
#include "sys/http_response.h"

#include <gtest/gtest.h>

namespace cocoon::sys {
namespace {

struct HeadCase {
  const char* name;
  std::string text;
  HttpHead want;
};

class GoodHead : public testing::TestWithParam<HeadCase> {};

TEST_P(GoodHead, IsTakenApart) {
  auto head = parse_http_head(GetParam().text);
  ASSERT_TRUE(head) << head.error().to_string();
  EXPECT_EQ(*head, GetParam().want);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, GoodHead,
    testing::Values(
        HeadCase{"NoReasonButABlank", "HTTP/1.1 204 \r\nServer: X\r\n\r\n", {204, {}, true}},
        HeadCase{"NoReasonNoBlank", "HTTP/1.1 200\r\ncontent-length:  7 \r\n\r\n", {200, 7, true}},
        HeadCase{"Reason", "HTTP/1.0 404 Not Found\r\nContent-Length: 0\r\n\r\n", {404, 0, true}},
        HeadCase{"NoFields", "HTTP/1.1 100 \r\n\r\n", {100, {}, true}},
        HeadCase{"Close", "HTTP/1.1 503 \r\nConnection: Close\r\n\r\n", {503, {}, false}},
        HeadCase{"OneLengthTwice",
                 "HTTP/1.1 200 \r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
                 {200, 5, true}}),
    [](const auto& test) { return std::string(test.param.name); });

class BadHead : public testing::TestWithParam<const char*> {};

TEST_P(BadHead, IsRefused) {
  auto head = parse_http_head(GetParam());
  ASSERT_FALSE(head) << GetParam();
  EXPECT_EQ(head.error().kind, ErrorKind::kCorrupt);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, BadHead,
    testing::Values("", "\r\n\r\n", "HTTP/1.1 200 \r\n", "HTTP/1.1 200 \r\n\r\nrest",
                    "HTTP/2.0 200 \r\n\r\n", "HTTP/1.1 20 \r\n\r\n", "HTTP/1.1 2000\r\n\r\n",
                    "HTTP/1.1 099 \r\n\r\n", "HTTP/1.1 600 \r\n\r\n", "HTTP/1.1  200\r\n\r\n",
                    "HTTP/1.1 +20 \r\n\r\n", "SSH-2.0-OpenSSH_9.2\r\n\r\n",
                    "HTTP/1.1 200 \r\nno colon\r\n\r\n", "HTTP/1.1 200 \r\n: x\r\n\r\n",
                    "HTTP/1.1 200 \r\nContent-Length: -1\r\n\r\n",
                    "HTTP/1.1 200 \r\nContent-Length: 99999999999999999999\r\n\r\n",
                    "HTTP/1.1 200 \r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
                    "HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n",
                    "HTTP/1.1 200 \r\nX: \x1b[2J\r\n\r\n", "HTTP/1.1 200 \r\nX: a\nb\r\n\r\n"));

}  // namespace
}  // namespace cocoon::sys
