// SPDX-License-Identifier: Apache-2.0
// The installed version, asked of small programs that pretend to be QEMU.
#include <algorithm>
#include <filesystem>

#include <gtest/gtest.h>

#include "sys/files.h"
#include "unit/vmm/sample_vm.h"
#include "vmm/backend.h"

namespace cocoon::vmm {
namespace {

namespace fs = std::filesystem;

class QemuVersion : public testing::Test {
 protected:
  void SetUp() override {
    auto dir = sys::TempDir::create(fs::temp_directory_path(), "qemu-version-");
    ASSERT_TRUE(dir) << dir.error().to_string();
    dir_.emplace(std::move(*dir));
    config_.run_dir = dir_->path();
    config_.qemu_binary = dir_->path() / "qemu";
  }
  // A program that counts its runs and prints a first line.
  void install(std::string_view says) {
    std::string script =
        fmt::format("#!/bin/sh\necho run >>{}/runs\necho '{}'\n", dir_->path().native(), says);
    ASSERT_TRUE(sys::write_file_atomic(config_.qemu_binary, script, 0755));
  }
  std::size_t runs() const {
    auto text = sys::read_file(dir_->path() / "runs", 65536);
    return text ? static_cast<std::size_t>(std::count(text->begin(), text->end(), '\n')) : 0;
  }
  Result<Capabilities> ask() const {
    auto backend = COCOON_TRY(make_backend("qemu", config_));
    return backend->capabilities();
  }
  std::optional<sys::TempDir> dir_;
  model::Config config_;
};

TEST_F(QemuVersion, IsAskedOncePerBinary) {
  install("QEMU emulator version 7.2.22 (Debian)");
  for (int count = 0; count < 3; ++count) {
    auto able = ask();
    ASSERT_TRUE(able) << able.error().to_string();
    EXPECT_EQ(able->version, (Version{7, 2, 22}));
  }
  EXPECT_EQ(runs(), 1U);
  install("QEMU emulator version 10.0.3");
  EXPECT_EQ(ask()->version, (Version{10, 0, 3}));
  EXPECT_EQ(runs(), 2U);
}

TEST_F(QemuVersion, TooOldIsRefused) {
  install("QEMU emulator version 5.2.0");
  auto able = ask();
  ASSERT_FALSE(able);
  EXPECT_EQ(able.error().kind, ErrorKind::kUnsupported);
  EXPECT_NE(able.error().cause.find("5.2.0"), std::string::npos);
}

TEST_F(QemuVersion, AnotherProgramIsRefusedAndNotRemembered) {
  install("hello");
  EXPECT_FALSE(ask());
  EXPECT_FALSE(ask());
  EXPECT_EQ(runs(), 2U);
}

TEST_F(QemuVersion, OfAPlanMustNotBeNewerThanWhatIsInstalled) {
  install("QEMU emulator version 10.0.3");
  model::Vm vm = test::sample_vm();
  auto backend = make_backend("qemu", config_);
  ASSERT_TRUE(backend);
  vm.device_plan = *(*backend)->plan_devices(vm);
  auto launch = (*backend)->plan_launch(vm, Accel::kTcg);
  ASSERT_TRUE(launch) << launch.error().to_string();
  EXPECT_EQ(launch->program, config_.qemu_binary);
  install("QEMU emulator version 7.2.22 (Debian)");
  auto older = (*backend)->plan_launch(vm, Accel::kTcg);
  ASSERT_FALSE(older);
  EXPECT_EQ(older.error().kind, ErrorKind::kUnsupported);
  EXPECT_NE(older.error().cause.find("10.0"), std::string::npos);
}

}  // namespace
}  // namespace cocoon::vmm
