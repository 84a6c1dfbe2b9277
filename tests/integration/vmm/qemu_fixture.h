// SPDX-License-Identifier: Apache-2.0
// A real QEMU under software emulation, run as the engine and the shim would: an unprivileged uid,
// the VM directory as working directory below one that the uid cannot enter, the guest's console on
// descriptors 0 and 1. Without a shim: console and process belong to the test.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "sys/files.h"
#include "sys/spawn.h"
#include "vmm/backend.h"

namespace cocoon::vmm::test {

class QemuVm : public testing::Test {
 protected:
  static constexpr uid_t kUid = 1879113727;  // inside the default range of VMMs, at its end

  // Skips, loudly, where there is no root, no QEMU, no static busybox or no guest kernel.
  void SetUp() override;
  void TearDown() override;

  // Starts the launch of vm_ with its argv changed as the test wants.
  void start(Launch launch);
  // Plans, starts, and waits until the guest runs.
  void boot();

  // Collects console output until `text` came.
  bool console_shows(std::string_view text, Milliseconds limit = Milliseconds(90'000));
  void type(std::string_view text);
  std::string vmm_log() const;
  // An empty disk in the VM directory, owned as the engine would have it.
  void make_disk(const std::string& name, bool writable);
  RunningVmm running() const;

  std::optional<sys::TempDir> top_;
  std::filesystem::path dir_;
  std::filesystem::path memory_;
  sys::UniqueFd dir_fd_;
  std::unique_ptr<Backend> backend_;
  model::Vm vm_;
  std::optional<sys::Child> process_;
  std::optional<sys::LiveProcess> handle_;
  std::string console_;

 private:
  void place_files(const std::filesystem::path& kernel, const std::filesystem::path& modules);
  sys::UniqueFd input_, output_;
};

}  // namespace cocoon::vmm::test
