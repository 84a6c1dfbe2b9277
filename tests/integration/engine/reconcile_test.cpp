// SPDX-License-Identifier: Apache-2.0
#include "engine/reconcile.h"

#include <sys/file.h>

#include <thread>

#include "engine/locks.h"
#include "engine/vm_files.h"
#include "engine/vm_view.h"
#include "integration/engine/installation.h"
#include "sys/process.h"

namespace cocoon::engine::test {
namespace {

constexpr int kNoPid = 2'000'000'000;  // above any pid_max

class Ends : public testing::Test {
 protected:
  // A VM whose VMM, by its record, runs; it has memory.
  void SetUp() override {
    vm_ = here_.add_vm(kVm, model::VmState::kRunning);
    vm_.vmm = {kNoPid, 1, sys::host_boot_id().value()};
    here_.put(vm_);
    memory_ = memory_files(here_.ports(), vm_).value()[0];
    ASSERT_TRUE(sys::make_dirs(memory_.parent_path(), 0700));
    ASSERT_TRUE(sys::write_file_atomic(memory_, "memory", 0600));
    ASSERT_TRUE(sys::make_dirs(here_.ports().paths.exits(), 0700));
  }

  // What a shim holds for life.
  sys::UniqueFd hold_shim_lock() {
    auto fd = sys::open_file(vm_dir(here_.ports(), vm_) / "shim.lock", O_RDWR | O_CREAT, 0600);
    EXPECT_TRUE(fd);
    EXPECT_EQ(flock(fd->get(), LOCK_EX), 0);
    return std::move(*fd);
  }

  void record_exit(int code) {
    nlohmann::json record = {{"boot_id", vm_.vmm.boot_id},
                             {"pid", vm_.vmm.pid},
                             {"start_time", 1},
                             {"ended_at", "2026-01-01T00:00:00Z"},
                             {"wait_status", 0},
                             {"guest_exit", code},
                             {"reason", "guest exited"}};
    EXPECT_TRUE(sys::write_file_atomic(here_.ports().paths.exit_file(vm_.id), record.dump(), 0600));
  }

  model::Vm observe() {
    auto now = observe_vm(here_.ports(), vm_);
    EXPECT_TRUE(now && *now);
    return **now;
  }

  Installation here_;
  model::Vm vm_;
  sys::fs::path memory_;
};

TEST_F(Ends, AreWaitedForWhileTheShimLives) {
  sys::UniqueFd lock = hold_shim_lock();
  std::thread starved([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(1500));
    record_exit(0);
    lock.reset();
  });
  model::Vm now = observe();
  starved.join();
  EXPECT_EQ(now.state, model::VmState::kStopped) << now.exit_reason;
  EXPECT_EQ(now.exit_code, 0);
  EXPECT_EQ(here_.row(kVm).state, model::VmState::kStopped);
  EXPECT_FALSE(sys::exists(memory_));
}

TEST_F(Ends, ThatNobodyCanTellOfAreNotWaitedFor) {
  auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(observe().state, model::VmState::kError);
  EXPECT_EQ(here_.row(kVm).exit_reason, "VMM ended, end not seen");
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
}

TEST_F(Ends, AreNotWaitedForWhereTheShimIsOfALaterRun) {
  sys::UniqueFd lock = hold_shim_lock();
  ASSERT_TRUE(sys::write_file_atomic(
      vm_dir(here_.ports(), vm_) / "vmm",
      fmt::format("boot_id={}\npid={}\nstart_time=2\n", vm_.vmm.boot_id, kNoPid), 0600));
  auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(observe().state, model::VmState::kError);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
}

// The reader has read the row of the run before.
TEST_F(Ends, OfAnEarlierRunLeaveTheMemoryOfThisOne) {
  record_exit(0);
  model::Vm again = vm_;
  auto self = sys::self_process();
  again.vmm = {self.pid, self.start_time, vm_.vmm.boot_id};
  here_.put(again);
  EXPECT_EQ(observe().state, model::VmState::kRunning);
  EXPECT_TRUE(sys::exists(memory_));
  EXPECT_EQ(here_.row(kVm).state, model::VmState::kRunning);
}

TEST_F(Ends, AreOnlyToldWhileAnotherCommandWorksOnTheVm) {
  record_exit(3);
  {
    auto lock = lock_vm(here_.ports(), kVm, "start");
    ASSERT_TRUE(lock);
    model::Vm now = observe();
    EXPECT_EQ(now.state, model::VmState::kStopped);
    EXPECT_EQ(now.exit_code, 3);
    EXPECT_TRUE(sys::exists(memory_)) << "taken from the other command";
    EXPECT_EQ(here_.row(kVm).state, model::VmState::kRunning);
  }
  EXPECT_EQ(observe().state, model::VmState::kStopped);
  EXPECT_FALSE(sys::exists(memory_));
  EXPECT_EQ(here_.row(kVm).state, model::VmState::kStopped);
}

}  // namespace
}  // namespace cocoon::engine::test
