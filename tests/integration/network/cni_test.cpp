// SPDX-License-Identifier: Apache-2.0
// Chains of plugins: scripts that record how they are called and misbehave as they are told, and
// the real ones of Debian's package.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "base/text.h"
#include "integration/network/netns_fixture.h"
#include "network/cni/runtime.h"
#include "network/data_path.h"
#include "network/netlink.h"
#include "sys/spawn.h"

namespace cocoon::network::cni {
namespace {

using network::test::kVm;
using network::test::PrivateHost;

class Plugins : public PrivateHost {
 protected:
  void SetUp() override {
    PrivateHost::SetUp();
    if (IsSkipped()) return;
    host_.plugin_dirs = {dir_->path() / "bin", "/usr/lib/cni"};
    host_.cache_dir = dir_->path() / "cache";
    std::filesystem::create_directories(dir_->path() / "bin");
    attachment_.container = kVm;
    attachment_.netns = netns_path(kVm).native();
    attachment_.if_name = "eth0";
  }
  // A plugin that notes command and stdin and then runs these lines.
  void script(const std::string& type, const std::string& lines) {
    auto path = dir_->path() / "bin" / type;
    std::ofstream(path) << "#!/bin/sh\ninput=$(cat)\necho \"" << type
                        << " $CNI_COMMAND $CNI_ARGS $input\" >>" << log().native() << "\n"
                        << lines << "\n";
    chmod(path.c_str(), 0755);
  }
  std::filesystem::path log() const { return dir_->path() / "log"; }
  std::vector<std::string> calls() const {
    std::string text = sys::read_file(log(), 1 << 20).value_or("");
    std::vector<std::string> out;
    for (auto line : split(text, '\n')) {
      if (!line.empty()) out.emplace_back(line);
    }
    return out;
  }
  static Conflist list_of(const std::string& plugins) {
    auto list = parse_conflist(
        fmt::format(R"({{"cniVersion":"1.0.0","name":"net","plugins":[{}]}})", plugins));
    EXPECT_TRUE(list);
    return *list;
  }
  std::vector<Cached> cached() { return *list_cache(host_, kVm); }

