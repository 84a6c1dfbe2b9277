// SPDX-License-Identifier: Apache-2.0
#include "guest/program.h"

#include <grp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <termios.h>

namespace cocoon::guest {
namespace {

constexpr std::size_t kAccountFileLimit = 4 * 1024 * 1024;
constexpr const char* kInit = "/sbin/init";

std::string step_name(StartFailure::Step step, const Program& program) {
  switch (step) {
    case StartFailure::Step::kTerminal:
      return "console of the entrypoint";
    case StartFailure::Step::kUser:
      return "user " + std::to_string(program.credentials.uid);
    case StartFailure::Step::kWorkdir:
      return "working directory";
    case StartFailure::Step::kExec:
      break;
  }
  return "exec \"" + program.argv.front() + "\"";
}

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> all;
  all.reserve(texts.size() + 1);
  for (const std::string& text : texts) all.push_back(const_cast<char*>(text.c_str()));
  all.push_back(nullptr);
  return all;
}

/// The errno value of the most telling failure: a program that is there but cannot be run beats
/// one that is not there, as in execvp(3).
int exec_any(const Program& program) {
  const std::vector<char*> argv = pointers(program.argv);
  const std::vector<char*> env = pointers(program.env);
  int result = ENOENT;
  for (const std::string& candidate : program.candidates) {
    ::execve(candidate.c_str(), argv.data(), env.data());
    if (errno == ENOENT || errno == ENOTDIR) continue;
    result = errno;
    if (result != EACCES) break;
  }
  return result;
}

/// The kernel gives PID 1 4096 descriptors at most: too few for many servers. These are systemd's
/// values; the low soft limit is for programs that use select(2).
void raise_limits() {
  const rlimit files{.rlim_cur = 1024, .rlim_max = 512 * 1024};
  ::setrlimit(RLIMIT_NOFILE, &files);
}

bool enter_foreground() {
  ::setpgid(0, 0);
  if (::isatty(STDIN_FILENO) == 0) return true;
  // Signals are still blocked here: a background process that sets the foreground would be stopped.
  return ::tcsetpgrp(STDIN_FILENO, ::getpid()) == 0;
}

bool become_user(const Credentials& user) {
  return ::setgroups(user.groups.size(), user.groups.data()) == 0 &&
         ::setresgid(user.gid, user.gid, user.gid) == 0 &&
         ::setresuid(user.uid, user.uid, user.uid) == 0;
}

/// Runs in the child; returns only on failure.
StartFailure run_child(const Program& program) {
  using Step = StartFailure::Step;
  if (!enter_foreground()) return {Step::kTerminal, errno};
  // The streams must stay usable through /dev/stdout, which opens the console anew.
  (void)!::fchown(STDIN_FILENO, program.credentials.uid, static_cast<gid_t>(-1));
  return exec_program(program);
}

std::string account_file(const RootDir& root, const char* path) {
  // A missing one is as good as an empty one: most minimal images have none.
  auto text = read_file_at(root.fd(), path, kAccountFileLimit);
  return text ? *std::move(text) : std::string();
}

}  // namespace

Failure to_failure(const StartFailure& failure, const Program& program) {
  int code = kExitBootFailed;
  if (failure.step == StartFailure::Step::kExec) {
    const bool absent = failure.error == ENOENT || failure.error == ENOTDIR;
    code = absent ? kExitNotFound : kExitNotExecutable;
  }
  return Failure{step_name(failure.step, program), errno_text(failure.error), code};
}

void clean_signals() {
  struct sigaction standard {};
  standard.sa_handler = SIG_DFL;
  for (int signal = 1; signal < NSIG; ++signal) ::sigaction(signal, &standard, nullptr);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

StartFailure exec_program(const Program& program) {
  using Step = StartFailure::Step;
  // Before the rights are dropped: docker too enters directories that the user could not.
  if (::fchdir(program.workdir.get()) != 0) return {Step::kWorkdir, errno};
  raise_limits();
  if (!become_user(program.credentials)) return {Step::kUser, errno};
  clean_signals();
  return {Step::kExec, exec_any(program)};
}

Result<Program> prepare_program(const RunSpec& run, const std::string& hostname,
                                const RootDir& root) {
  Program program;
  program.credentials = COCOON_GUEST_TRY(
      resolve_user(run.user, account_file(root, "etc/passwd"), account_file(root, "etc/group")));
  program.env = complete_environment(run.env, program.credentials.home, hostname);
  program.argv = run.argv;
  if (program.argv.empty()) program.argv.emplace_back(kInit);
  program.candidates = program_candidates(program.argv.front(), find_variable(program.env, "PATH"));
  auto workdir = root.make_dirs(run.workdir);
  if (!workdir) return fail("working directory", workdir.error().text());
  program.workdir = *std::move(workdir);
  return program;
}

Result<void> lead_session() {
  // EPERM: leader already.
  if (::setsid() < 0 && errno != EPERM) return fail_errno("console", "setsid");
  if (::isatty(STDIN_FILENO) != 0 && ::ioctl(STDIN_FILENO, TIOCSCTTY, 0) != 0)
    return fail_errno("console", "TIOCSCTTY");
  return {};
}

Result<pid_t> start_program(const Program& program) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno("entrypoint", "pipe");
  UniqueFd reading(ends[0]);
  UniqueFd writing(ends[1]);
  const pid_t pid = ::fork();
  if (pid < 0) return fail_errno("entrypoint", "fork");
  if (pid == 0) {
    const StartFailure failure = run_child(program);
    write_all(writing.get(),
              std::string_view(reinterpret_cast<const char*>(&failure), sizeof failure));
    ::_exit(kExitBootFailed);
  }
  writing.reset();
  StartFailure failure;
  ssize_t got = 0;
  do {
    got = ::read(reading.get(), &failure, sizeof failure);
  } while (got < 0 && errno == EINTR);
  if (got == 0) return pid;  // closed by exec
  ::waitpid(pid, nullptr, 0);
  if (got != static_cast<ssize_t>(sizeof failure)) return fail("entrypoint", "ended before exec");
  return tl::make_unexpected(to_failure(failure, program));
}

Failure become_program(const Program& program) {
  if (::fchdir(program.workdir.get()) != 0)
    return to_failure({StartFailure::Step::kWorkdir, errno}, program);
  clean_signals();
  return to_failure({StartFailure::Step::kExec, exec_any(program)}, program);
}

}  // namespace cocoon::guest
