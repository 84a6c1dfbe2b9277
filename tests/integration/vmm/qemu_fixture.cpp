// SPDX-License-Identifier: Apache-2.0
#include "integration/vmm/qemu_fixture.h"

#include <unistd.h>

#include <array>
#include <cstdlib>
#include <iostream>
#include <map>

#include "base/cpio.h"
#include "unit/vmm/sample_vm.h"

namespace cocoon::vmm::test {
namespace {

namespace fs = std::filesystem;

constexpr const char* kBusybox = "/bin/busybox";
// What the guest needs to reach its disks, its power button and pvpanic, in load order.
constexpr std::array kModules = {"virtio_ring",
                                 "virtio",
                                 "virtio_pci_modern_dev",
                                 "virtio_pci_legacy_dev",
                                 "virtio_pci",
                                 "virtio_blk",
                                 "button",
                                 "evdev",
                                 "pvpanic",
                                 "pvpanic-mmio"};

// Says what it found, listens to the power button, and runs lines typed on the console.
constexpr std::string_view kInit = R"init(#!/bin/busybox sh
b=/bin/busybox
$b ln -s busybox /bin/sh
$b mount -t proc proc /proc
$b mount -t sysfs sysfs /sys
$b mount -t devtmpfs devtmpfs /dev
while read m; do $b insmod /modules/$m.ko || echo "no module $m"; done </modules/order
for d in /sys/block/vd*; do echo "disk ${d##*/} $($b cat $d/serial)"; done
echo "uuid $($b cat /sys/class/dmi/id/product_uuid)"
$b acpid -f -l /acpid.log -c /etc/acpi &
echo "guest-ready"
while read line; do eval "$line"; done
)init";

fs::path assets() {
  const char* cache = std::getenv("COCOON_CACHE");
  return fs::path(cache == nullptr ? "/var/cache/cocoon-dev" : cache) / "assets" / "kernel";
}

// The first entry of a directory, by name; empty when there is none.
fs::path first_in(const fs::path& dir, std::string_view prefix) {
  auto names = sys::list_dir(dir);
  if (!names) return {};
  for (const std::string& name : *names) {
    if (name.starts_with(prefix)) return dir / name;
  }
  return {};
}

std::map<std::string, fs::path> find_modules(const fs::path& root) {
  std::map<std::string, fs::path> found;
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    if (entry.path().extension() == ".ko") found[entry.path().stem()] = entry.path();
  }
  return found;
}

std::string content(const fs::path& path) {
  auto text = sys::read_file(path, std::size_t{64} << 20);
  EXPECT_TRUE(text) << text.error().to_string();
  return text.value_or("");
}

std::string make_initramfs(const fs::path& modules) {
  CpioArchive archive;
  for (const char* dir : {"bin", "dev", "proc", "sys", "modules", "etc", "etc/acpi"}) {
    archive.add_directory(dir, 0755);
  }
  archive.add_char_device("dev/console", 0600, 5, 1);
  archive.add_file("bin/busybox", 0755, content(kBusybox));
  archive.add_file("init", 0755, kInit);
  archive.add_directory("etc/acpi/PWRF", 0755);
  archive.add_file("etc/acpi/PWRF/00000080", 0755, "#!/bin/busybox sh\n/bin/busybox poweroff -f\n");
  auto found = find_modules(modules);
  std::string order;
  for (const char* name : kModules) {
    auto at = found.find(name);
    if (at == found.end()) continue;  // built in
    order += std::string(name) + "\n";
    archive.add_file(fmt::format("modules/{}.ko", name), 0644, content(at->second));
  }
  archive.add_file("modules/order", 0644, order);
  return archive.finish();
}

}  // namespace

void QemuVm::SetUp() {
  if (geteuid() != 0) GTEST_SKIP() << "needs root, to run QEMU as somebody else";
  model::Config config;
  auto top = sys::TempDir::create(fs::temp_directory_path(), "vmm-");
  ASSERT_TRUE(top) << top.error().to_string();
  top_.emplace(std::move(*top));
  config.run_dir = top_->path();
  auto backend = make_backend("qemu", config);
  ASSERT_TRUE(backend) << backend.error().to_string();
  backend_ = std::move(*backend);
  if (auto able = backend_->capabilities(); !able) GTEST_SKIP() << able.error().to_string();
  fs::path kernel = first_in(assets() / "boot", "vmlinuz-");
  fs::path modules = first_in(assets() / "lib/modules", "");
  if (kernel.empty() || modules.empty()) {
    GTEST_SKIP() << "no guest kernel below " << assets() << "; scripts/test-assets makes it";
  }
  if (!sys::exists(kBusybox)) GTEST_SKIP() << "no " << kBusybox;
  place_files(kernel, modules);
}

