// SPDX-License-Identifier: Apache-2.0
#include "guest/boot_config.h"

#include <functional>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace cocoon::guest {
namespace {

using Json = nlohmann::json;

Json valid() {
  return Json::parse(R"({
    "version": 1, "id": "0a1b2c", "hostname": "box", "nonce": "ab12", "end": "poweroff",
    "layers": [{"serial": "cocoon-layer0", "index": 0}, {"serial": "cocoon-layer1", "index": 1}],
    "cow": {"serial": "cocoon-cow", "index": 2, "fstype": "ext4"},
    "modules": {"serial": "cocoon-modules", "index": 3, "version": "6.1.0-1-cloud-amd64"},
    "mounts": [{"serial": "cocoon-data-db", "index": 4, "fstype": "xfs", "mount": "/var/db"}],
    "dns": ["8.8.8.8", "fe80::1%eth0"], "nics": [],
    "run": {"mode": "exec", "argv": ["/bin/sh", "-c", "true"], "env": ["A=b", "E="],
            "workdir": "/srv", "user": "app:app"}})");
}

TEST(ParseBootConfig, ReadsEveryField) {
  const auto config = parse_boot_config(valid().dump());
  ASSERT_TRUE(config) << config.error().text();
  EXPECT_EQ(config->id, "0a1b2c");
  EXPECT_EQ(config->hostname, "box");
  EXPECT_EQ(config->ending.nonce, "ab12");
  EXPECT_EQ(config->ending.action, EndAction::kPowerOff);
  ASSERT_EQ(config->layers.size(), 2U);
  EXPECT_EQ(config->layers[1].serial, "cocoon-layer1");
  EXPECT_EQ(config->layers[1].index, 1U);
  EXPECT_EQ(config->cow.disk.serial, "cocoon-cow");
  EXPECT_EQ(config->cow.disk.index, 2U);
  EXPECT_EQ(config->cow.fstype, "ext4");
  ASSERT_TRUE(config->modules);
  EXPECT_EQ(config->modules->disk.index, 3U);
  EXPECT_EQ(config->modules->version, "6.1.0-1-cloud-amd64");
  ASSERT_EQ(config->mounts.size(), 1U);
  EXPECT_EQ(config->mounts[0].fstype, "xfs");
  EXPECT_EQ(config->mounts[0].path, "/var/db");
  EXPECT_EQ(config->dns, (std::vector<std::string>{"8.8.8.8", "fe80::1%eth0"}));
  EXPECT_EQ(config->run.mode, RunMode::kExec);
  EXPECT_EQ(config->run.argv, (std::vector<std::string>{"/bin/sh", "-c", "true"}));
  EXPECT_EQ(config->run.env, (std::vector<std::string>{"A=b", "E="}));
  EXPECT_EQ(config->run.workdir, "/srv");
  EXPECT_EQ(config->run.user, "app:app");
}

TEST(ParseBootConfig, ReadsNics) {
  Json json = valid();
  json["nics"] = Json::parse(R"([{"mac":"0a:58:0a:58:00:0c","mtu":9000,"address":"10.88.0.12",
    "prefix":16,"gateway":"10.88.0.1","routes":[{"address":"172.16.0.0","prefix":12}]},
    {"mac":"0a:58:0a:58:00:0d"}])");
  const auto config = parse_boot_config(json.dump());
  ASSERT_TRUE(config) << config.error().text();
  ASSERT_EQ(config->nics.size(), 2U);
  EXPECT_EQ(config->nics[0].address, "10.88.0.12");
  EXPECT_EQ(config->nics[0].prefix, 16U);
  EXPECT_EQ(config->nics[0].gateway, "10.88.0.1");
  EXPECT_EQ(config->nics[0].mtu, 9000U);
  ASSERT_EQ(config->nics[0].routes.size(), 1U);
  EXPECT_EQ(config->nics[0].routes[0].gateway, "");
  EXPECT_TRUE(config->nics[1].address.empty());
}

