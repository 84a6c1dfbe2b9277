// SPDX-License-Identifier: Apache-2.0
// Runs the built program on a store of its own, and makes VMs that look alive: a row, a VM
// directory, a process that stands for the VMM, and this test as their shim.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "model/vm.h"
#include "sys/fd.h"
#include "sys/files.h"
#include "sys/spawn.h"

namespace cocoon::cli::test {

namespace fs = std::filesystem;

struct RunResult {
  int code = -1;  // exit code, or 128 + signal
  std::string out;
  std::string err;
  nlohmann::json json() const { return nlohmann::json::parse(out, nullptr, false); }
};

using Words = std::vector<std::string>;
using Environment = std::map<std::string, std::string>;

class CliTest : public testing::Test {
 protected:
  void SetUp() override;

  fs::path base() const { return base_->path(); }
  fs::path root() const { return base() / "root"; }
  fs::path run_dir() const { return root() / "run"; }
  fs::path log_dir() const { return base() / "log"; }
  // The flags that point at this test's store.
  Words store_flags() const;
  // argv of the program on this store.
  Words argv(const Words& words) const;

  // Runs cocoon on this test's store.
  RunResult cocoon(const Words& words, const Environment& environment = {}) const;
  // Runs any program; standard output may go elsewhere than into the result.
  RunResult run(const std::string& program, const Words& words, const Environment& environment = {},
                int out_fd = -1) const;
  static std::vector<std::string> environment_of(const Environment& extra);

  // Writes a VM's row; the VM is `created`.
  model::Vm add_vm(const std::string& id, const std::string& name) const;
  void store_vm(const model::Vm& vm, bool is_new) const;
  std::optional<model::Vm> stored_vm(const std::string& id) const;

 private:
  std::optional<sys::TempDir> base_;
};

// A VM whose row says `running`, whose VMM is a sleeping process and whose shim is this test.
class LiveVm {
 public:
  // `store` writes the row.
  LiveVm(const fs::path& run_dir, const fs::path& log_dir, model::Vm vm);
  const model::Vm& vm() const { return vm_; }
  fs::path dir() const { return dir_; }
  fs::path log_dir() const { return log_dir_; }

  // One connection to shim.sock, within a second.
  sys::UniqueFd accept();
  // The VMM ends; then the shim's last words, and its end.
  void end_vmm();
  void end_shim();

 private:
  model::Vm vm_;
  fs::path dir_;
  fs::path log_dir_;
  std::optional<sys::Child> vmm_;
  sys::UniqueFd lock_;
  sys::UniqueFd listener_;
};

// Packets of the shim's side.
std::optional<std::string> receive_packet(int socket, int timeout_ms = 5000);
void send_packet(int socket, const std::string& packet);

// True when `condition` becomes true within five seconds.
bool eventually(const std::function<bool()>& condition);

}  // namespace cocoon::cli::test
