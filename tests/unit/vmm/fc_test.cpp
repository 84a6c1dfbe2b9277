// SPDX-License-Identifier: Apache-2.0
#include <elf.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <functional>

#include <gtest/gtest.h>

#include "unit/vmm/sample_vm.h"
#include "vmm/firecracker/backend.h"
#include "vmm/firecracker/host.h"
#include "vmm/firecracker/payload.h"
#include "vmm/firecracker/plan.h"
#include "vmm/firecracker/version.h"

namespace cocoon::vmm::firecracker {
namespace {

using nlohmann::json;

Launch launch_of(const model::Vm& vm, HostFacts host = {}) {
  auto plan = make_plan(vm);
  EXPECT_TRUE(plan) << plan.error().to_string();
  auto launch = render_launch(vm, *plan, host);
  EXPECT_TRUE(launch) << launch.error().to_string();
  return *launch;
}

json body_of(const Launch& launch, std::string_view path) {
  for (const ApiCall& call : launch.calls) {
    if (call.path == path) return json::parse(call.body.dump());
  }
  ADD_FAILURE() << "no call of " << path;
  return nullptr;
}

TEST(FirecrackerPlan, DrivesInAttachOrder) {
  model::Vm vm = test::sample_vm();
  vm.disks.push_back(test::data("db"));
  auto plan = make_plan(vm);
  ASSERT_TRUE(plan) << plan.error().to_string();
  ASSERT_EQ(plan->drives.size(), vm.disks.size());
  EXPECT_EQ(plan->drives[0], (DrivePlan{"layer0.erofs", "drive_0"}));
  EXPECT_EQ(plan->drives.back(), (DrivePlan{vm.disks.back().path, "drive_4"}));
  auto again = parse_plan(json::parse(plan_to_json(*plan).dump()));
  ASSERT_TRUE(again) << again.error().to_string();
  EXPECT_EQ(*again, *plan);
}

TEST(FirecrackerPlan, ChangesOnlyWhatChanged) {
  model::Vm vm = test::sample_vm();
  vm.disks.push_back(test::data("a"));
  vm.disks.push_back(test::data("b"));
  auto plan = make_plan(vm);
  ASSERT_TRUE(plan);
  vm.disks.erase(vm.disks.begin() + 4);
  vm.disks.push_back(test::data("c"));
  auto after = replan_disks(*plan, vm);
  ASSERT_TRUE(after) << after.error().to_string();
  EXPECT_EQ(after->drives[4], (DrivePlan{"data-b.raw", "drive_5"}));
  EXPECT_EQ(after->drives[5], (DrivePlan{"data-c.raw", "drive_4"}));
  while (vm.disks.size() <= kMaxDisks) {
    vm.disks.push_back(test::data(fmt::format("d{}", vm.disks.size())));
  }
  EXPECT_EQ(replan_disks(*plan, vm).error().kind, ErrorKind::kUnsupported);
}

TEST(FirecrackerPlan, CountsAllDevicesBeforeAnythingIsMade) {
  model::Vm vm = test::sample_vm();
  vm.disks.clear();
  for (std::size_t i = 0; i < kMaxDisks; ++i) vm.disks.push_back(test::layer(static_cast<int>(i)));
  EXPECT_TRUE(make_plan(vm));
  vm.disks.push_back(test::cow());
  auto over = make_plan(vm);
  ASSERT_FALSE(over);
  EXPECT_EQ(over.error().kind, ErrorKind::kUnsupported);
  EXPECT_EQ(
      over.error().cause,
      "15 disks, but a Firecracker guest has places for 14 (17 virtio devices in all, 3 of them "
      "fixed)");
}

TEST(FirecrackerPlan, RefusesWhatFirecrackerCannotDo) {
  struct Case {
    std::function<void(model::Vm&)> change;
    ErrorKind kind;
    const char* says;
  };
  for (const Case& test : {
           Case{[](model::Vm& vm) { vm.config.cpu = 33; }, ErrorKind::kUnsupported, "1 to 32"},
           Case{[](model::Vm& vm) { vm.boot.firmware = "firmware.fd"; }, ErrorKind::kUnsupported,
                "capability uefi"},
           Case{[](model::Vm& vm) { vm.config.windows = true; }, ErrorKind::kUnsupported,
                "capability uefi"},
           Case{[](model::Vm& vm) { vm.disks[0].backing = "base.raw"; }, ErrorKind::kUnsupported,
                "capability qcow2"},
           Case{[](model::Vm& vm) { vm.memory_backing = "file"; }, ErrorKind::kUnsupported,
                "--memory-backing"},
           Case{[](model::Vm& vm) { vm.config.memory += 4096; }, ErrorKind::kInvalid, "1 MiB"},
           Case{[](model::Vm& vm) { vm.disks[1].path = vm.disks[0].path; }, ErrorKind::kInvalid,
                "one name"},
       }) {
    model::Vm vm = test::sample_vm();
    test.change(vm);
    auto plan = make_plan(vm);
    ASSERT_FALSE(plan) << test.says;
    EXPECT_EQ(plan.error().kind, test.kind) << test.says;
    EXPECT_NE(plan.error().to_string().find(test.says), std::string::npos)
        << plan.error().to_string();
  }
}

TEST(FirecrackerPlan, NicsCountAsDevicesAndComeAfterTheDrives) {
  model::Vm vm = test::sample_vm();
  vm.nics = {test::nic(0), test::nic(1)};
  auto plan = make_plan(vm);
  ASSERT_TRUE(plan) << plan.error().to_string();
  auto stored = plan_to_json(*plan);
  EXPECT_EQ(stored["format"], 2);
  EXPECT_EQ(*parse_plan(stored), *plan);
  auto launch = render_launch(vm, *plan, {false});
  ASSERT_TRUE(launch) << launch.error().to_string();
  std::vector<std::string> nics;
  for (const ApiCall& call : launch->calls) {
    if (call.path.starts_with("/network-interfaces/")) nics.push_back(call.body.dump());
  }
  EXPECT_EQ(nics,
            (std::vector<std::string>{
                R"({"iface_id":"eth0","host_dev_name":"tap0","guest_mac":"0a:58:0a:58:00:0c"})",
                R"({"iface_id":"eth1","host_dev_name":"tap1","guest_mac":"0a:58:0a:58:00:0d"})"}));
  vm.nics[1].num_queues = 4;
  EXPECT_EQ(make_plan(vm).error().kind, ErrorKind::kUnsupported);
  vm.nics.pop_back();
  EXPECT_EQ(replan_nics(*plan, vm)->nics, 1U);
  EXPECT_EQ(render_launch(vm, *plan, {false}).error().kind, ErrorKind::kCorrupt);
  while (vm.disks.size() < kMaxDisks) {
    vm.disks.push_back(test::data(fmt::format("d{}", vm.disks.size())));
  }
  auto over = make_plan(vm);
  ASSERT_FALSE(over);
  EXPECT_EQ(over.error().cause.substr(0, 24), "14 disks and 1 NICs, but");
}

TEST(FirecrackerPlan, HostileJsonIsCorrupt) {
  json good = plan_to_json(*make_plan(test::sample_vm()));
  for (const auto& change : std::vector<std::function<void(json&)>>{
           [](json& plan) { plan["backend"] = "qemu"; },
           [](json& plan) { plan["format"] = 3; },
           [](json& plan) { plan["nics"] = -1; },
           [](json& plan) { plan["nics"] = 9; },
           [](json& plan) { plan["vcpus"] = 0; },
           [](json& plan) { plan["vcpus"] = 33; },
           [](json& plan) { plan["memory"] = -1; },
           [](json& plan) { plan["drives"] = 3; },
           [](json& plan) { plan["drives"][0]["path"] = "../etc/passwd"; },
           [](json& plan) { plan["drives"][0]["path"] = ""; },
           [](json& plan) { plan["drives"][0]["id"] = "a/b"; },
           [](json& plan) { plan["drives"][1]["id"] = "drive_0"; },
           [](json& plan) {
             while (plan["drives"].size() <= kMaxDisks) {
               std::string name = "d" + std::to_string(plan["drives"].size());
               plan["drives"].push_back({{"path", name}, {"id", name}});
             }
           },
       }) {
    json plan = good;
    change(plan);
    auto parsed = parse_plan(plan);
    ASSERT_FALSE(parsed) << plan.dump();
    EXPECT_EQ(parsed.error().kind, ErrorKind::kCorrupt);
  }
}

TEST(FirecrackerLaunch, SaysEverythingInItsOrder) {
  model::Vm vm = test::sample_vm();
  Launch launch = launch_of(vm);
  EXPECT_EQ(launch.args,
            (std::vector<std::string>{"--id", vm.id, "--api-sock", "sock/api", "--log-path",
                                      "/proc/self/fd/2", "--level", "Warning"}));
  std::vector<std::string> paths;
  for (const ApiCall& call : launch.calls) {
    EXPECT_EQ(call.method, "PUT");
    paths.push_back(call.path);
  }
  EXPECT_EQ(paths,
            (std::vector<std::string>{"/machine-config", "/boot-source", "/drives/drive_0",
                                      "/drives/drive_1", "/drives/drive_2", "/drives/drive_3",
                                      "/balloon", "/entropy", "/vsock", "/actions"}));
  EXPECT_EQ(body_of(launch, "/balloon"),
            (json{{"amount_mib", 0}, {"deflate_on_oom", true}, {"free_page_reporting", true}}));
  EXPECT_EQ(body_of(launch, "/vsock"), (json{{"guest_cid", 3}, {"uds_path", "sock/vsock"}}));
  EXPECT_EQ(body_of(launch, "/machine-config"), (json{{"vcpu_count", vm.config.cpu},
                                                      {"mem_size_mib", vm.config.memory >> 20},
                                                      {"huge_pages", "None"}}));
  EXPECT_EQ(launch.sockets, (std::vector<std::string>{"sock/api", "sock/vsock"}));
  EXPECT_EQ(launch.memory_file_bytes, 0);
  EXPECT_TRUE(launch.ends_by_reboot);
}

TEST(FirecrackerLaunch, SeesNothingButItsDirectoryAndDevices) {
  Launch launch = launch_of(test::sample_vm());
  EXPECT_TRUE(launch.private_root);
  const std::vector<std::string> devices{"/dev/kvm", "/dev/net/tun", "/dev/urandom"};
  EXPECT_EQ(launch.shown, devices);
  launch = launch_of(test::sample_vm(), {.needs_loader = true});
  ASSERT_GT(launch.shown.size(), devices.size());
  EXPECT_TRUE(std::equal(devices.begin(), devices.end(), launch.shown.begin()));
  for (std::size_t i = devices.size(); i < launch.shown.size(); ++i) {
    EXPECT_NE(launch.shown[i].find("/l"), std::string::npos) << "libraries: " << launch.shown[i];
  }
}

TEST(FirecrackerLaunch, WritableDisksAreLockedAndFlushed) {
  model::Vm vm = test::sample_vm();
  vm.disks.push_back(test::data("db"));
  Launch launch = launch_of(vm, {.async_io = true});
  EXPECT_EQ(launch.lock_files, (std::vector<std::string>{"cow.raw", vm.disks.back().path}));
  json layer = body_of(launch, "/drives/drive_0");
  EXPECT_EQ(layer["is_read_only"], true);
  EXPECT_FALSE(layer.contains("io_engine"));
  for (const ApiCall& call : launch.calls) {
    if (!call.path.starts_with("/drives/") || call.body["is_read_only"]) continue;
    EXPECT_EQ(call.body["cache_type"], "Writeback");
    EXPECT_EQ(call.body["io_engine"], "Async");
  }
  EXPECT_EQ(body_of(launch_of(vm), "/drives/drive_4")["io_engine"], "Sync");
}

TEST(FirecrackerLaunch, NamesAreRelative) {
  Launch launch = launch_of(test::sample_vm());
  for (const ApiCall& call : launch.calls) {
    for (const char* key : {"path_on_host", "kernel_image_path", "initrd_path", "uds_path"}) {
      bool absolute = call.body.contains(key) && call.body[key].get<std::string>().starts_with("/");
      EXPECT_FALSE(absolute) << key;
    }
  }
}

TEST(FirecrackerLaunch, RecordAndPlanMustFit) {
  model::Vm vm = test::sample_vm();
  auto plan = make_plan(vm);
  vm.disks[0].path = "other";
  EXPECT_EQ(render_launch(vm, *plan, {}).error().kind, ErrorKind::kCorrupt);
  vm.disks.pop_back();
  EXPECT_EQ(render_launch(vm, *plan, {}).error().kind, ErrorKind::kCorrupt);
}

TEST(FirecrackerBootArgs, BootKitAndImageKernels) {
  model::Vm vm = test::sample_vm();
  vm.boot.boot_kit = true;
  EXPECT_EQ(*render_boot_args(vm),
            "console=ttyS0 quiet panic=-1 reboot=k i8042.noaux 8250.nr_uarts=1");
  vm.boot.boot_kit = false;
  auto line = render_boot_args(vm);
  ASSERT_TRUE(line) << line.error().to_string();
  // sample_vm: two layers, the root disk, the module tree.
  EXPECT_EQ(*line,
            "console=ttyS0 loglevel=3 boot=cocoon-overlay cocoon.layers=/dev/vdb,/dev/vda "
            "cocoon.cow=/dev/vdc clocksource=kvm-clock rw cocoon.hostname=web reboot=k i8042.noaux "
            "8250.nr_uarts=1");
  vm.boot.cmdline = std::string(1500, 'x');
  EXPECT_EQ(render_boot_args(vm).error().kind, ErrorKind::kInvalid);
}

TEST(FirecrackerVersion, DecidesWhatItCanDo) {
  EXPECT_EQ(*parse_version("Firecracker v1.16.1"), (Version{1, 16, 1}));
  EXPECT_FALSE(parse_version("cloud-hypervisor v53.0"));
  auto able = capabilities_of({1, 16, 1});
  ASSERT_TRUE(able);
  EXPECT_TRUE(able->needs_vmlinux);
  EXPECT_TRUE(able->needs_kvm);
  EXPECT_TRUE(able->ends_by_reboot);
  EXPECT_FALSE(able->uefi || able->qcow2 || able->windows || able->disk_serials);
  EXPECT_FALSE(able->per_disk_direct_io || able->queue_sizes || able->reboot_in_place ||
               able->hotplug);
  EXPECT_EQ(able->max_disks, 14);
  EXPECT_EQ(able->max_cpus, 32);
  EXPECT_EQ(able->graceful_stop, GracefulStop::kCtrlAltDel);
  EXPECT_FALSE(capabilities_of({1, 17, 0})->needs_vmlinux);
  EXPECT_TRUE(capabilities_of({1, 17, 0})->prefers_vmlinux);
}

TEST(FirecrackerHost, UnprivilegedIoUring) {
  EXPECT_TRUE(allows_io_uring("6.1.0-18-cloud-amd64", ""));
  EXPECT_TRUE(allows_io_uring("6.6.12", "0\n"));
  EXPECT_TRUE(allows_io_uring("5.12.0", ""));
  EXPECT_FALSE(allows_io_uring("6.6.12", "1\n"));
  EXPECT_FALSE(allows_io_uring("6.6.12", "2\n"));
  EXPECT_FALSE(allows_io_uring("5.10.200", ""));
  EXPECT_FALSE(allows_io_uring("5.4", ""));
  EXPECT_FALSE(allows_io_uring("4.19.0", ""));
  EXPECT_FALSE(allows_io_uring("", ""));
  EXPECT_FALSE(allows_io_uring("six.one", ""));
}

// A program of 64-bit ELF with these program headers.
std::string elf_head(const std::vector<Elf64_Word>& parts) {
  Elf64_Ehdr file{};
  std::memcpy(file.e_ident, ELFMAG, SELFMAG);
  file.e_ident[EI_CLASS] = ELFCLASS64;
  file.e_phoff = sizeof file;
  file.e_phentsize = sizeof(Elf64_Phdr);
  file.e_phnum = static_cast<Elf64_Half>(parts.size());
  std::string head(sizeof file + parts.size() * sizeof(Elf64_Phdr), '\0');
  std::memcpy(head.data(), &file, sizeof file);
  for (std::size_t i = 0; i < parts.size(); ++i) {
    std::memcpy(head.data() + sizeof file + i * sizeof(Elf64_Phdr), &parts[i], sizeof parts[i]);
  }
  return head;
}

TEST(FirecrackerHost, ProgramsAndTheirLoader) {
  EXPECT_FALSE(needs_loader(elf_head({PT_LOAD, PT_DYNAMIC, PT_TLS})));
  std::string head = elf_head({PT_LOAD, PT_INTERP});
  EXPECT_TRUE(needs_loader(head));
  for (std::size_t size = 0; size < head.size(); ++size) {
    EXPECT_FALSE(needs_loader(std::string_view(head).substr(0, size))) << size;
  }
  Elf64_Off far = ~Elf64_Off{0};
  std::memcpy(head.data() + offsetof(Elf64_Ehdr, e_phoff), &far, sizeof far);
  EXPECT_FALSE(needs_loader(head));
  EXPECT_FALSE(needs_loader("#!/bin/sh\nexec firecracker \"$@\"\n"));
  std::string narrow = elf_head({PT_INTERP});
  narrow[EI_CLASS] = ELFCLASS32;
  EXPECT_FALSE(needs_loader(narrow));
  EXPECT_FALSE(look_at_host("/nonexistent/firecracker").needs_loader);
}

TEST(FirecrackerStatus, ReadsWhatItSays) {
  auto status = parse_status({{"id", "x"}, {"state", "Running"}});
  ASSERT_TRUE(status);
  EXPECT_TRUE(status->running);
  EXPECT_FALSE(status->paused);
  EXPECT_TRUE(parse_status({{"state", "Paused"}})->paused);
  EXPECT_FALSE(parse_status({{"state", "Not started"}})->running);
  for (const json& bad : {json(nullptr), json::array(), json{{"state", 3}}, json::object()}) {
    EXPECT_EQ(parse_status(bad).error().kind, ErrorKind::kCorrupt) << bad.dump();
  }
}

}  // namespace
}  // namespace cocoon::vmm::firecracker
