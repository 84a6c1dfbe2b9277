// SPDX-License-Identifier: Apache-2.0
#include "network/cni/conflist.h"

#include <fstream>

#include <gtest/gtest.h>

#include "sys/files.h"

namespace cocoon::network::cni {
namespace {

constexpr const char* kBridgeList =
    R"({"cniVersion":"1.0.0","name":"net","plugins":[{"type":"bridge"},
        {"type":"portmap","capabilities":{"portMappings":true}}]})";

TEST(ParseConflist, ReadsAList) {
  auto list = parse_conflist(kBridgeList);
  ASSERT_TRUE(list) << list.error().to_string();
  EXPECT_EQ(list->name, "net");
  EXPECT_EQ(list->version, "1.0.0");
  ASSERT_EQ(list->plugins.size(), 2U);
  EXPECT_EQ(list->plugins[1]["type"], "portmap");
  EXPECT_EQ(list->bytes, kBridgeList);
  EXPECT_TRUE(list->has_capability("portMappings"));
  EXPECT_FALSE(list->has_capability("bandwidth"));
}

TEST(ParseConflist, TakesASinglePlugin) {
  auto list = parse_conflist(R"({"cniVersion":"0.4.0","name":"one","type":"macvlan"})");
  ASSERT_TRUE(list);
  ASSERT_EQ(list->plugins.size(), 1U);
  EXPECT_EQ(list->plugins[0]["type"], "macvlan");
}

TEST(ParseConflist, SpeaksTheNewestVersionThatItKnows) {
  struct Case {
    const char* versions;
    const char* wanted;
  };
  for (const Case& one :
       {Case{R"("cniVersion":"0.4.0")", "0.4.0"}, Case{R"("x":1)", "0.1.0"},
        Case{R"("cniVersion":"0.4.0","cniVersions":["1.0.0","1.1.0","2.0.0"])", "1.1.0"},
        Case{R"("cniVersions":["0.3.1","0.4.0"])", "0.4.0"}}) {
    auto list = parse_conflist(fmt::format(R"({{{},"name":"n","type":"p"}})", one.versions));
    ASSERT_TRUE(list) << one.versions;
    EXPECT_EQ(list->version, one.wanted) << one.versions;
  }
}

TEST(ParseConflist, Refuses) {
  for (const char* text :
       {"", "[]", "{", R"({"name":"n"})", R"({"name":"n","plugins":[]})",
        R"({"name":"n","plugins":[{"type":""}]})", R"({"name":"n","plugins":[{"type":"a/b"}]})",
        R"({"name":"n","plugins":[{"type":".."}]})", R"({"name":"../n","type":"p"})",
        R"({"name":"","type":"p"})", R"({"type":"p"})", R"({"name":1,"type":"p"})",
        R"({"name":"n","type":"p","cniVersion":"2.0.0"})",
        R"({"name":"n","type":"p","cniVersion":1})",
        R"({"name":"n","type":"p","disableCheck":"maybe"})"}) {
    auto list = parse_conflist(text);
    ASSERT_FALSE(list) << text;
    EXPECT_EQ(list.error().kind, ErrorKind::kInvalid) << text;
  }
}

TEST(CompareVersions, Orders) {
  EXPECT_EQ(compare_versions("1.0.0", "1.0.0"), 0);
  EXPECT_LT(compare_versions("0.4.0", "1.0.0"), 0);
  EXPECT_GT(compare_versions("1.10.0", "1.9.0"), 0);
  EXPECT_LT(compare_versions("", "0.1.0"), 0);
}

TEST(DefaultConflist, IsAListWithPorts) {
  auto list = parse_conflist(default_conflist());
  ASSERT_TRUE(list) << list.error().to_string();
  EXPECT_TRUE(list->has_capability("portMappings"));
}

class Directory : public ::testing::Test {
 protected:
  void SetUp() override {
    auto made = sys::TempDir::create(::testing::TempDir(), "conflist-");
    ASSERT_TRUE(made);
    dir_.emplace(std::move(*made));
  }
  void put(const std::string& name, const std::string& text) {
    std::filesystem::create_directories((dir_->path() / name).parent_path());
    std::ofstream(dir_->path() / name) << text;
  }
  Result<Conflist> choose(std::string_view name) {
    auto networks = find_networks(dir_->path());
    if (!networks) return pass(networks.error());
    return choose_network(*networks, name, dir_->path());
  }
  std::optional<sys::TempDir> dir_;
};

TEST_F(Directory, TheFirstFileIsTheDefault) {
  put("20-b.conflist", R"({"name":"b","type":"p"})");
  put("10-a.conflist", R"({"name":"a","type":"p"})");
  put("00-not.txt", R"({"name":"c","type":"p"})");
  auto list = choose("");
  ASSERT_TRUE(list);
  EXPECT_EQ(list->name, "a");
  ASSERT_TRUE(choose("b"));
}

TEST_F(Directory, ABrokenFileDoesNotHideTheOthers) {
  put("10-broken.conflist", "{");
  put("20-good.conflist", R"({"name":"good","type":"p"})");
  ASSERT_TRUE(choose(""));
  auto missing = choose("other");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().kind, ErrorKind::kNotFound);
  EXPECT_NE(missing.error().cause.find("good"), std::string::npos);
  EXPECT_NE(missing.error().cause.find("10-broken.conflist"), std::string::npos);
}

TEST_F(Directory, OneNameInTwoFilesIsAnError) {
  put("10-a.conflist", R"({"name":"a","type":"p"})");
  put("20-a.conflist", R"({"name":"a","type":"q"})");
  put("30-b.conflist", R"({"name":"b","type":"q"})");
  auto list = choose("a");
  ASSERT_FALSE(list);
  EXPECT_EQ(list.error().kind, ErrorKind::kConflict);
  EXPECT_TRUE(choose("b"));  // only the ambiguous name is refused
}

TEST_F(Directory, NothingIsAnErrorWithTheRemedy) {
  auto list = choose("");
  ASSERT_FALSE(list);
  EXPECT_NE(list.error().cause.find("doctor --fix"), std::string::npos);
}

TEST_F(Directory, SeparatePluginsBelongToTheList) {
  put("10-a.conflist", R"({"cniVersion":"1.1.0","name":"a","plugins":[{"type":"p"}]})");
  put("a/90-more.conf", R"({"type":"q"})");
  auto list = choose("a");
  ASSERT_TRUE(list);
  ASSERT_EQ(list->plugins.size(), 2U);
  EXPECT_EQ(list->plugins[1]["type"], "q");
  auto again = parse_conflist(list->bytes);  // what DEL will read
  ASSERT_TRUE(again);
  EXPECT_EQ(again->plugins.size(), 2U);
  put("10-a.conflist", R"({"name":"a","loadOnlyInlinedPlugins":true,"plugins":[{"type":"p"}]})");
  EXPECT_EQ(choose("a")->plugins.size(), 1U);
}

}  // namespace
}  // namespace cocoon::network::cni
