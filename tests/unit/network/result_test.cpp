// SPDX-License-Identifier: Apache-2.0
#include "network/cni/result.h"

#include <gtest/gtest.h>

namespace cocoon::network::cni {
namespace {

Result<AddResult> read(const char* text) {
  auto result = parse_result(text, "1.0.0");
  if (!result) return pass(result.error());
  return read_result(*result);
}

TEST(ReadResult, TakesTheFirstIpv4Address) {
  auto result = read(R"({"cniVersion":"1.0.0","ips":[{"address":"fd00::2/64"},
    {"address":"10.88.0.5/16","gateway":"10.88.0.1"},{"address":"10.99.0.5/16"}],
    "routes":[{"dst":"0.0.0.0/0","gw":"10.88.0.1"},{"dst":"172.16.0.0/12","gw":"10.88.0.9"}],
    "dns":{"nameservers":["10.88.0.1","fd00::1"]}})");
  ASSERT_TRUE(result) << result.error().to_string();
  EXPECT_EQ(*result->address, (model::NicAddress{"10.88.0.5", "10.88.0.1", 16}));
  EXPECT_EQ(result->addresses.size(), 3U);
  ASSERT_EQ(result->routes.size(), 1U);
  EXPECT_EQ(result->routes[0], (model::NicRoute{"172.16.0.0/12", "10.88.0.9"}));
  EXPECT_EQ(result->dns, (std::vector<std::string>{"10.88.0.1", "fd00::1"}));
}

TEST(ParseResult, RefusesDeepNestingBeforeItCostsAnything) {
  const std::string deep(200'000, '[');
  auto result = parse_result("{\"cniVersion\":\"1.0.0\",\"ips\":" + deep, "1.0.0");
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::kCorrupt);
  const std::string closed = deep + std::string(200'000, ']');
  EXPECT_FALSE(parse_result("{\"ips\":" + closed + "}", "1.0.0"));
  EXPECT_EQ(describe_failure("{\"msg\":\"x\",\"y\":" + closed + "}", "no", "status").substr(0, 10),
            "status: no");
}

TEST(ReadResult, OldVersionsHaveOneAddressOfAFamily) {
  auto result = read(R"({"cniVersion":"0.2.0","ip4":{"ip":"10.1.0.5/24","gateway":"10.1.0.1"}})");
  ASSERT_TRUE(result);
  EXPECT_EQ(*result->address, (model::NicAddress{"10.1.0.5", "10.1.0.1", 24}));
}

TEST(ReadResult, TheDefaultRouteMakesUpForAMissingGateway) {
  auto result = read(R"({"cniVersion":"1.0.0","ips":[{"address":"10.1.0.5/24"}],
    "routes":[{"dst":"0.0.0.0/0","gw":"10.1.0.7"}]})");
  ASSERT_TRUE(result);
  EXPECT_EQ(result->address->gateway, "10.1.0.7");
}

TEST(ReadResult, NoAddressMeansDhcp) {
  for (const char* text : {R"({"cniVersion":"1.0.0"})", R"({"cniVersion":"1.0.0","ips":[]})",
                           R"({"cniVersion":"1.0.0","ips":null,"dns":{}})"}) {
    auto result = read(text);
    ASSERT_TRUE(result) << text;
    EXPECT_FALSE(result->address) << text;
  }
}

TEST(ReadResult, Ipv6AloneIsRefused) {
  auto result = read(R"({"cniVersion":"1.0.0","ips":[{"address":"fd00::2/64"}]})");
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::kUnsupported);
}

TEST(ReadResult, RefusesGarbage) {
  for (const char* text :
       {"", "hello", "[]", "null", "42", R"({"cniVersion":1})",
        R"({"cniVersion":"1.0.0","ips":{}})", R"({"cniVersion":"1.0.0","ips":["10.0.0.1/8"]})",
        R"({"cniVersion":"1.0.0","ips":[{"address":"10.0.0.1"}]})",
        R"({"cniVersion":"1.0.0","ips":[{"address":"10.0.0.1/33"}]})",
        R"({"cniVersion":"1.0.0","ips":[{"address":"10.0.0.1/0"}]})",
        R"({"cniVersion":"1.0.0","ips":[{"address":"10.0.0.1/8","gateway":"; rm -rf /"}]})",
        R"({"cniVersion":"1.0.0","ips":[{"address":"10.0.0.1/8 ip=x"}]})",
        R"({"cniVersion":"1.0.0","routes":[{"dst":"everywhere"}]})",
        R"({"cniVersion":"1.0.0","dns":{"nameservers":["8.8.8.8\nsearch evil"]}})",
        R"({"cniVersion":"1.0.0","dns":{"nameservers":[8]}})"}) {
    auto result = read(text);
    ASSERT_FALSE(result) << text;
    EXPECT_EQ(result.error().kind, ErrorKind::kCorrupt) << text;
  }
}

TEST(ReadResult, MissingVersionIsTheConfigurations) {
  auto result = parse_result(R"({"ip4":{"ip":"10.1.0.5/24"}})", "0.2.0");
  ASSERT_TRUE(result);
  EXPECT_EQ((*result)["cniVersion"], "0.2.0");
  EXPECT_TRUE(read_result(*result)->address);
}

TEST(DescribeFailure, PrefersThePluginsWords) {
  EXPECT_EQ(describe_failure(R"({"code":7,"msg":"no lease","details":"pool is full"})", "noise",
                             "exit status 1"),
            "no lease; pool is full");
  EXPECT_EQ(describe_failure("", "panic: x\n", "exit status 2"), "exit status 2: panic: x");
  EXPECT_EQ(describe_failure("", "", "exit status 2"), "exit status 2");
  EXPECT_EQ(describe_failure("{}", "", "exit status 2"), "exit status 2: {}");
}

}  // namespace
}  // namespace cocoon::network::cni