void QemuVm::place_files(const fs::path& kernel, const fs::path& modules) {
  // TempDir is 0700 and root's: the VMM's uid cannot walk into its own directory by path.
  dir_ = top_->path() / "vm";
  memory_ = fs::path("/dev/shm") / ("cocoon-vmm-test-" + std::to_string(getpid()));
  ASSERT_TRUE(sys::make_dirs(dir_, 0750));
  ASSERT_TRUE(sys::set_owner(dir_, 0, kUid, 0750));
  ASSERT_TRUE(sys::make_dirs(dir_ / "sock", 0700));
  ASSERT_TRUE(sys::set_owner(dir_ / "sock", kUid, kUid, 0700));
  ASSERT_TRUE(sys::write_file_atomic(dir_ / "kernel", content(kernel), 0444));
  ASSERT_TRUE(sys::write_file_atomic(dir_ / "initrd", make_initramfs(modules), 0444));
  fs::create_symlink(memory_, dir_ / "memory");
  vm_ = sample_vm();
  vm_.disks = {layer(0), cow(), data("db")};
  make_disk("layer0.erofs", false);
  make_disk("cow.raw", true);
  make_disk("data-db.raw", true);
  auto fd = sys::open_dir(dir_);
  ASSERT_TRUE(fd) << fd.error().to_string();
  dir_fd_ = std::move(*fd);
  auto plan = backend_->plan_devices(vm_);
  ASSERT_TRUE(plan) << plan.error().to_string();
  vm_.device_plan = std::move(*plan);
}

void QemuVm::make_disk(const std::string& name, bool writable) {
  ASSERT_TRUE(sys::create_sparse_file(dir_ / name, 1 << 20, 0600));
  auto owner = writable ? sys::set_owner(dir_ / name, kUid, kUid, 0600)
                        : sys::set_owner(dir_ / name, 0, 0, 0444);
  ASSERT_TRUE(owner) << owner.error().to_string();
}

void QemuVm::TearDown() {
  process_.reset();
  ignore(sys::remove_file(memory_), "end of the test");
  if (HasFailure()) {
    std::cerr << "---- console\n" << console_ << "\n---- vmm.log\n" << vmm_log() << "\n";
  }
}

void QemuVm::start(Launch launch) {
  for (const std::string& socket : launch.sockets) ASSERT_TRUE(sys::remove_file(dir_ / socket));
  ASSERT_TRUE(sys::remove_file(memory_));
  ASSERT_TRUE(sys::create_sparse_file(memory_, launch.memory_file_bytes, 0600));
  ASSERT_TRUE(sys::set_owner(memory_, kUid, kUid, 0600));
  auto in = sys::make_pipe();
  auto out = sys::make_pipe();
  auto log = sys::open_file(top_->path() / "vmm.log", O_WRONLY | O_CREAT | O_APPEND, 0600);
  ASSERT_TRUE(in && out && log);
  sys::SpawnSpec spec;
  spec.program = launch.program;
  spec.args = launch.args;
  spec.env = launch.env;
  spec.cwd = dir_;
  spec.new_session = true;
  spec.user = {kUid, kUid};
  spec.fds = {{in->read_end.get(), 0}, {out->write_end.get(), 1}, {log->get(), 2}};
  auto child = sys::spawn(spec);
  ASSERT_TRUE(child) << child.error().to_string();
  process_.emplace(std::move(*child));
  input_ = std::move(in->write_end);
  output_ = std::move(out->read_end);
  auto handle = sys::LiveProcess::open(
      {process_->pid(), sys::process_start_time(process_->pid()).value_or(0)});
  ASSERT_TRUE(handle && *handle);
  handle_.emplace(std::move(**handle));
}

void QemuVm::boot() {
  auto launch = backend_->plan_launch(vm_, Accel::kTcg);
  ASSERT_TRUE(launch) << launch.error().to_string();
  start(*launch);
  auto started = backend_->finish_start(*launch, running(), deadline_in(Milliseconds(20'000)));
  ASSERT_TRUE(started) << started.error().to_string();
}

bool QemuVm::console_shows(std::string_view text, Milliseconds limit) {
  Deadline deadline = deadline_in(limit);
  std::array<char, 4096> chunk{};
  while (console_.find(text) == std::string::npos) {
    auto ready = sys::wait_readable(output_.get(), static_cast<int>(time_left(deadline).count()));
    if (!ready || !*ready) return false;
    ssize_t got = read(output_.get(), chunk.data(), chunk.size());
    if (got <= 0) return false;
    console_.append(chunk.data(), static_cast<std::size_t>(got));
  }
  return true;
}

void QemuVm::type(std::string_view text) { ASSERT_TRUE(sys::write_all(input_.get(), text)); }

std::string QemuVm::vmm_log() const { return sys::read_tail(top_->path() / "vmm.log", 16384); }

RunningVmm QemuVm::running() const {
  RunningVmm vmm;
  vmm.vm_dir = dir_fd_.get();
  vmm.process = {process_->pid(), sys::process_start_time(process_->pid()).value_or(0)};
  vmm.handle = &*handle_;
  vmm.log = top_->path() / "vmm.log";
  return vmm;
}

}  // namespace cocoon::vmm::test
