// SPDX-License-Identifier: Apache-2.0
// What we say to Firecracker and read from it, against its published API definition (used in place
// where it is found) and against a recording of a real one.
#include <map>
#include <set>
#include <sstream>

#include <gtest/gtest.h>

#include "sys/files.h"
#include "unit/vmm/api_definition.h"
#include "unit/vmm/sample_vm.h"
#include "vmm/api_refusal.h"
#include "vmm/firecracker/backend.h"
#include "vmm/firecracker/payload.h"

namespace cocoon::vmm::firecracker {
namespace {

using nlohmann::json;

std::vector<ApiCall> all_calls() {
  std::vector<ApiCall> calls;
  for (bool async_io : {false, true}) {
    for (bool boot_kit : {false, true}) {
      model::Vm vm = test::sample_vm();
      vm.boot.boot_kit = boot_kit;
      vm.disks.push_back(test::data("db"));
      vm.nics = {test::nic(0), test::nic(1)};
      auto launch = render_launch(vm, *make_plan(vm), {async_io});
      EXPECT_TRUE(launch);
      calls.insert(calls.end(), launch->calls.begin(), launch->calls.end());
    }
  }
  calls.push_back({"PUT", "/actions", {{"action_type", "SendCtrlAltDel"}}});
  calls.push_back({"GET", "/", nullptr});
  return calls;
}

class FcDefinition : public testing::Test {
 protected:
  void SetUp() override {
    constexpr const char* kFile = "firecracker.swagger.yaml";
    api_ = test::ApiDefinition::load(kFile, "");
    if (!api_) GTEST_SKIP() << "no API definition at " << test::ApiDefinition::place(kFile);
  }
  std::optional<test::ApiDefinition> api_;
};

TEST_F(FcDefinition, AllowsEveryCall) {
  for (const ApiCall& call : all_calls()) {
    for (const std::string& complaint : api_->complaints(call)) ADD_FAILURE() << complaint;
  }
}

TEST_F(FcDefinition, CheckFindsMistakes) {
  auto wrong = [&](const char* path, const nlohmann::ordered_json& body) {
    return !api_->complaints({"PUT", path, body}).empty();
  };
  EXPECT_TRUE(wrong("/nosuch", {{"a", 1}}));
  EXPECT_TRUE(wrong("/balloon", {{"amount_mib", 0}}));
  EXPECT_TRUE(wrong("/balloon", {{"amount_mib", "0"}, {"deflate_on_oom", true}}));
  EXPECT_TRUE(wrong("/balloon", {{"amount_mib", 0}, {"deflate_on_oom", true}, {"bogus", 1}}));
  EXPECT_TRUE(wrong("/actions", {{"action_type", "Explode"}}));
}

// One exchange of the recording.
struct Exchange {
  std::string call;  // "PUT /balloon"
  json sent;
  int code = 0;
  std::string answer;
};

std::vector<Exchange> recording() {
  auto text = sys::read_file(COCOON_FIXTURES_DIR "/api/fc-v1.16.1.http", 1 << 20);
  EXPECT_TRUE(text);
  std::vector<Exchange> out;
  std::istringstream lines(*text);
  bool in_body = false;
  for (std::string line; std::getline(lines, line);) {
    if (line.ends_with('\r')) line.pop_back();
    if (line.starts_with("> {")) {
      out.back().sent = json::parse(line.substr(2));
    } else if (line.starts_with("> ")) {
      out.push_back({line.substr(2), nullptr, 0, ""});
      in_body = false;
    } else if (line.starts_with("HTTP/1.1 ")) {
      out.back().code = std::stoi(line.substr(9));
    } else if (line.empty()) {
      in_body = true;
    } else if (in_body && out.back().answer.empty()) {
      out.back().answer = line;
    }
  }
  return out;
}

// "PUT /drives/drive_3" -> "PUT /drives/"
std::string kind_of(const std::string& call) {
  for (const std::string_view kind : {"/drives/", "/network-interfaces/"}) {
    auto at = call.find(kind);
    if (at != std::string::npos) return call.substr(0, at + kind.size());
  }
  return call;
}

TEST(FcRecording, EveryFieldWeSendWasAcceptedByARealOne) {
  std::map<std::string, std::set<std::string>> accepted;
  for (const Exchange& exchange : recording()) {
    if (exchange.code != 204 || !exchange.sent.is_object()) continue;
    for (const auto& [key, value] : exchange.sent.items()) {
      accepted[kind_of(exchange.call)].insert(key);
    }
  }
  ASSERT_GE(accepted.size(), 6U);
  // Known to GET /machine-config of the same recording, which lists all fields.
  accepted["PUT /machine-config"].insert("huge_pages");
  for (const ApiCall& call : all_calls()) {
    if (!call.body.is_object()) continue;
    for (const auto& [key, value] : call.body.items()) {
      EXPECT_TRUE(accepted[kind_of(call.method + " " + call.path)].contains(key))
          << call.path << " " << key;
    }
  }
}

TEST(FcRecording, AnswersAreRead) {
  std::vector<std::string> states;
  int refusals = 0;
  for (const Exchange& exchange : recording()) {
    if (exchange.call == "GET /") {
      auto status = parse_status(json::parse(exchange.answer));
      ASSERT_TRUE(status) << exchange.answer;
      states.push_back(status->detail);
    }
    if (exchange.code != 400) continue;
    std::string words = describe_refusal(exchange.answer);
    EXPECT_EQ(words, json::parse(exchange.answer)["fault_message"]);
    ++refusals;
  }
  EXPECT_EQ(states, (std::vector<std::string>{"Not started", "Running", "Paused"}));
  EXPECT_GE(refusals, 5);
}

}  // namespace
}  // namespace cocoon::vmm::firecracker
