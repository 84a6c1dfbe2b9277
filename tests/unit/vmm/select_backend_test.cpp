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
  EXPECT_EQ(*select_backend("", config), "firecracker");
  config.hypervisor = "qemu";
  EXPECT_EQ(*select_backend("", config), "qemu");
}

TEST(SelectBackend, RefusesAnUnknownName) {
  auto name = select_backend("xen", model::Config{});
  ASSERT_FALSE(name);
  EXPECT_EQ(name.error().kind, ErrorKind::kInvalid);
}

TEST(MakeBackend, SaysWhatItIs) {
  for (const char* name : {"qemu", "firecracker"}) {
    auto backend = make_backend(name, model::Config{});
    ASSERT_TRUE(backend);
    EXPECT_EQ((*backend)->name(), name);
    EXPECT_EQ((*backend)->directory(), model::backend_directory(name));
  }
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
