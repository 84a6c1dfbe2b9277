// SPDX-License-Identifier: Apache-2.0
#include <filesystem>
#include <optional>

#include <gtest/gtest.h>

#include "sys/files.h"
#include "vmm/backend.h"

namespace cocoon::vmm {
namespace {

namespace fs = std::filesystem;

bool yes() { return true; }
bool no() { return false; }

class SelectBackend : public testing::Test {
 protected:
  void SetUp() override {
    auto dir = sys::TempDir::create(fs::temp_directory_path(), "select-");
    ASSERT_TRUE(dir) << dir.error().to_string();
    dir_.emplace(std::move(*dir));
    config_.run_dir = config_.root_dir = dir_->path();
    config_.ch_binary = dir_->path() / "cloud-hypervisor";
    config_.ch_firmware = dir_->path() / "CLOUDHV.fd";
  }
  void install(std::string_view version) {
    std::string script = fmt::format("#!/bin/sh\necho 'cloud-hypervisor {}'\n", version);
    ASSERT_TRUE(sys::write_file_atomic(config_.ch_binary, script, 0755));
  }
  std::string select(std::string_view requested, const BackendNeeds& needs = {},
                     bool (*kvm)() = yes) {
    auto name = select_backend(requested, config_, needs, kvm);
    return name ? *name : "error: " + name.error().to_string();
  }
  std::optional<sys::TempDir> dir_;
  model::Config config_;
};

TEST_F(SelectBackend, TakesCloudHypervisorWhereItAndKvmWork) {
  EXPECT_EQ(select(""), "qemu");  // not installed
  install("v53.0");
  EXPECT_EQ(select(""), "cloud-hypervisor");
  EXPECT_EQ(select("auto"), "cloud-hypervisor");
  EXPECT_EQ(select("", {}, no), "qemu");
}

TEST_F(SelectBackend, TakesNoneThatIsTooOld) {
  install("v50.0");
  EXPECT_EQ(select(""), "qemu");
  auto able = (*make_backend("cloud-hypervisor", config_))->capabilities();
  ASSERT_FALSE(able);
  EXPECT_EQ(able.error().kind, ErrorKind::kUnsupported);
  EXPECT_EQ(able.error().cause, config_.ch_binary + " is version 50.0.0; 51.0 or newer is needed");
}

TEST_F(SelectBackend, TakesQemuForACloudImageWithoutTheFirmware) {
  install("v53.0");
  EXPECT_EQ(select("", {.firmware = true}), "qemu");
  ASSERT_TRUE(sys::write_file_atomic(config_.ch_firmware, "firmware", 0644));
  EXPECT_EQ(select("", {.firmware = true}), "cloud-hypervisor");
}

TEST_F(SelectBackend, TakesCloudHypervisorForWindowsWhateverIsThere) {
  EXPECT_EQ(select("", {.firmware = true, .windows = true}, no), "cloud-hypervisor");
}

TEST_F(SelectBackend, AsksForKvmOnlyWhenItMatters) {
  auto never = []() -> bool {
    ADD_FAILURE() << "asked";
    return true;
  };
  EXPECT_EQ(*select_backend("qemu", config_, {}, never), "qemu");
  EXPECT_EQ(*select_backend("auto", config_, {}, never), "qemu");  // not installed
}

TEST_F(SelectBackend, PrefersTheFlagOverTheConfiguration) {
  install("v53.0");
  config_.use_firecracker = true;
  EXPECT_EQ(select(""), "firecracker");
  config_.hypervisor = "cloud-hypervisor";
  EXPECT_EQ(select("qemu"), "qemu");
  EXPECT_EQ(select(""), "cloud-hypervisor");
  EXPECT_EQ(select("auto", {}, no), "qemu");
  config_.hypervisor.clear();
  EXPECT_EQ(select(""), "firecracker");
}

TEST_F(SelectBackend, RefusesAnUnknownName) {
  auto name = select_backend("xen", config_, {}, yes);
  ASSERT_FALSE(name);
  EXPECT_EQ(name.error().kind, ErrorKind::kInvalid);
}

TEST(MakeBackend, SaysWhatItIs) {
  for (const char* name : {"qemu", "cloud-hypervisor", "firecracker"}) {
    auto backend = make_backend(name, model::Config{});
    ASSERT_TRUE(backend);
    EXPECT_EQ((*backend)->name(), name);
    EXPECT_EQ((*backend)->directory(), model::backend_directory(name));
  }
}

TEST(MakeBackend, ReportsAProgramThatIsNotInstalled) {
  model::Config config;
  config.qemu_binary = config.ch_binary = config.fc_binary = "/nonexistent/vmm";
  for (const char* name : {"qemu", "cloud-hypervisor", "firecracker"}) {
    auto backend = make_backend(name, config);
    ASSERT_TRUE(backend);
    auto able = (*backend)->capabilities();
    ASSERT_FALSE(able);
    EXPECT_EQ(able.error().kind, ErrorKind::kUnsupported);
  }
}

}  // namespace
}  // namespace cocoon::vmm
