// SPDX-License-Identifier: Apache-2.0
#include "sys/kvm_probe.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/kvm.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>

#include "sys/fd.h"

namespace cocoon::sys {
namespace {

enum class Step : int {
  kRights,
  kOpen,
  kVersion,
  kCreateVm,
  kMemory,
  kCreateVcpu,
  kCpuid,
  kRegisters,
  kRun,
  kDone,  // KVM_RUN came back; the other fields say how
};

// What the child tells: one fixed-size write to a pipe.
struct Report {
  Step step = Step::kRights;
  int error = 0;
  std::uint32_t exit_reason = 0;
  std::uint32_t marker = 0;
  std::uint64_t counter = 0;
  std::int64_t nanoseconds = 0;
};

constexpr std::uint64_t kIterations = 1'000'000;
constexpr std::size_t kMemorySize = std::size_t{2} << 20;
constexpr std::uint64_t kCodeAddress = 0x8000;
constexpr std::uint64_t kMarkerAddress = 0x9000;
constexpr std::uint32_t kMarker = 0x42;
constexpr std::uint64_t kTssAddress = 0xfffbd000;
// dec rcx; jnz -5; mov eax, 0x42; mov [0x9000], eax; hlt
constexpr std::array<unsigned char, 18> kCode = {0x48, 0xff, 0xc9, 0x75, 0xfb, 0xb8,
                                                 0x42, 0x00, 0x00, 0x00, 0x89, 0x04,
                                                 0x25, 0x00, 0x90, 0x00, 0x00, 0xf4};

// Everything up to run_child runs between fork and _exit: system calls only.

kvm_run* volatile g_run = nullptr;

void on_alarm(int) {
  if (g_run != nullptr) g_run->immediate_exit = 1;
}

bool set_up_memory(int vm, unsigned char* memory) {
  auto put64 = [memory](std::size_t at, std::uint64_t value) {
    std::memcpy(memory + at, &value, sizeof value);
  };
  put64(0x1000, 0x2007);  // PML4 -> PDPT
  put64(0x2000, 0x3007);  // PDPT -> PD
  put64(0x3000, 0x87);    // PD: one 2 MiB page
  std::memcpy(memory + kCodeAddress, kCode.data(), kCode.size());
  kvm_userspace_memory_region region{};
  region.memory_size = kMemorySize;
  region.userspace_addr = reinterpret_cast<std::uintptr_t>(memory);
  return ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region) == 0;
}

kvm_segment segment(std::uint16_t selector, std::uint8_t type, bool code) {
  kvm_segment out{};
  out.limit = 0xffffffff;
  out.selector = selector;
  out.type = type;
  out.s = 1;
  out.present = 1;
  out.g = 1;
  out.l = code ? 1 : 0;
  out.db = code ? 0 : 1;
  return out;
}

bool set_up_registers(int vcpu) {
  kvm_sregs sregs{};
  if (ioctl(vcpu, KVM_GET_SREGS, &sregs) != 0) return false;
  sregs.cr3 = 0x1000;
  sregs.cr4 = 0x20;
  sregs.cr0 = 0x80050033;
  sregs.efer = 0x500;
  sregs.cs = segment(8, 11, true);
  sregs.ds = sregs.es = sregs.ss = sregs.fs = sregs.gs = segment(16, 3, false);
  if (ioctl(vcpu, KVM_SET_SREGS, &sregs) != 0) return false;
  kvm_regs regs{};
  regs.rip = kCodeAddress;
  regs.rsp = 0x7000;
  regs.rflags = 2;
  regs.rcx = kIterations;
  return ioctl(vcpu, KVM_SET_REGS, &regs) == 0;
}

// <linux/kvm.h> ends kvm_cpuid2 in a flexible array whose C++ form makes the struct larger, and an
// ioctl's number holds the size of its argument. So C++ gets wrong numbers from the header: these
// are the kernel's.
struct CpuidHeader {
  std::uint32_t entries = 0;
  std::uint32_t padding = 0;
};
static_assert(sizeof(CpuidHeader) == 8 && sizeof(kvm_cpuid_entry2) == 40);
constexpr unsigned long kGetSupportedCpuid = _IOWR(KVMIO, 0x05, CpuidHeader);
constexpr unsigned long kSetCpuid2 = _IOW(KVMIO, 0x90, CpuidHeader);

struct CpuidTable {
  CpuidHeader header;
  std::array<kvm_cpuid_entry2, 256> entries{};
};

bool copy_cpuid(int kvm, int vcpu) {
  CpuidTable table;
  table.header.entries = static_cast<std::uint32_t>(table.entries.size());
  return ioctl(kvm, kGetSupportedCpuid, &table) == 0 && ioctl(vcpu, kSetCpuid2, &table) == 0;
}

std::int64_t monotonic_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

void run_guest(int vcpu, const unsigned char* memory, Milliseconds limit, Report& report) {
  struct sigaction action {};
  action.sa_handler = on_alarm;
  sigaction(SIGALRM, &action, nullptr);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  itimerval timer{};
  timer.it_value.tv_sec = limit.count() / 1000;
  timer.it_value.tv_usec = limit.count() % 1000 * 1000;
  std::int64_t start = monotonic_ns();
  setitimer(ITIMER_REAL, &timer, nullptr);
  int status = ioctl(vcpu, KVM_RUN, 0);
  report.error = status == 0 ? 0 : errno;
  report.nanoseconds = monotonic_ns() - start;
  report.exit_reason = g_run->exit_reason;
  std::memcpy(&report.marker, memory + kMarkerAddress, sizeof report.marker);
  kvm_regs regs{};
  if (ioctl(vcpu, KVM_GET_REGS, &regs) == 0) report.counter = regs.rcx;
  report.step = Step::kDone;
}

void work(const char* device, Milliseconds limit, Report& report) {
  auto at = [&report](Step step) {
    report.step = step;
    errno = 0;
  };
  at(Step::kOpen);
  int kvm = open(device, O_RDWR | O_CLOEXEC);
  if (kvm < 0) return;
  at(Step::kVersion);
  if (ioctl(kvm, KVM_GET_API_VERSION, 0) != KVM_API_VERSION) return;
  at(Step::kCreateVm);
  int vm = ioctl(kvm, KVM_CREATE_VM, 0);
  if (vm < 0 || ioctl(vm, KVM_SET_TSS_ADDR, kTssAddress) != 0) return;
  at(Step::kMemory);
  void* memory =
      mmap(nullptr, kMemorySize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return;
  auto* bytes = static_cast<unsigned char*>(memory);
  if (!set_up_memory(vm, bytes)) return;
  at(Step::kCreateVcpu);
  int vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
  int size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
  if (vcpu < 0 || size < static_cast<int>(sizeof(kvm_run))) return;
  void* run =
      mmap(nullptr, static_cast<std::size_t>(size), PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
  if (run == MAP_FAILED) return;
  g_run = static_cast<kvm_run*>(run);
  at(Step::kCpuid);
  if (!copy_cpuid(kvm, vcpu)) return;
  at(Step::kRegisters);
  if (!set_up_registers(vcpu)) return;
  at(Step::kRun);
  run_guest(vcpu, bytes, limit, report);
}

[[noreturn]] void run_child(const char* device, const ProbeUser* user, Milliseconds limit,
                            int report_pipe) {
  // A child stuck in an ioctl outlives even SIGKILL. It must hold no lock and no pipe of ours.
  dup2(report_pipe, 0);
  syscall(SYS_close_range, 1, ~0U, 0);
  Report report;
  bool dropped = user == nullptr || (setgroups(user->groups.size(), user->groups.data()) == 0 &&
                                     setresgid(user->gid, user->gid, user->gid) == 0 &&
                                     setresuid(user->uid, user->uid, user->uid) == 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);  // after the change of rights, which clears it
  report.error = errno;
  if (dropped) {
    work(device, limit, report);
    if (report.step != Step::kDone) report.error = errno;
  }
  _exit(write(0, &report, sizeof report) == sizeof report ? 0 : 1);
}

std::string_view step_text(Step step) {
  switch (step) {
    case Step::kRights:
      return "cannot take the VMM's rights";
    case Step::kOpen:
      return "cannot be opened";
    case Step::kVersion:
      return "has another API version";
    case Step::kCreateVm:
      return "makes no VM";
    case Step::kMemory:
      return "takes no memory";
    case Step::kCreateVcpu:
      return "makes no vCPU";
    case Step::kCpuid:
      return "refuses its own CPUID";
    case Step::kRegisters:
      return "refuses registers";
    case Step::kRun:
    case Step::kDone:
      return "does not run a guest";
  }
  return "";
}

struct Attempt {
  KvmProbe answer;
  bool too_slow = false;  // worth a second try
};

Attempt judge(const Report& report, const KvmProbeRequest& request, Milliseconds limit) {
  const std::string device = request.device.native();
  if (report.step != Step::kDone) {
    std::string cause = report.error == 0 ? "" : fmt::format(": {}", std::strerror(report.error));
    return {{false, fmt::format("{} {}{}", device, step_text(report.step), cause)}, false};
  }
  if (report.error == EINTR) {
    auto done = kIterations - std::min(report.counter, kIterations);
    return {{false, fmt::format("{} is too slow to use: {} of {} loops in {} ms", device, done,
                                kIterations, limit.count())},
            true};
  }
  if (report.error != 0 || report.exit_reason != KVM_EXIT_HLT || report.marker != kMarker ||
      report.counter != 0) {
    std::string how = report.error != 0 ? std::strerror(report.error)
                                        : fmt::format("exit reason {}", report.exit_reason);
    return {{false, fmt::format("{} does not run a guest: {}", device, how)}, false};
  }
  auto seconds = static_cast<double>(std::max<std::int64_t>(report.nanoseconds, 1)) / 1e9;
  return {{true, "", static_cast<double>(kIterations) / seconds}, false};
}

// Ends the child if it still lives. One that does not die is left to init.
void put_away(pid_t pid, int pidfd) {
  kill(pid, SIGKILL);
  ignore(wait_readable(pidfd, 100), "an unkillable child is left to init");
  waitpid(pid, nullptr, WNOHANG);
}

Result<Attempt> attempt(const KvmProbeRequest& request, Milliseconds limit) {
  Pipe pipe = COCOON_TRY(make_pipe());
  const ProbeUser* user = request.user ? &*request.user : nullptr;
  const char* device = request.device.c_str();
  pid_t pid = fork();
  if (pid < 0) return fail_errno("fork");
  if (pid == 0) run_child(device, user, limit, pipe.write_end.get());
  UniqueFd pidfd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  pipe.write_end.reset();
  auto wait = static_cast<int>((limit + request.grace).count());
  auto readable = wait_readable(pipe.read_end.get(), wait);
  Report report;
  bool complete =
      readable && *readable && read(pipe.read_end.get(), &report, sizeof report) == sizeof report;
  put_away(pid, pidfd.get());
  if (!readable) return pass(readable.error(), "wait for the KVM probe");
  if (complete) return judge(report, request, limit);
  std::string_view how = *readable ? "ends the process that runs a guest" : "hangs guests";
  return Attempt{{false, fmt::format("{} {}", request.device.native(), how)}, !*readable};
}

}  // namespace

Result<KvmProbe> probe_kvm(const KvmProbeRequest& request) {
  Attempt first = COCOON_TRY(attempt(request, request.first), "probe {}", request.device.native());
  if (!first.too_slow) return std::move(first.answer);
  Attempt second =
      COCOON_TRY(attempt(request, request.second), "probe {}", request.device.native());
  return std::move(second.answer);
}

}  // namespace cocoon::sys
