// SPDX-License-Identifier: Apache-2.0
// How cloud-init itself takes user-data of a user's together with ours: its own parser, type
// detection and mergers, without running any of its modules. scripts/test-assets takes its package
// apart; skipped where that was not done.
#include "cidata/seed.h"
#include "seed_fixture.h"

namespace cocoon::cidata {
namespace {

// Prints the merged cloud-config and the other parts ([type, text]).
constexpr const char* kMerge = R"(
import json, os, sys, tempfile
from unittest import mock
from cloudinit import handlers, helpers, user_data, util
from cloudinit.handlers.cloud_config import CloudConfigPartHandler
work = tempfile.mkdtemp(dir=os.path.dirname(sys.argv[1]))
paths = helpers.Paths({"cloud_dir": work, "run_dir": work})
config_file = os.path.join(work, "cloud-config.txt")
with mock.patch.object(helpers.Paths, "get_ipath", lambda self, name=None: config_file):
    handler = CloudConfigPartHandler(paths)
others = []
def part(data, filename, payload, headers):
    kind = headers["Content-Type"]
    if kind in handler.list_types():
        handler.handle_part(data, kind, filename, payload, None, headers)
    else:
        others.append([kind, payload])
with open(sys.argv[1], "rb") as file:
    message = user_data.UserDataProcessor(paths).process(file.read())
handler.handle_part(None, handlers.CONTENT_START, None, None, None, None)
handlers.walk(message, part, None)
handler.handle_part(None, handlers.CONTENT_END, None, None, None, None)
with open(config_file) as file:
    config = util.load_yaml(file.read())
print(); json.dump({"config": config, "others": others}, sys.stdout)
)";

class CloudInit : public SeedFixture {
 protected:
  void SetUp() override {
    if (!has_module("cloudinit.user_data")) GTEST_SKIP() << "no cloud-init among the test assets";
    values_ = sample_values(1);
    values_.nics.clear();
  }

  nlohmann::json merged(const std::string& users) {
    values_.user_data = users;
    auto documents = render_documents(values_);
    EXPECT_TRUE(documents) << documents.error().to_string();
    return documents ? run_python(kMerge, {write("user-data", documents->user_data)})
                     : nlohmann::json();
  }

  // Every key of ours, in `config`.
  void expect_ours(const nlohmann::json& config) {
    const nlohmann::json ours = expected_yaml(values_)["user"];
    for (const char* key : {"ssh_pwauth", "disable_root"})
      EXPECT_EQ(config[key], ours[key]) << config;
    EXPECT_EQ(config["mounts"].back(), ours["mounts"][0]) << config;
    EXPECT_EQ(config["chpasswd"]["list"].back(), "root:cocoon") << config;
  }

  SeedValues values_;
};

TEST_F(CloudInit, TakesOursAlone) {
  auto result = merged("");
  EXPECT_EQ(result["config"], expected_yaml(values_)["user"]);
}

TEST_F(CloudInit, MergesAConfigWithEveryKeyOfOurs) {
  auto result = merged(
      "#cloud-config\n"
      "packages: [jq, \"caf\xc3\xa9\"]\n"
      "ssh_pwauth: false\n"
      "disable_root: true\n"
      "chpasswd: {list: [\"bob:x\"], expire: true}\n"
      "mounts: [[/dev/vdz, /z]]\n"
      "users: [alice]\n");
  const nlohmann::json& config = result["config"];
  expect_ours(config);
  EXPECT_EQ(config["packages"], nlohmann::json({"jq", "caf\xc3\xa9"}));
  EXPECT_EQ(config["chpasswd"]["list"], nlohmann::json({"bob:x", "root:cocoon"}));
  EXPECT_EQ(config["mounts"][0], nlohmann::json({"/dev/vdz", "/z"}));
  EXPECT_EQ(config["users"], nlohmann::json({"alice"}));
}

TEST_F(CloudInit, IsNotMovedByMergeRulesOfTheUser) {
  for (const std::string rule : {"merge_how: 'list(replace)+dict(replace)+str()'",
                                 "merge_type: 'list(no_replace)+dict(no_replace)+str()'"}) {
    auto result =
        merged("#cloud-config\n" + rule + "\nmounts: [[/dev/vdz, /z]]\nssh_pwauth: false\n");
    expect_ours(result["config"]);
    EXPECT_EQ(result["config"]["mounts"].size(), 2U);
  }
}

TEST_F(CloudInit, KeepsScriptsAndOtherKinds) {
  struct Case {
    std::string text, kind;
  };
  const std::vector<Case> cases{
      {"#!/bin/sh\necho \"caf\xc3\xa9\" '--cocoon-user-data-0'\n", "text/x-shellscript"},
      {"#cloud-boothook\n#!/bin/sh\ntrue\n", "text/cloud-boothook"},
      {"## template: jinja\n#cloud-config\nfqdn: {{ v1.region }}\n", "text/jinja2"},
      {"#part-handler\ndef list_types(): return []\n", "text/part-handler"},
  };
  for (const Case& one : cases) {
    auto result = merged(one.text);
    expect_ours(result["config"]);
    EXPECT_EQ(result["others"], nlohmann::json::array({{one.kind, one.text}}));
  }
}

TEST_F(CloudInit, TakesAMultipartMessageOfTheUser) {
  auto result = merged(
      "Content-Type: multipart/mixed; boundary=\"cocoon-user-data-0\"\n"
      "MIME-Version: 1.0\n\n"
      "--cocoon-user-data-0\nContent-Type: text/cloud-config\n\n"
      "#cloud-config\nmerge_how: 'dict(replace)'\nssh_pwauth: false\nlocale: C\n"
      "--cocoon-user-data-0\nContent-Type: text/x-shellscript\n\n#!/bin/sh\ntrue\n"
      "--cocoon-user-data-0--\n");
  expect_ours(result["config"]);
  EXPECT_EQ(result["config"]["locale"], "C");
  ASSERT_EQ(result["others"].size(), 1U);
  EXPECT_EQ(result["others"][0][0], "text/x-shellscript");
}

TEST_F(CloudInit, TakesAnArchiveAndAPatchOfTheUser) {
  auto result = merged(
      "#cloud-config-archive\n- type: text/cloud-config\n  content: |\n    locale: C\n"
      "- '#!/bin/sh'\n");
  expect_ours(result["config"]);
  EXPECT_EQ(result["config"]["locale"], "C");
  ASSERT_EQ(result["others"].size(), 1U);
  result = merged(
      "#cloud-config-jsonp\n[{\"op\": \"add\", \"path\": \"/ssh_pwauth\", \"value\": false}]");
  expect_ours(result["config"]);
}

TEST_F(CloudInit, SurvivesBrokenYamlOfTheUser) {
  expect_ours(merged("#cloud-config\na: [unclosed\n'")["config"]);
}

}  // namespace
}  // namespace cocoon::cidata