  Host host_;
  Attachment attachment_;
};

constexpr const char* kResult =
    R"(echo '{"cniVersion":"1.0.0","ips":[{"address":"10.9.0.5/24","gateway":"10.9.0.1"}]}')";

TEST_F(Plugins, AddGoesForwardAndDelBackward) {
  script("one", kResult);
  script("two", kResult);
  auto list = list_of(R"({"type":"one"},{"type":"two"})");
  attachment_.args.emplace_back("IP", "10.9.0.5");
  auto result = add_attachment(host_, list, attachment_);
  ASSERT_TRUE(result) << result.error().to_string();
  EXPECT_EQ(result->address->ip, "10.9.0.5");
  ASSERT_EQ(cached().size(), 1U);
  ASSERT_TRUE(check_attachment(host_, cached()[0]));
  ASSERT_TRUE(delete_attachment(host_, cached()[0]));
  EXPECT_TRUE(cached().empty());
  auto log = calls();
  ASSERT_EQ(log.size(), 6U);
  EXPECT_TRUE(log[0].starts_with("one ADD IP=10.9.0.5 ")) << fmt::format("{}", fmt::join(log, "|"));
  EXPECT_EQ(log[0].find("prevResult"), std::string::npos) << log[0];
  EXPECT_TRUE(log[1].starts_with("two ADD ")) << log[1];
  EXPECT_NE(log[1].find("prevResult"), std::string::npos) << log[1];
  EXPECT_TRUE(log[2].starts_with("one CHECK "));
  EXPECT_TRUE(log[4].starts_with("two DEL ")) << log[4];
  EXPECT_NE(log[4].find("prevResult"), std::string::npos) << log[4];
  EXPECT_TRUE(log[5].starts_with("one DEL ")) << log[5];
}

TEST_F(Plugins, AFailedAddStaysRecordedUntilItIsDeleted) {
  script("one", kResult);
  script("two", R"(echo '{"code":99,"msg":"no room","details":"pool"}'; exit 1)");
  auto list = list_of(R"({"type":"one"},{"type":"two"})");
  auto result = add_attachment(host_, list, attachment_);
  ASSERT_FALSE(result);
  EXPECT_NE(result.error().cause.find("two ADD: no room; pool"), std::string::npos)
      << result.error().to_string();
  ASSERT_EQ(cached().size(), 1U);
  EXPECT_TRUE(cached()[0].result.is_null());
  // DEL fails as well: it stays, and the failure can be counted.
  EXPECT_FALSE(delete_attachment(host_, cached()[0]));
  EXPECT_TRUE(count_failed_delete(host_, cached()[0]));
  EXPECT_EQ(cached()[0].failed_deletes, 1);
  script("two", "exit 0");
  EXPECT_TRUE(delete_attachment(host_, cached()[0]));
  EXPECT_TRUE(cached().empty());
}

TEST_F(Plugins, GarbageIsRefused) {
  for (const char* lines : {"echo hello", "echo '[]'", "exit 0", "head -c 2000000 /dev/zero",
                            R"(echo '{"cniVersion":"1.0.0","ips":[{"address":"x"}]}')"}) {
    script("bad", lines);
    auto result = add_attachment(host_, list_of(R"({"type":"bad"})"), attachment_);
    ASSERT_FALSE(result) << lines;
    EXPECT_EQ(result.error().kind, ErrorKind::kCorrupt) << result.error().to_string();
  }
}

TEST_F(Plugins, AHangingPluginEndsWithItsChildren) {
  script("hangs", "sleep 301 & sleep 302");
  host_.limit = Milliseconds(400);
  auto before = std::chrono::steady_clock::now();
  auto result = add_attachment(host_, list_of(R"({"type":"hangs"})"), attachment_);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::kTimeout);
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(10));
  for (const char* left : {"sleep 301", "sleep 302"}) {
    for (int tries = 0; tries < 100; ++tries) {
      sys::SpawnSpec spec;
      spec.program = "pgrep";
      spec.args = {"-xf", left};
      if (!sys::run_program(std::move(spec), Milliseconds(5'000))) break;
      ASSERT_LT(tries, 99) << left << " is still there";
      usleep(20'000);
    }
  }
}

TEST_F(Plugins, AMissingPluginIsNamed) {
  auto result = add_attachment(host_, list_of(R"({"type":"nowhere"})"), attachment_);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::kNotFound);
  EXPECT_NE(result.error().cause.find("nowhere"), std::string::npos);
}

TEST_F(Plugins, ACapabilityThatNobodyHasIsRefused) {
  script("one", kResult);
  attachment_.capability_args["portMappings"] = nlohmann::json::array();
  auto result = add_attachment(host_, list_of(R"({"type":"one"})"), attachment_);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::kUnsupported);
  EXPECT_TRUE(calls().empty());
}

TEST_F(Plugins, TheRealBridgeIsChecked) {
  if (!find_plugin(host_, "bridge")) GTEST_SKIP() << "no containernetworking-plugins";
  ASSERT_TRUE(make_netns(owner_));
  auto list = list_of(R"({"type":"bridge","bridge":"cni7","isGateway":true,
    "ipam":{"type":"host-local","subnet":"10.97.0.0/24"}})");
  auto result = add_attachment(host_, list, attachment_);
  ASSERT_TRUE(result) << result.error().to_string();
  auto checked = check_attachment(host_, cached()[0]);
  EXPECT_TRUE(checked) << checked.error().to_string();
  sh(kVm, "ip link del eth0");
  EXPECT_FALSE(check_attachment(host_, cached()[0]));
  EXPECT_TRUE(delete_attachment(host_, cached()[0]));
}

TEST_F(Plugins, TheRealBridge) {
  if (!find_plugin(host_, "bridge") || !sys::find_program("iptables")) {
    GTEST_SKIP() << "no containernetworking-plugins or iptables";
  }
  sh("", "ip link set lo up");
  ASSERT_TRUE(make_netns(owner_));
  auto list = parse_conflist(default_conflist());
  ASSERT_TRUE(list);
  attachment_.capability_args["portMappings"] =
      nlohmann::json::parse(R"([{"hostPort":8080,"containerPort":80,"protocol":"tcp"}])");
  std::string rules_before = sh("", "iptables -t nat -S");
  auto result = add_attachment(host_, *list, attachment_);
  ASSERT_TRUE(result) << result.error().to_string();
  ASSERT_TRUE(result->address);
  EXPECT_EQ(result->address->gateway, "10.88.0.1");
  EXPECT_EQ(result->address->prefix, 16);
  EXPECT_NE(sh("", "iptables -t nat -S").find("8080"), std::string::npos);
  auto deleted = delete_attachment(host_, cached()[0]);
  ASSERT_TRUE(deleted) << deleted.error().to_string();
  EXPECT_EQ(sh("", "iptables -t nat -S").find("8080"), std::string::npos);
  EXPECT_EQ(sh("", "iptables -t nat -S").find(kVm), std::string::npos);
  EXPECT_EQ(sh("", "ip -o link show type veth"), "");
}

}  // namespace
}  // namespace cocoon::network::cni