TEST(ParseBootConfig, RefusesBadNics) {
  for (const char* nic :
       {R"({})", R"({"mac":"0A:58:0a:58:00:0c"})", R"({"mac":"0a:58"})",
        R"({"mac":"0a:58:0a:58:00:0c","address":"10.0.0.1"})",
        R"({"mac":"0a:58:0a:58:00:0c","prefix":8})",
        R"({"mac":"0a:58:0a:58:00:0c","address":"fd00::1","prefix":64})",
        R"({"mac":"0a:58:0a:58:00:0c","address":"10.0.0.1","prefix":33})",
        R"({"mac":"0a:58:0a:58:00:0c","mtu":70000})", R"({"mac":"0a:58:0a:58:00:0c","x":1})",
        R"({"mac":"0a:58:0a:58:00:0c","routes":[{"prefix":8}]})"}) {
    Json json = valid();
    json["nics"] = Json::array({Json::parse(nic)});
    EXPECT_FALSE(parse_boot_config(json.dump())) << nic;
  }
}

TEST(ParseBootConfig, OptionalPartsMayBeAbsent) {
  Json json = valid();
  for (const char* key : {"modules", "mounts", "dns", "nics"}) json.erase(key);
  for (const char* key : {"env", "workdir", "user"}) json["run"].erase(key);
  const auto config = parse_boot_config(json.dump());
  ASSERT_TRUE(config) << config.error().text();
  EXPECT_FALSE(config->modules);
  EXPECT_TRUE(config->mounts.empty());
  EXPECT_TRUE(config->dns.empty());
  EXPECT_TRUE(config->run.env.empty());
}

TEST(ParseBootConfig, AnInitNeedsNoArguments) {
  Json json = valid();
  json["run"] = {{"mode", "init"}, {"argv", Json::array()}};
  json["end"] = "reboot";
  const auto config = parse_boot_config(json.dump());
  ASSERT_TRUE(config) << config.error().text();
  EXPECT_EQ(config->run.mode, RunMode::kInit);
  EXPECT_EQ(config->ending.action, EndAction::kReboot);
}

struct BadCase {
  const char* name;
  std::function<void(Json&)> spoil;
  const char* message;  // part of the failure's text
};

class ParseBootConfigRefuses : public testing::TestWithParam<BadCase> {};

TEST_P(ParseBootConfigRefuses, AndNamesTheKey) {
  Json json = valid();
  GetParam().spoil(json);
  const auto config = parse_boot_config(json.dump());
  ASSERT_FALSE(config);
  EXPECT_NE(config.error().text().find(GetParam().message), std::string::npos)
      << config.error().text();
}

