// SPDX-License-Identifier: Apache-2.0
#include "integration/engine/installation.h"

#include "engine/vm_view.h"
#include "store/vm_rows.h"

namespace cocoon::engine::test {

Installation::Installation() {
  dir_.emplace(sys::TempDir::create(testing::TempDir(), "cocoon-engine-").value());
  config_.root_dir = dir_->path() / "root";
  config_.run_dir = dir_->path() / "run";
  config_.log_dir = dir_->path() / "log";
  config_.memory_dir = dir_->path() / "memory";
  config_.cni_conf_dir = dir_->path() / "net.d";
  store::Paths paths(config_);
  db_.emplace(store::Db::open(paths.database()).value());
  ports_.emplace(Ports{config_, paths, *db_, [](std::string_view) {}});
}

model::Vm Installation::add_vm(const std::string& id, model::VmState state) {
  model::Vm vm;
  vm.id = id;
  vm.hypervisor = "qemu";
  vm.state = state;
  vm.config.name = id;
  vm.created_at = "2026-01-01T00:00:00Z";
  EXPECT_TRUE(store::insert_vm(*db_, vm, {}));
  EXPECT_TRUE(sys::make_dirs(vm_dir(*ports_, vm), 0700));
  return vm;
}

model::Vm Installation::row(const std::string& id) { return *store::get_vm(*db_, id).value(); }

void Installation::put(const model::Vm& vm) { EXPECT_TRUE(store::update_vm(*db_, vm)); }

}  // namespace cocoon::engine::test
