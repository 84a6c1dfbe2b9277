// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "vmm/backend.h"

namespace cocoon::vmm {
namespace {

TEST(SelectBackend, TakesQemuWhenNothingIsSaid) {
  model::Config config;
  auto name = select_backend("", config);
  ASSERT_TRUE(name) << name.error().to_string();
  EXPECT_EQ(*name, "qemu");
}

TEST(SelectBackend, PrefersTheFlagOverTheConfiguration) {
  model::Config config;
  config.hypervisor = "cloud-hypervisor";
  config.use_firecracker = true;
  EXPECT_EQ(*select_backend("qemu", config), "qemu");
  EXPECT_EQ(*select_backend("auto", config), "qemu");
}

TEST(SelectBackend, PrefersHypervisorOverUseFirecracker) {
  model::Config config;
  config.use_firecracker = true;
  auto firecracker = select_backend("", config);
  ASSERT_FALSE(firecracker);
  EXPECT_EQ(firecracker.error().kind, ErrorKind::kUnsupported);
  EXPECT_EQ(firecracker.error().cause, "this build has no firecracker backend; use qemu");
  config.hypervisor = "qemu";
  EXPECT_EQ(*select_backend("", config), "qemu");
}

TEST(SelectBackend, RefusesAnUnknownName) {
  auto name = select_backend("xen", model::Config{});
  ASSERT_FALSE(name);
  EXPECT_EQ(name.error().kind, ErrorKind::kInvalid);
}

TEST(MakeBackend, SaysWhatItIs) {
  auto backend = make_backend("qemu", model::Config{});
  ASSERT_TRUE(backend);
  EXPECT_EQ((*backend)->name(), "qemu");
  EXPECT_EQ((*backend)->directory(), model::backend_directory("qemu"));
}

TEST(MakeBackend, ReportsAProgramThatIsNotInstalled) {
  model::Config config;
  config.qemu_binary = "/nonexistent/qemu-system-x86_64";
  auto backend = make_backend("qemu", config);
  ASSERT_TRUE(backend);
  auto able = (*backend)->capabilities();
  ASSERT_FALSE(able);
  EXPECT_EQ(able.error().kind, ErrorKind::kUnsupported);
}

}  // namespace
}  // namespace cocoon::vmm
