// SPDX-License-Identifier: Apache-2.0
#include "network/cni/plugin.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cocoon::network::cni {
namespace {

using ::testing::Contains;
using ::testing::Not;
using ::testing::StartsWith;

Attachment sample() {
  Attachment attachment;
  attachment.container = "K3QZ7WJ5M2XA4TBN6RCVYDHEPL";
  attachment.netns = "/run/netns/cocoon-K3QZ7WJ5M2XA4TBN6RCVYDHEPL";
  attachment.if_name = "eth0";
  attachment.args = {{"IgnoreUnknown", "1"}, {"IP", "10.88.0.5"}};
  attachment.capability_args["portMappings"] = {{{"hostPort", 8080}}};
  return attachment;
}

TEST(PluginEnvironment, ReplacesWhatTheCallerHas) {
  Host host;
  host.plugin_dirs = {"/opt/cni/bin", "/usr/lib/cni"};
  auto env = plugin_environment({"HOME=/root", "CNI_COMMAND=DEL", "CNI_NETNS=/evil", "PATH=/bin"},
                                "ADD", host, sample());
  EXPECT_THAT(env, Contains("HOME=/root"));
  EXPECT_THAT(env, Contains("PATH=/bin"));
  EXPECT_THAT(env, Contains("CNI_COMMAND=ADD"));
  EXPECT_THAT(env, Not(Contains("CNI_COMMAND=DEL")));
  EXPECT_THAT(env, Not(Contains("CNI_NETNS=/evil")));
  EXPECT_THAT(env, Contains("CNI_CONTAINERID=K3QZ7WJ5M2XA4TBN6RCVYDHEPL"));
  EXPECT_THAT(env, Contains("CNI_IFNAME=eth0"));
  EXPECT_THAT(env, Contains("CNI_ARGS=IgnoreUnknown=1;IP=10.88.0.5"));
  EXPECT_THAT(env, Contains("CNI_PATH=/opt/cni/bin:/usr/lib/cni"));
}

TEST(PluginEnvironment, HasAPathEvenWithoutOne) {
  EXPECT_THAT(plugin_environment({}, "ADD", Host(), sample()), Contains(StartsWith("PATH=/")));
}

TEST(PluginInput, CarriesNameVersionAndPreviousResult) {
  auto list = parse_conflist(R"({"cniVersion":"1.0.0","name":"net","plugins":[
    {"type":"bridge","bridge":"cni0"},
    {"type":"portmap","capabilities":{"portMappings":true,"bandwidth":true}}]})");
  ASSERT_TRUE(list);
  auto first = plugin_input(*list, list->plugins[0], sample(), nullptr);
  EXPECT_EQ(first, nlohmann::json::parse(R"({"type":"bridge","bridge":"cni0","name":"net",
    "cniVersion":"1.0.0"})"));
  auto second = plugin_input(*list, list->plugins[1], sample(), {{"ips", 1}});
  EXPECT_EQ(second["prevResult"], (nlohmann::json{{"ips", 1}}));
  EXPECT_EQ(second["runtimeConfig"],
            nlohmann::json::parse(R"({"portMappings":[{"hostPort":8080}]})"));
}

}  // namespace
}  // namespace cocoon::network::cni
