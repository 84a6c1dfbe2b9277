// SPDX-License-Identifier: Apache-2.0
#include <signal.h>
#include <sys/wait.h>

#include <algorithm>

#include <gtest/gtest.h>

#include "integration/vmm/qemu_fixture.h"
#include "sys/unix_socket.h"
#include "unit/vmm/sample_vm.h"
#include "vmm/qemu/argv.h"
#include "vmm/vm_uuid.h"

namespace cocoon::vmm::test {
namespace {

Deadline seconds(int count) { return deadline_in(Milliseconds(count * 1000)); }

std::string proc_field(pid_t pid, std::string_view name) {
  std::string text = *sys::read_file(fmt::format("/proc/{}/status", pid), 65536);
  auto at = text.find(fmt::format("\n{}:\t", name));
  if (at == std::string::npos) return {};
  at += name.size() + 3;
  return text.substr(at, text.find('\n', at) - at);
}

TEST_F(QemuVm, BootsConfinedAndRebootsInPlaceAndPowersOffWhenAsked) {
  ASSERT_NO_FATAL_FAILURE(boot());
  pid_t pid = process_->pid();
  EXPECT_EQ(proc_field(pid, "Seccomp"), "2");
  EXPECT_EQ(proc_field(pid, "CapEff"), "0000000000000000");
  EXPECT_EQ(proc_field(pid, "NoNewPrivs"), "1");
  auto status = backend_->status(running(), seconds(5));
  ASSERT_TRUE(status) << status.error().to_string();
  EXPECT_TRUE(status->running);
  EXPECT_EQ(status->detail, "running");

  ASSERT_TRUE(console_shows("guest-ready"));
  EXPECT_NE(console_.find("disk vda cocoon-layer0\r\n"), std::string::npos);
  EXPECT_NE(console_.find("disk vdb cocoon-cow\r\n"), std::string::npos);
  EXPECT_NE(console_.find("disk vdc db\r\n"), std::string::npos);
  EXPECT_NE(console_.find("uuid " + *vm_uuid(vm_.id)), std::string::npos);

  console_.clear();
  type("/bin/busybox reboot -f\n");
  ASSERT_TRUE(console_shows("guest-ready"));
  EXPECT_EQ(process_->pid(), pid);
  EXPECT_TRUE(backend_->status(running(), seconds(5))->running);

  auto stopped = backend_->ask_guest_to_stop(running(), seconds(60));
  ASSERT_TRUE(stopped) << stopped.error().to_string();
  EXPECT_TRUE(*stopped);
  auto end = process_->wait(seconds(5));
  ASSERT_TRUE(end) << end.error().to_string();
  EXPECT_EQ(*end, 0) << sys::describe_wait_status(*end);
}

TEST_F(QemuVm, EndsWithAnErrorStatusWhenTheGuestPanics) {
  ASSERT_NO_FATAL_FAILURE(boot());
  ASSERT_TRUE(console_shows("guest-ready"));
  type("echo c >/proc/sysrq-trigger\n");
  auto end = process_->wait(seconds(60));
  ASSERT_TRUE(end) << end.error().to_string();
  EXPECT_TRUE(WIFEXITED(*end));
  EXPECT_EQ(WEXITSTATUS(*end), 1) << sys::describe_wait_status(*end);
}

TEST_F(QemuVm, GivesUpOnAGuestThatDoesNotListenThenQuits) {
  ASSERT_NO_FATAL_FAILURE(boot());
  // The kernel is barely alive: nobody listens to the button yet.
  auto stopped = backend_->ask_guest_to_stop(running(), deadline_in(Milliseconds(300)));
  ASSERT_TRUE(stopped) << stopped.error().to_string();
  EXPECT_FALSE(*stopped);
  auto told = backend_->quit(running(), seconds(5));
  ASSERT_TRUE(told) << told.error().to_string();
  auto end = process_->wait(seconds(10));
  ASSERT_TRUE(end) << end.error().to_string();
  EXPECT_EQ(*end, 0) << sys::describe_wait_status(*end);
}

TEST_F(QemuVm, BoundsEveryCallWhileAnotherClientHoldsTheSocket) {
  ASSERT_NO_FATAL_FAILURE(boot());
  auto other = sys::connect_unix(dir_fd_.get(), qemu::kQmpSocket, SOCK_STREAM);
  ASSERT_TRUE(other);
  // More than fit into the queue of connections, which must not block us either.
  for (int count = 0; count < 4; ++count) {
    auto start = std::chrono::steady_clock::now();
    auto status = backend_->status(running(), deadline_in(Milliseconds(200)));
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().kind, ErrorKind::kTimeout) << status.error().to_string();
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(2));
  }
  other->reset();
  auto status = backend_->status(running(), seconds(10));
  EXPECT_TRUE(status) << status.error().to_string();
}

