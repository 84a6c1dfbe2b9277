// SPDX-License-Identifier: Apache-2.0
#include "sys/kvm_probe.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <iostream>

#include <gtest/gtest.h>

#include "sys/files.h"

namespace cocoon::sys {
namespace {

TEST(KvmProbe, DecidesOnThisMachineWithinItsBounds) {
  if (!exists("/dev/kvm")) GTEST_SKIP() << "no /dev/kvm";
  KvmProbeRequest request;
  auto start = std::chrono::steady_clock::now();
  auto probe = probe_kvm(request);
  auto took = std::chrono::steady_clock::now() - start;
  ASSERT_TRUE(probe) << probe.error().to_string();
  EXPECT_LT(took, request.first + request.second + 2 * request.grace + Milliseconds(1000));
  EXPECT_EQ(probe->usable, probe->reason.empty()) << probe->reason;
  EXPECT_EQ(probe->usable, probe->iterations_per_second > 1e6);
  RecordProperty("answer", probe->usable ? "usable" : probe->reason);
  std::cout << "KVM: "
            << (probe->usable ? fmt::format("{:.0f} M/s", probe->iterations_per_second / 1e6)
                              : probe->reason)
            << ", " << std::chrono::duration_cast<std::chrono::microseconds>(took).count()
            << " us\n";
}

TEST(KvmProbe, HasTheRightsOfTheVmmAndNotOurs) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root, to drop its rights";
  auto dir = TempDir::create(fs::temp_directory_path(), "kvm-");
  ASSERT_TRUE(dir);
  fs::permissions(dir->path(), fs::perms(0711));
  KvmProbeRequest request;
  request.device = dir->path() / "kvm";
  ASSERT_TRUE(write_file_atomic(request.device, "", 0600));
  auto ours = probe_kvm(request);
  ASSERT_TRUE(ours);
  EXPECT_NE(ours->reason.find("API version"), std::string::npos) << ours->reason;
  request.user = ProbeUser{65534, 65534, {}};
  auto theirs = probe_kvm(request);
  ASSERT_TRUE(theirs);
  EXPECT_NE(theirs->reason.find("cannot be opened: Permission denied"), std::string::npos)
      << theirs->reason;
  // A supplementary group opens it.
  constexpr gid_t kGroup = 4242;
  ASSERT_TRUE(set_owner(request.device, 0, kGroup, 0660));
  request.user->groups = {kGroup};
  auto grouped = probe_kvm(request);
  ASSERT_TRUE(grouped);
  EXPECT_NE(grouped->reason.find("API version"), std::string::npos) << grouped->reason;
}

TEST(KvmProbe, IsNotHeldUpByADeviceThatHangs) {
  auto dir = TempDir::create(fs::temp_directory_path(), "kvm-");
  ASSERT_TRUE(dir);
  KvmProbeRequest request;
  request.device = dir->path() / "kvm";
  // Opening a file that is under a lease waits for its holder.
  auto holder = open_file(request.device, O_RDWR | O_CREAT, 0600);
  ASSERT_TRUE(holder);
  signal(SIGIO, SIG_IGN);
  ASSERT_EQ(fcntl(holder->get(), F_SETLEASE, F_WRLCK), 0);
  request.first = request.second = request.grace = Milliseconds(20);
  auto start = std::chrono::steady_clock::now();
  auto probe = probe_kvm(request);
  auto took = std::chrono::steady_clock::now() - start;
  ASSERT_TRUE(probe) << probe.error().to_string();
  EXPECT_NE(probe->reason.find("hangs guests"), std::string::npos) << probe->reason;
  EXPECT_GE(took, Milliseconds(80));
  EXPECT_LT(took, Milliseconds(5000));
}

TEST(KvmProbe, LeavesNoChildBehind) {
  KvmProbeRequest request;
  request.device = "/nonexistent";
  ASSERT_TRUE(probe_kvm(request));
  EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1);
  EXPECT_EQ(errno, ECHILD);
}

}  // namespace
}  // namespace cocoon::sys