const std::vector<BadCase>& bad_cases() {
  static const std::string nul("a\0b", 3);
  static const std::vector<BadCase> cases{
      {"OtherVersion", [](Json& j) { j["version"] = 2; }, "version"},
      {"VersionAsText", [](Json& j) { j["version"] = "1"; }, "version"},
      {"NoVersion", [](Json& j) { j.erase("version"); }, "version: missing"},
      {"UnknownKey", [](Json& j) { j["surprise"] = 1; }, "surprise: unknown key"},
      {"UnknownKeyInRun", [](Json& j) { j["run"]["tty"] = true; }, "run.tty: unknown key"},
      {"UnknownKeyInLayer", [](Json& j) { j["layers"][1]["x"] = 1; }, "layers[1].x"},
      {"NoNonce", [](Json& j) { j.erase("nonce"); }, "nonce"},
      {"NonceNotHex", [](Json& j) { j["nonce"] = "ab 1"; }, "nonce"},
      {"EmptyNonce", [](Json& j) { j["nonce"] = ""; }, "nonce"},
      {"EndUnknown", [](Json& j) { j["end"] = "halt"; }, "end"},
      {"IdWithSlash", [](Json& j) { j["id"] = "../x"; }, "id"},
      {"HostnameWithNewline", [](Json& j) { j["hostname"] = "a\nb"; }, "hostname"},
      {"HostnameTooLong", [](Json& j) { j["hostname"] = std::string(65, 'a'); }, "hostname"},
      {"NoLayers", [](Json& j) { j["layers"] = Json::array(); }, "layers"},
      {"LayersNotAnArray", [](Json& j) { j["layers"] = Json::object(); }, "layers"},
      {"TooManyLayers", [](Json& j) { j["layers"] = Json(501, j["layers"][0]); }, "layers"},
      {"LayerNotAnObject", [](Json& j) { j["layers"][0] = "vda"; }, "layers[0]"},
      {"LayerWithoutSerial", [](Json& j) { j["layers"][0].erase("serial"); }, "layers[0].serial"},
      {"SerialWithSlash", [](Json& j) { j["layers"][0]["serial"] = "/dev/vda"; }, "serial"},
      {"NegativeIndex", [](Json& j) { j["layers"][0]["index"] = -1; }, "layers[0].index"},
      {"FractionalIndex", [](Json& j) { j["layers"][0]["index"] = 0.5; }, "layers[0].index"},
      {"HugeIndex", [](Json& j) { j["cow"]["index"] = 4294967296; }, "cow.index"},
      {"NoCow", [](Json& j) { j.erase("cow"); }, "cow: missing"},
      {"CowTypeOdd", [](Json& j) { j["cow"]["fstype"] = "ext4,ro"; }, "cow.fstype"},
      {"ModulesVersionOdd", [](Json& j) { j["modules"]["version"] = ".."; }, "modules.version"},
      {"RelativeMount", [](Json& j) { j["mounts"][0]["mount"] = "data"; }, "mounts[0].mount"},
      {"DnsNotAnAddress", [](Json& j) { j["dns"][0] = "a\nb"; }, "dns"},
      {"DnsHostName", [](Json& j) { j["dns"][0] = "dns.example"; }, "dns"},
      {"NoRun", [](Json& j) { j.erase("run"); }, "run: missing"},
      {"ModeUnknown", [](Json& j) { j["run"]["mode"] = "shell"; }, "run.mode"},
      {"NothingToRun", [](Json& j) { j["run"]["argv"] = Json::array(); }, "run.argv"},
      {"ArgumentNotText", [](Json& j) { j["run"]["argv"][1] = 5; }, "run.argv"},
      {"NulInArgument", [](Json& j) { j["run"]["argv"][1] = nul; }, "run.argv"},
      {"EnvWithoutEquals", [](Json& j) { j["run"]["env"][0] = "A"; }, "run.env"},
      {"EnvWithoutName", [](Json& j) { j["run"]["env"][0] = "=a"; }, "run.env"},
      {"NulInWorkdir", [](Json& j) { j["run"]["workdir"] = nul; }, "run.workdir"},
  };
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Cases, ParseBootConfigRefuses, testing::ValuesIn(bad_cases()),
                         [](const auto& p) { return std::string(p.param.name); });

TEST(ParseBootConfig, RefusesWhatIsNotAJsonObject) {
  for (const char* text : {"", "{", "[]", "1", "null", "{\"version\":1}x", "\xff"})
    EXPECT_FALSE(parse_boot_config(text)) << text;
  EXPECT_FALSE(parse_boot_config(std::string(kBootConfigLimit + 1, ' ')));
  EXPECT_FALSE(parse_boot_config(std::string(100'000, '[')));
}

TEST(FindEnding, ReadsWhatIsThereOfARefusedFile) {
  Json json = valid();
  json["surprise"] = 1;
  json["end"] = "reboot";
  EXPECT_EQ(find_ending(json.dump()).nonce, "ab12");
  EXPECT_EQ(find_ending(json.dump()).action, EndAction::kReboot);

  json["nonce"] = "not hex\ncocoon-exit 1 0";
  EXPECT_EQ(find_ending(json.dump()).nonce, "");
  EXPECT_EQ(find_ending("{").nonce, "");
  EXPECT_EQ(find_ending("[]").action, EndAction::kPowerOff);
}

}  // namespace
}  // namespace cocoon::guest