TEST_F(QemuVm, NoticesThatItIsKilled) {
  ASSERT_NO_FATAL_FAILURE(boot());
  RunningVmm vmm = running();
  ASSERT_TRUE(handle_->signal(SIGKILL));
  ASSERT_TRUE(*handle_->wait_exit(Milliseconds(5000)));
  auto status = backend_->status(vmm, seconds(5));
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().kind, ErrorKind::kVmm);
  EXPECT_NE(status.error().cause.find("QEMU ended"), std::string::npos);
  EXPECT_TRUE(backend_->quit(vmm, seconds(5)));
  auto stopped = backend_->ask_guest_to_stop(vmm, seconds(5));
  ASSERT_TRUE(stopped) << stopped.error().to_string();
  EXPECT_TRUE(*stopped);
}

TEST_F(QemuVm, QuotesWhatAFailedStartSaid) {
  auto launch = backend_->plan_launch(vm_, Accel::kTcg);
  ASSERT_TRUE(launch) << launch.error().to_string();
  ASSERT_TRUE(sys::remove_file(dir_ / "cow.raw"));
  ASSERT_NO_FATAL_FAILURE(start(*launch));
  auto started = backend_->finish_start(*launch, running(), seconds(20));
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().kind, ErrorKind::kVmm);
  EXPECT_NE(started.error().cause.find("cow.raw"), std::string::npos)
      << started.error().to_string();
  EXPECT_NE(started.error().cause.find("No such file"), std::string::npos)
      << started.error().to_string();
}

TEST_F(QemuVm, TalksToNobodyButTheRecordedProcess) {
  ASSERT_NO_FATAL_FAILURE(boot());
  RunningVmm vmm = running();
  vmm.process.pid = getpid();
  auto status = backend_->status(vmm, seconds(5));
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().kind, ErrorKind::kCorrupt) << status.error().to_string();
}

TEST_F(QemuVm, GivesAndTakesDisksWhileItRuns) {
  ASSERT_NO_FATAL_FAILURE(boot());
  ASSERT_TRUE(console_shows("guest-ready"));
  vm_.state = model::VmState::kRunning;
  vm_.disks.push_back(data("hot"));
  make_disk("data-hot.raw", true);
  auto plan = backend_->replan_disks(vm_);
  ASSERT_TRUE(plan) << plan.error().to_string();
  vm_.device_plan = *plan;
  for (int again = 0; again < 2; ++again) {
    auto plugged = backend_->plug_disk(vm_, "data-hot.raw", running(), seconds(10));
    ASSERT_TRUE(plugged) << plugged.error().to_string();
  }
  // Sums, so that the echo of the line is not taken for its answer.
  type("until $b grep -qx hot /sys/block/vd*/serial; do $b sleep 0.1; done; echo seen-$((40+2))\n");
  ASSERT_TRUE(console_shows("seen-42"));

  constexpr std::int64_t kGrown = 96 << 20;
  auto grown = backend_->grow_disk(vm_, "data-hot.raw", kGrown, running(), seconds(10));
  ASSERT_TRUE(grown) << grown.error().to_string();
  EXPECT_EQ(std::filesystem::file_size(dir_ / "data-hot.raw"), static_cast<std::uintmax_t>(kGrown));
  type(
      fmt::format("until $b grep -qx {} /sys/block/vd*/size; do $b sleep 0.1; done; "
                  "echo grown-$((40+3))\n",
                  kGrown / 512));
  ASSERT_TRUE(console_shows("grown-43"));

  for (const char* path : {"data-hot.raw", "data-db.raw", "data-hot.raw"}) {
    auto unplugged = backend_->unplug_disk(vm_, path, running(), seconds(60));
    ASSERT_TRUE(unplugged) << path << ": " << unplugged.error().to_string();
  }
  auto left = backend_->plugged_disks(vm_, running(), seconds(10));
  ASSERT_TRUE(left) << left.error().to_string();
  EXPECT_EQ(*left, (std::vector<std::string>{"layer0.erofs", "cow.raw"}));
  auto slot = backend_->unplug_disk(vm_, "cow.raw", running(), seconds(10));
  ASSERT_FALSE(slot);
  EXPECT_EQ(slot.error().kind, ErrorKind::kUnsupported);
}

TEST_F(QemuVm, FillsEverySlotThatThePlanPromises) {
  int places = backend_->capabilities()->max_disks;
  vm_.disks.clear();
  for (int index = 0; index < places; ++index) {
    vm_.disks.push_back(layer(index));
    sys::UniqueFd fd;
    if (index > 0) {
      ASSERT_TRUE(sys::create_sparse_file(dir_ / vm_.disks.back().path, 1 << 20, 0444));
    }
  }
  vm_.device_plan = *backend_->plan_devices(vm_);
  ASSERT_NO_FATAL_FAILURE(boot());
  ASSERT_TRUE(console_shows("guest-ready"));
  EXPECT_NE(console_.find(fmt::format("cocoon-layer{}\r\n", places - 1)), std::string::npos);
}

}  // namespace
}  // namespace cocoon::vmm::test
