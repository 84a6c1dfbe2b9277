// SPDX-License-Identifier: Apache-2.0
#include "sys/spawn.h"

#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include <gtest/gtest.h>

#include "sys/cgroup.h"
#include "sys/files.h"
#include "sys/process.h"

namespace cocoon::sys {
namespace {

SpawnSpec shell(const std::string& script) {
  SpawnSpec spec;
  spec.program = "/bin/sh";
  spec.args = {"-c", script};
  return spec;
}

TEST(Spawn, RunsAndReturnsOutput) {
  auto output = run_program(shell("echo out; echo err >&2"), Milliseconds(10'000));
  ASSERT_TRUE(output) << output.error().to_string();
  EXPECT_EQ(*output, "out\nerr\n");
}

TEST(Spawn, QuotesTheOutputOfAFailure) {
  auto output = run_program(shell("echo no luck; exit 3"), Milliseconds(10'000));
  ASSERT_FALSE(output);
  EXPECT_EQ(output.error().cause, "/bin/sh: exit status 3: no luck");
}

TEST(Spawn, ATalkerIsEndedInTimeAsWell) {
  auto output = run_program(shell("exec yes"), Milliseconds(300));
  ASSERT_FALSE(output);
  EXPECT_EQ(output.error().kind, ErrorKind::kTimeout);
}

TEST(Spawn, ReportsAFailedExecAsAnError) {
  SpawnSpec spec;
  spec.program = "/nonexistent/program";
  auto child = spawn(spec);
  ASSERT_FALSE(child);
  EXPECT_EQ(child.error().kind, ErrorKind::kNotFound);
}

// What a program started there says about its own cgroup, from its first moment on.
std::string cgroup_of_child(const fs::path& cgroup) {
  Pipe output = *make_pipe();
  SpawnSpec spec = shell("grep ^0:: /proc/self/cgroup");
  spec.fds = {{output.write_end.get(), 1}};
  spec.cgroup = cgroup;
  auto child = spawn(spec);
  EXPECT_TRUE(child) << child.error().to_string();
  output.write_end.reset();
  std::string text = *read_fd(output.read_end.get(), 4096);
  EXPECT_EQ(*child->wait(deadline_in(Milliseconds(10'000))), 0);
  return text;
}

TEST(Spawn, StartsInACgroup) {
  std::string name = fmt::format("spawn-test-{}", getpid());
  auto cgroup = make_cgroup(name);
  ASSERT_TRUE(cgroup) << cgroup.error().to_string();
  if (cgroup->empty()) GTEST_SKIP() << "NOT RUN: no cgroup can be made here";
  std::string said = cgroup_of_child(*cgroup);
  remove_cgroup(name, false);
  EXPECT_NE(said.find(name), std::string::npos) << said;
  EXPECT_FALSE(sys::exists(*cgroup));
}

TEST(Cgroup, IsRemovedWithWhoeverIsStillInIt) {
  std::string name = fmt::format("test-kill-{}", getpid());
  auto cgroup = make_cgroup(name);
  ASSERT_TRUE(cgroup) << cgroup.error().to_string();
  if (cgroup->empty()) GTEST_SKIP() << "NOT RUN: no cgroup can be made here";
  if (!sys::exists(*cgroup / "cgroup.kill")) {
    remove_cgroup(name, false);
    GTEST_SKIP() << "NOT RUN: this kernel has no cgroup.kill";
  }
  SpawnSpec spec = shell("sleep 100 & sleep 100");
  spec.cgroup = *cgroup;
  auto child = spawn(spec);
  ASSERT_TRUE(child) << child.error().to_string();
  remove_cgroup(name, false);
  EXPECT_TRUE(sys::exists(*cgroup));  // in use
  remove_cgroup(name, true);
  EXPECT_FALSE(sys::exists(*cgroup));
  auto status = child->wait(deadline_in(Milliseconds(5'000)));
  ASSERT_TRUE(status);
  EXPECT_TRUE(WIFSIGNALED(*status));
}

TEST(Spawn, StaysWhereItIsWhenTheCgroupIsGone) {
  EXPECT_EQ(cgroup_of_child("/sys/fs/cgroup/nonexistent"), cgroup_of_child({}));
}

TEST(Spawn, KillsAtTheDeadline) {
  auto output = run_program(shell("sleep 100"), Milliseconds(100));
  ASSERT_FALSE(output);
  EXPECT_EQ(output.error().kind, ErrorKind::kTimeout);
}

TEST(Spawn, InheritsNothingThatIsNotNamed) {
  setenv("COCOON_TEST_SECRET", "x", 1);
  UniqueFd null = UniqueFd(open("/dev/null", O_RDONLY | O_CLOEXEC));
  UniqueFd extra = UniqueFd(fcntl(null.get(), F_DUPFD, 50));  // no close-on-exec, on purpose
  auto output = run_program(
      shell("for f in /proc/self/fd/*; do echo ${f##*/}; done | sort -n | tr '\\n' ' '; "
            "echo secret=$COCOON_TEST_SECRET"),
      Milliseconds(10'000));
  ASSERT_TRUE(output) << output.error().to_string();
  EXPECT_EQ(output->find(fmt::format(" {} ", extra.get())), std::string::npos) << *output;
  EXPECT_NE(output->find("secret=\n"), std::string::npos) << *output;
}

TEST(Spawn, PlacesDescriptorsEvenWhenTheyCross) {
  Pipe a = std::move(*make_pipe());
  Pipe b = std::move(*make_pipe());
  SpawnSpec spec = shell("echo to-a >&7; echo to-b >&8");
  // Targets that are each other's sources are the hard case.
  spec.fds = {{a.write_end.get(), 7}, {b.write_end.get(), 8}};
  auto output = run_program(spec, Milliseconds(10'000));
  ASSERT_TRUE(output) << output.error().to_string();
  a.write_end.reset();
  b.write_end.reset();
  EXPECT_EQ(*read_fd(a.read_end.get(), 100), "to-a\n");
  EXPECT_EQ(*read_fd(b.read_end.get(), 100), "to-b\n");
}

TEST(Spawn, DropsRightsBeforeExec) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to change the uid";
  SpawnSpec spec = shell("id -u; id -g; grep -E 'CapEff|NoNewPrivs' /proc/self/status");
  spec.user = {65534, 65534};
  auto output = run_program(spec, Milliseconds(10'000));
  ASSERT_TRUE(output) << output.error().to_string();
  EXPECT_EQ(*output, "65534\n65534\nCapEff:\t0000000000000000\nNoNewPrivs:\t1\n");
}

TEST(Spawn, RunsNothingBeforeItIsWrittenDown) {
  Pipe out = std::move(*make_pipe());
  SpawnSpec spec = shell("echo ran");
  spec.fds = {{out.write_end.get(), 1}};
  pid_t known = 0;
  spec.before_exec = [&](pid_t pid) -> Result<void> {
    known = pid;
    EXPECT_FALSE(*wait_readable(out.read_end.get(), 200));
    EXPECT_TRUE(process_start_time(pid));
    return {};
  };
  auto child = spawn(spec);
  ASSERT_TRUE(child);
  EXPECT_EQ(child->pid(), known);
  EXPECT_TRUE(*wait_readable(out.read_end.get(), 10'000));
  EXPECT_EQ(child->wait(deadline_in(Milliseconds(10'000))), 0);
}

TEST(Spawn, RunsNothingThatCouldNotBeWrittenDown) {
  Pipe out = std::move(*make_pipe());
  SpawnSpec spec = shell("echo ran");
  spec.fds = {{out.write_end.get(), 1}};
  spec.die_with_parent = false;
  spec.before_exec = [](pid_t) -> Result<void> { return fail(ErrorKind::kSystem, "no room"); };
  auto child = spawn(spec);
  ASSERT_FALSE(child);
  EXPECT_EQ(child.error().cause, "no room");
  // Nor when whoever was to write it down is killed.
  pid_t parent = fork();
  if (parent == 0) {
    spec.before_exec = [](pid_t) -> Result<void> { _exit(0); };
    ignore(spawn(spec), "it does not return");
    _exit(1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(parent, &status, 0), parent);
  EXPECT_EQ(status, 0);
  out.write_end.reset();
  // The end of the pipe, and nothing before it: the child has gone as well.
  ASSERT_TRUE(*wait_readable(out.read_end.get(), 10'000));
  char byte = 0;
  EXPECT_EQ(read(out.read_end.get(), &byte, 1), 0);
}

TEST(Process, IsKnownByPidAndStartTime) {
  auto child = spawn(shell("sleep 100"));
  ASSERT_TRUE(child);
  auto start = process_start_time(child->pid());
  ASSERT_TRUE(start);
  EXPECT_TRUE(is_alive({child->pid(), *start}));
  EXPECT_FALSE(is_alive({child->pid(), *start + 1}));  // the pid of somebody else
  auto stranger = LiveProcess::open({child->pid(), *start + 1});
  ASSERT_TRUE(stranger);
  EXPECT_FALSE(stranger->has_value());
  EXPECT_TRUE(terminate({child->pid(), *start}, Milliseconds(5'000)));
  EXPECT_FALSE(is_alive({child->pid(), *start}));  // a zombie is not alive
}

TEST(Process, LivesWhileAnyOfItsThreadsDoes) {
  pid_t pid = fork();
  ASSERT_GE(pid, 0);
  if (pid == 0) {
    std::thread([] { sleep(100); }).detach();
    syscall(SYS_exit, 0);  // the first thread's end, not the process's
  }
  ProcessRef ref{pid, *process_start_time(pid)};
  auto is_zombie = [&] {
    return read_file(fmt::format("/proc/{}/stat", pid), 4096)->find(") Z ") != std::string::npos;
  };
  for (int tries = 0; tries < 1000 && !is_zombie(); ++tries) usleep(10'000);
  ASSERT_TRUE(is_zombie());
  EXPECT_TRUE(is_alive(ref));
  EXPECT_TRUE(terminate(ref, Milliseconds(0)));
  EXPECT_FALSE(is_alive(ref));
  EXPECT_EQ(waitpid(pid, nullptr, 0), pid);
}

TEST(Process, IsKilledWhenItIgnoresSigterm) {
  Pipe ready = std::move(*make_pipe());
  SpawnSpec spec = shell("trap '' TERM; echo >&5; while :; do sleep 1; done");
  spec.fds = {{ready.write_end.get(), 5}};
  auto child = spawn(spec);
  ASSERT_TRUE(child);
  ASSERT_TRUE(*wait_readable(ready.read_end.get(), 10'000));
  ProcessRef ref{child->pid(), *process_start_time(child->pid())};
  EXPECT_TRUE(terminate(ref, Milliseconds(200)));
  EXPECT_FALSE(is_alive(ref));
}

}  // namespace
}  // namespace cocoon::sys
