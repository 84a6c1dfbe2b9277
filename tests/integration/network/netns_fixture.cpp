// SPDX-License-Identifier: Apache-2.0
#include "integration/network/netns_fixture.h"

#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/text.h"
#include "sys/spawn.h"

namespace cocoon::network::test {
namespace {

// Once a process: gone with it.
std::string make_private_host() {
  if (geteuid() != 0) return "not root";
  if (unshare(CLONE_NEWNET | CLONE_NEWNS) != 0) return "no namespaces here";
  if (mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return "mounts stay shared";
  for (const char* dir : {"/run/netns", "/run/cocoon", "/var/lib/cni"}) {
    std::filesystem::create_directories(dir);
    if (mount("tmpfs", dir, "tmpfs", 0, "mode=0755") != 0) return "no tmpfs";
  }
  if (!sys::find_program("ip") || !sys::find_program("tc")) return "no iproute2";
  if (access("/dev/net/tun", F_OK) != 0) return "no /dev/net/tun";
  return {};
}

}  // namespace

void PrivateHost::SetUp() {
  static const std::string reason = make_private_host();
  if (!reason.empty()) GTEST_SKIP() << "needs a network of its own: " << reason;
  auto made = sys::TempDir::create(::testing::TempDir(), "network-");
  ASSERT_TRUE(made);
  dir_.emplace(std::move(*made));
}

void PrivateHost::TearDown() {
  for (const char* vm : {kVm, kOtherVm}) {
    EXPECT_TRUE(remove_netns({owner_.install_id, vm}));
  }
}

std::string PrivateHost::run(const std::string& program, std::vector<std::string> args) {
  sys::SpawnSpec spec;
  spec.program = program;
  spec.args = std::move(args);
  auto out = sys::run_program(std::move(spec), Milliseconds(20'000));
  EXPECT_TRUE(out) << out.error().to_string();
  return out.value_or("");
}

std::string PrivateHost::run_in(const std::string& vm, const std::string& program,
                                std::vector<std::string> args) {
  std::vector<std::string> all{"netns", "exec", "cocoon-" + vm, program};
  all.insert(all.end(), args.begin(), args.end());
  return run("ip", std::move(all));
}

std::string PrivateHost::sh(const std::string& vm, const std::string& words) {
  auto parts = split(words, ' ');
  std::vector<std::string> args(parts.begin() + 1, parts.end());
  std::string program(parts.front());
  return vm.empty() ? run(program, args) : run_in(vm, program, args);
}

}  // namespace cocoon::network::test
