// SPDX-License-Identifier: Apache-2.0
// What is said to a running Cloud Hypervisor about its disks; its answers as recorded (53.0, 51.1),
// and bad ones.
#include <gtest/gtest.h>

#include "unit/vmm/api_definition.h"
#include "unit/vmm/fake_api.h"
#include "unit/vmm/sample_vm.h"
#include "vmm/cloud_hypervisor/backend.h"
#include "vmm/cloud_hypervisor/plan.h"

namespace cocoon::vmm::cloud_hypervisor {
namespace {

using cocoon::test::HttpPeer;
using nlohmann::json;
using test::FakeApi;

constexpr Milliseconds kPatience{10'000};
constexpr Milliseconds kShort{300};
constexpr const char* kId = "disk-data-db";

CloudHypervisorBackend backend() { return CloudHypervisorBackend(model::Config{}); }

model::Vm vm_with_disk() {
  model::Vm vm = test::sample_vm();
  vm.disks.push_back(test::data("db"));
  vm.device_plan = plan_to_json(*make_plan(vm));
  return vm;
}

// vm.info with our disk in the configuration, in the tree of devices, or in neither.
std::string info(bool configured, bool in_tree) {
  json answer{{"config", {{"disks", json::array({{{"id", "disk-cow"}}})}}},
              {"state", "Running"},
              {"device_tree", {{"disk-cow", json::object()}}}};
  if (configured) answer["config"]["disks"].push_back({{"id", kId}});
  if (in_tree) answer["device_tree"][kId] = json::object();
  return answer.dump();
}

void expect(HttpPeer& peer, const std::string& line, int status, const std::string& body = "") {
  EXPECT_EQ(peer.hear().line, line + " HTTP/1.1");
  peer.answer(status, body);
}

// What was heard, against the published API where that is here (ch_payload_test.cpp says aloud when
// it is not).
void expect_published(const cocoon::test::HeardRequest& request) {
  static const auto api = test::ApiDefinition::load("cloud-hypervisor.openapi.yaml", "/api/v1");
  if (!api) return;
  auto space = request.line.find(' ');
  std::string path = request.line.substr(space + 1, request.line.rfind(' ') - space - 1);
  ApiCall call{request.line.substr(0, space), path, nlohmann::ordered_json::parse(request.body)};
  for (const std::string& complaint : api->complaints(call)) ADD_FAILURE() << complaint;
}

TEST(ChHotplug, AddsADiskWithItsIdAndSerial) {
  FakeApi api("sock/api", {[](HttpPeer& peer) {
                expect(peer, "GET /api/v1/vm.info", 200, info(false, false));
                auto request = peer.hear();
                EXPECT_EQ(request.line, "PUT /api/v1/vm.add-disk HTTP/1.1");
                expect_published(request);
                json body = json::parse(request.body);
                EXPECT_EQ(body["id"], kId);
                EXPECT_EQ(body["serial"], "db");
                EXPECT_EQ(body["path"], "data-db.raw");
                EXPECT_EQ(body["image_type"], "Raw");
                peer.answer(200, R"({"id":"disk-data-db","bdf":"0000:00:0b.0"})");
                peer.hear();
              }});
  auto added =
      backend().plug_disk(vm_with_disk(), "data-db.raw", api.vmm(), deadline_in(kPatience));
  EXPECT_TRUE(added) << added.error().to_string();
}

TEST(ChHotplug, AddsNothingTwice) {
  FakeApi api("sock/api", {[](HttpPeer& peer) {
                expect(peer, "GET /api/v1/vm.info", 200, info(true, true));
                EXPECT_TRUE(peer.hear().line.empty());
              }});
  EXPECT_TRUE(
      backend().plug_disk(vm_with_disk(), "data-db.raw", api.vmm(), deadline_in(kPatience)));
}

TEST(ChHotplug, QuotesARefusal) {
  FakeApi api("sock/api", {[](HttpPeer& peer) {
                expect(peer, "GET /api/v1/vm.info", 200, info(false, false));
                expect(peer, "PUT /api/v1/vm.add-disk", 500,
                       R"(["Error from API","The disk could not be added to the VM","no slot"])");
                peer.hear();
              }});
  auto added =
      backend().plug_disk(vm_with_disk(), "data-db.raw", api.vmm(), deadline_in(kPatience));
  ASSERT_FALSE(added);
  EXPECT_EQ(added.error().kind, ErrorKind::kVmm);
  EXPECT_NE(added.error().cause.find("could not be added to the VM: no slot"), std::string::npos);
}

TEST(ChHotplug, WaitsUntilTheGuestHasLetGo) {
  FakeApi api("sock/api", {[](HttpPeer& peer) {
                expect(peer, "GET /api/v1/vm.info", 200, info(true, true));
                auto request = peer.hear();
                EXPECT_EQ(request.line, "PUT /api/v1/vm.remove-device HTTP/1.1");
                expect_published(request);
                EXPECT_EQ(request.body, R"({"id":"disk-data-db"})");
                peer.answer(204);
                // Out of the configuration at once, in the tree for as long as the guest has it.
                expect(peer, "GET /api/v1/vm.info", 200, info(false, true));
                expect(peer, "GET /api/v1/vm.info", 200, info(false, true));
                expect(peer, "GET /api/v1/vm.info", 200, info(false, false));
                EXPECT_TRUE(peer.hear().line.empty());
              }});
  auto removed =
      backend().unplug_disk(vm_with_disk(), "data-db.raw", api.vmm(), deadline_in(kPatience));
  EXPECT_TRUE(removed) << removed.error().to_string();
}

TEST(ChHotplug, SaysThatTheGuestHoldsOn) {
  FakeApi api("sock/api", {[](HttpPeer& peer) {
                expect(peer, "GET /api/v1/vm.info", 200, info(true, true));
                expect(peer, "PUT /api/v1/vm.remove-device", 204);
                while (!peer.hear().line.empty()) peer.answer(200, info(false, true));
              }});
  auto removed =
      backend().unplug_disk(vm_with_disk(), "data-db.raw", api.vmm(), deadline_in(kShort));
  ASSERT_FALSE(removed);
  EXPECT_EQ(removed.error().kind, ErrorKind::kTimeout);
}

TEST(ChHotplug, GoesOnWithARemovalThatWasAskedForBefore) {
  FakeApi api("sock/api", {[](HttpPeer& peer) {
                expect(peer, "GET /api/v1/vm.info", 200, info(false, true));
                expect(peer, "PUT /api/v1/vm.remove-device", 500,
                       R"(["Error from API","unknown"])");
                expect(peer, "GET /api/v1/vm.info", 200, info(false, false));
                peer.hear();
              }});
  EXPECT_TRUE(
      backend().unplug_disk(vm_with_disk(), "data-db.raw", api.vmm(), deadline_in(kPatience)));
}

TEST(ChHotplug, GrowsByIdAndBytes) {
  FakeApi api("sock/api", {[](HttpPeer& peer) {
                auto request = peer.hear();
                EXPECT_EQ(request.line, "PUT /api/v1/vm.resize-disk HTTP/1.1");
                expect_published(request);
                EXPECT_EQ(request.body, R"({"id":"disk-data-db","desired_size":67108864})");
                peer.answer(204);
                peer.hear();
              }});
  EXPECT_TRUE(backend().grow_disk(vm_with_disk(), "data-db.raw", 64 << 20, api.vmm(),
                                  deadline_in(kPatience)));
}

TEST(ChHotplug, ListsOnlyDisksOfTheRecord) {
  FakeApi api("sock/api", {[](HttpPeer& peer) {
                expect(peer, "GET /api/v1/vm.info", 200, info(true, true));
                peer.hear();
              }});
  auto paths = backend().plugged_disks(vm_with_disk(), api.vmm(), deadline_in(kPatience));
  ASSERT_TRUE(paths) << paths.error().to_string();
  EXPECT_EQ(*paths, (std::vector<std::string>{"cow.raw", "data-db.raw"}));
}

TEST(ChHotplug, RefusesAnswersThatAreNone) {
  for (const char* body : {"[]", "{}", R"({"device_tree":[]})", "null", R"({"device_tree":7})"}) {
    FakeApi api("sock/api", {[body](HttpPeer& peer) {
                  expect(peer, "GET /api/v1/vm.info", 200, body);
                  peer.hear();
                }});
    auto paths = backend().plugged_disks(vm_with_disk(), api.vmm(), deadline_in(kPatience));
    ASSERT_FALSE(paths) << body;
    EXPECT_EQ(paths.error().kind, ErrorKind::kCorrupt) << body;
  }
}

}  // namespace
}  // namespace cocoon::vmm::cloud_hypervisor
