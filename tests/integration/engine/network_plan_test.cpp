// SPDX-License-Identifier: Apache-2.0
// Which network a clone is put on: what its snapshot says, unless that came from elsewhere.
#include <gtest/gtest.h>

#include "engine/vm_network.h"
#include "integration/engine/installation.h"

namespace cocoon::engine {
namespace {

constexpr const char* kSayWhere = "--network NAME or --bridge DEVICE";

class ClonePlan : public testing::Test {
 protected:
  // A host with one CNI network, whose plugin is not installed: that it was chosen is seen by the
  // refusal, and nothing of the host is looked at.
  void SetUp() override {
    const std::filesystem::path dir = host_.ports().config.cni_conf_dir;
    ASSERT_TRUE(sys::make_dirs(dir, 0700));
    ASSERT_TRUE(sys::write_file_atomic(
        dir / "10-here.conflist",
        R"({"cniVersion":"1.0.0","name":"here","plugins":[{"type":"no-such-plugin"}]})", 0600));
    able_.max_nics = model::kMaxNics;
  }
  static model::Vm saved(std::string_view backend, const std::string& where) {
    model::Vm vm;
    vm.id = test::kVm;
    model::Nic nic;
    nic.backend = backend;
    nic.mac = "02:00:00:00:00:01";
    if (backend == model::kBridgeNic) nic.bridge_dev = where;
    if (backend == model::kCniNic) vm.config.network = where;
    vm.nics = {nic};
    return vm;
  }
  // How the plan ends, as text.
  std::string plan(model::Vm vm, bool imported, const CreateRequest& request = {}) {
    auto planned = plan_clone_network(host_.ports(), request, able_, imported, vm);
    if (planned) return "";
    kind_ = planned.error().kind;
    return planned.error().to_string();
  }

  test::Installation host_;
  vmm::Capabilities able_;
  ErrorKind kind_ = ErrorKind::kInternal;
};

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

TEST_F(ClonePlan, AnImportedSnapshotPutsNobodyOnABridge) {
  std::string refused = plan(saved(model::kBridgeNic, "br-none"), true);
  EXPECT_EQ(kind_, ErrorKind::kInvalid);
  EXPECT_TRUE(has(refused, "was imported") && has(refused, "\"br-none\"")) << refused;
  EXPECT_TRUE(has(refused, kSayWhere)) << refused;
  // Our own, and what the user says: looked for on this host.
  std::string own = plan(saved(model::kBridgeNic, "br-none"), false);
  EXPECT_EQ(kind_, ErrorKind::kNotFound);
  EXPECT_TRUE(has(own, "br-none") && !has(own, "imported")) << own;
  CreateRequest said;
  said.bridge = "br-said";
  EXPECT_TRUE(has(plan(saved(model::kBridgeNic, "br-none"), true, said), "br-said"));
}

TEST_F(ClonePlan, AnImportedSnapshotsNetworkIsOneOfThisHosts) {
  std::string chosen = plan(saved(model::kCniNic, "here"), true);
  EXPECT_TRUE(has(chosen, "network \"here\" needs CNI plugin \"no-such-plugin\"")) << chosen;
  std::string elsewhere = plan(saved(model::kCniNic, "there"), true);
  EXPECT_EQ(kind_, ErrorKind::kNotFound);
  EXPECT_TRUE(has(elsewhere, "\"there\" not found; there are: here")) << elsewhere;
  EXPECT_TRUE(has(elsewhere, kSayWhere)) << elsewhere;
  EXPECT_FALSE(has(plan(saved(model::kCniNic, "there"), false), kSayWhere));
  CreateRequest said;
  said.network = "here";
  EXPECT_TRUE(has(plan(saved(model::kCniNic, "there"), true, said), "network \"here\" needs"));
  EXPECT_TRUE(has(plan(saved(model::kBridgeNic, "br-none"), true, said), "network \"here\" needs"));
}

TEST_F(ClonePlan, AGuestWithoutNicsStaysWithout) {
  model::Vm vm = saved(model::kCniNic, "there");
  vm.nics.clear();
  EXPECT_EQ(plan(vm, true), "");
}

}  // namespace
}  // namespace cocoon::engine
