// SPDX-License-Identifier: Apache-2.0
#include "shim/launch_child.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shim/files.h"
#include "shim/private_root.h"
#include "shim/rights.h"

namespace cocoon::shim {
namespace {

// Descriptors of the VMM: 0 and 1 the console's slave, 2 vmm.log, 3 the console's master. Two more
// live until exec closes them.
constexpr int kMasterFd = 3;
constexpr int kErrorsFd = 4;
constexpr int kGoFd = 5;
constexpr int kFirstUnusedFd = 6;

class Child {
 public:
  Child(const VmmPlan& plan, int go, int errors) : plan_(plan), go_(go), errors_(errors) {}

  [[noreturn]] void run() {
    default_signals();
    enter_session();
    // While still root: the path to the VM directory may be closed to the VMM.
    check("chdir to VM directory", ::fchdir(plan_.vm_dir));
    enter_cgroup();
    enter_netns();
    enter_root();
    place_descriptors();
    limit();
    drop_rights();
    lock_disks();
    exec_when_told();
  }

 private:
  [[noreturn]] void fail(std::string_view step, int error_number) {
    fail(failure_errno(step, error_number));
  }

  [[noreturn]] void fail(const Outcome& outcome) {
    static_cast<void>(write_all(errors_, outcome.why.view()));
    ::_exit(127);
  }

  void check(std::string_view step, int result) {
    if (result < 0) fail(step, errno);
  }

  void check_errno(std::string_view step, int error_number) {
    if (error_number != 0) fail(step, error_number);
  }

  // All default but SIGHUP, which the session leader would get if its terminal hung up: Firecracker
  // ends on it. An ignored signal stays ignored across exec.
  void default_signals() {
    struct sigaction action {};
    action.sa_handler = SIG_DFL;
    for (int signal = 1; signal < NSIG; ++signal) ::sigaction(signal, &action, nullptr);
    action.sa_handler = SIG_IGN;
    check("ignore SIGHUP", ::sigaction(SIGHUP, &action, nullptr));
    sigset_t none;
    ::sigemptyset(&none);
    check("unblock signals", ::sigprocmask(SIG_SETMASK, &none, nullptr));
  }

  // Cloud Hypervisor needs the console as controlling terminal of its own session, or it forks a
  // helper and dies at the first guest reboot (run with v51.1 and v53.0).
  void enter_session() {
    check("setsid", ::setsid());
    check("set controlling terminal", ::ioctl(plan_.slave, TIOCSCTTY, 0));
  }

  void enter_cgroup() {
    if (const int error = join_cgroup(plan_.config.cgroup); error != 0) {
      Line step("join cgroup ");
      fail(step.add(plan_.config.cgroup).view(), error);
    }
  }

  void enter_netns() {
    const std::string_view netns = plan_.config.netns;
    if (netns == "none") return;
    if (netns == "new") return check("new network namespace", ::unshare(CLONE_NEWNET));
    Line step("enter network namespace ");
    step.add(netns);
    const UniqueFd target(::open(netns.data(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    check(step.view(), target.get());
    check(step.view(), ::setns(target.get(), CLONE_NEWNET));
  }

  // After everything that is found by a path of the host.
  void enter_root() {
    if (!plan_.config.private_root) return;
    if (const Outcome outcome = enter_private_root(plan_.config); !outcome.ok) fail(outcome);
  }

  // Moves a descriptor out of the way of the numbers to be filled.
  int above(int fd) {
    const int moved = ::fcntl(fd, F_DUPFD_CLOEXEC, kFirstUnusedFd);
    check("move descriptor", moved);
    return moved;
  }

  void place_descriptors() {
    constexpr std::string_view kStep = "place descriptors";
    const int slave = above(plan_.slave);
    const int vmm_log = above(plan_.vmm_log);
    const int master = above(plan_.master);
    const int go = above(go_);
    errors_ = above(errors_);
    check(kStep, ::dup2(slave, STDIN_FILENO));
    check(kStep, ::dup2(slave, STDOUT_FILENO));
    check(kStep, ::dup2(vmm_log, STDERR_FILENO));
    check(kStep, ::dup2(master, kMasterFd));
    check(kStep, ::dup3(errors_, kErrorsFd, O_CLOEXEC));
    errors_ = kErrorsFd;
    check(kStep, ::dup3(go, kGoFd, O_CLOEXEC));
    go_ = kGoFd;
    const long closed = ::syscall(SYS_close_range, kFirstUnusedFd, ~0U, 0U);
    check("close other descriptors", static_cast<int>(closed));
  }

  void limit() {
    // A core of a VMM holds the guest's memory.
    constexpr rlimit kNone{0, 0};
    check("forbid core files", ::setrlimit(RLIMIT_CORE, &kNone));
    ::umask(077);
  }

  void drop_rights() {
    const Config& config = plan_.config;
    check_errno("drop capabilities", drop_bounding_set(0));
    check_errno("drop rights",
                become_nobody(config.uid, config.gid, {config.groups.data(), config.group_count}));
  }

  // The descriptors stay open in the VMM, and such a lock lives as long as they do: it ends exactly
  // with the VMM, whatever becomes of the shim. After the rights are gone, so that a name can open
  // nothing that the VMM could not open itself.
  void lock_disks() {
    const Config& config = plan_.config;
    for (std::size_t i = 0; i < config.lock_count; ++i) {
      const std::string_view name = config.locks[i];
      Line step("lock ");
      step.add(name);
      const int fd = ::open(name.data(), O_RDWR | O_NOFOLLOW | O_NONBLOCK);
      check(step.view(), fd);
      struct flock whole {};
      whole.l_type = F_WRLCK;
      whole.l_whence = SEEK_SET;
      if (::fcntl(fd, F_OFD_SETLK, &whole) == 0) continue;
      if (errno != EAGAIN && errno != EACCES) fail(step.view(), errno);
      step.add(": locked by another process");
      static_cast<void>(write_all(errors_, step.view()));
      ::_exit(127);
    }
  }

  [[noreturn]] void exec_when_told() {
    char byte = 0;
    ssize_t size = -1;
    do {
      size = ::read(go_, &byte, 1);
    } while (size < 0 && errno == EINTR);
    if (size != 1) ::_exit(127);
    const Config& config = plan_.config;
    ::execve(config.argv[0], config.argv.data(), config.environment.data());
    const int error = errno;
    Line step("exec ");
    step.add(config.argv[0]);
    // Where a script, or a program with libraries in unusual places, does not find what it needs.
    if (config.private_root) step.add(" in a root of its own");
    fail(step.view(), error);
  }

  const VmmPlan& plan_;
  int go_;
  int errors_;
};

}  // namespace

void become_vmm(const VmmPlan& plan, int go, int errors) { Child(plan, go, errors).run(); }

}  // namespace cocoon::shim
