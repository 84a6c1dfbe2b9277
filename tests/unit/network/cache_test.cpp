// SPDX-License-Identifier: Apache-2.0
#include "network/cni/cache.h"

#include <gtest/gtest.h>

#include "base/base64.h"

namespace cocoon::network::cni {
namespace {

Cached sample() {
  Cached cached;
  cached.attachment.container = "K3QZ7WJ5M2XA4TBN6RCVYDHEPL";
  cached.attachment.netns = "/run/netns/x";
  cached.attachment.if_name = "eth0";
  cached.attachment.args = {{"IP", "10.0.0.2"}};
  cached.network = "net";
  cached.config = R"({"name":"net","type":"bridge"})";
  cached.result = {{"cniVersion", "1.0.0"}};
  return cached;
}

TEST(Base64, RoundTrip) {
  for (const std::string text : {"", "f", "fo", "foo", "foob", "fooba", "foobar"}) {
    EXPECT_EQ(decode_base64(encode_base64(text)), text);
  }
  EXPECT_EQ(encode_base64("foob"), "Zm9vYg==");
  EXPECT_EQ(encode_base64(std::string("\xff\xfe\x00", 3)), "//4A");
  for (const char* text : {"Z", "Zm9vYg=", "Zm9v!g==", "====", "Zm9=vYg=", "Zn=="}) {
    EXPECT_FALSE(decode_base64(text)) << text;
  }
}

TEST(Cache, RoundTrip) {
  auto again = parse_cache(render_cache(sample()));
  ASSERT_TRUE(again) << again.error().to_string();
  EXPECT_EQ(again->attachment.container, sample().attachment.container);
  EXPECT_EQ(again->attachment.args, sample().attachment.args);
  EXPECT_EQ(again->config, sample().config);
  EXPECT_EQ(again->result, sample().result);
  EXPECT_EQ(cache_name(*again), "net-K3QZ7WJ5M2XA4TBN6RCVYDHEPL-eth0");
}

TEST(Cache, HasTheFormOfLibcni) {
  auto json = nlohmann::json::parse(render_cache(sample()));
  EXPECT_EQ(json["kind"], "cniCacheV1");
  EXPECT_EQ(json["containerId"], "K3QZ7WJ5M2XA4TBN6RCVYDHEPL");
  EXPECT_EQ(json["config"], encode_base64(sample().config));
  EXPECT_EQ(json["cniArgs"], nlohmann::json::parse(R"([["IP","10.0.0.2"]])"));
  EXPECT_EQ(json["ifName"], "eth0");
  EXPECT_EQ(json["networkName"], "net");
}

TEST(Cache, BeforeAddThereIsNoResult) {
  Cached cached = sample();
  cached.result = nullptr;
  auto again = parse_cache(render_cache(cached));
  ASSERT_TRUE(again);
  EXPECT_TRUE(again->result.is_null());
}

TEST(Cache, Refuses) {
  auto change = [](const char* key, const nlohmann::json& value) {
    auto json = nlohmann::json::parse(render_cache(sample()));
    json[key] = value;
    return json.dump();
  };
  for (const std::string& text :
       {std::string("{"), std::string("[]"), change("kind", "other"), change("config", "%"),
        change("containerId", "../x"), change("networkName", ""), change("ifName", "a/b"),
        change("cniArgs", {{1, 2}}), change("netns", 1)}) {
    EXPECT_FALSE(parse_cache(text)) << text;
  }
}

}  // namespace
}  // namespace cocoon::network::cni
