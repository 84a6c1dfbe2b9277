// SPDX-License-Identifier: Apache-2.0
// What the hand-written drivers have in common: clocks, and a VMM on a terminal. They are measured
// against our own commands (design §12), so this is as little as a start takes.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace driver {

[[noreturn]] inline void give_up(const std::string& what) {
  std::perror(what.c_str());
  std::exit(1);
}

// Microseconds.
inline long long now() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1'000'000LL + time.tv_nsec / 1'000;
}

// User and system time of this process, in microseconds.
inline long long own_cpu() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1'000'000LL + usage.ru_utime.tv_usec +
         usage.ru_stime.tv_usec;
}

// The master side of a new terminal.
inline int open_terminal() {
  int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (master < 0 || grantpt(master) != 0 || unlockpt(master) != 0) give_up("terminal");
  return master;
}

// The VMM is session leader on the terminal, as below our shim.
inline pid_t start(char* const* argv, int master) {
  pid_t pid = fork();
  if (pid < 0) give_up("fork");
  if (pid > 0) return pid;
  std::array<char, 64> name{};
  setsid();
  int slave = ptsname_r(master, name.data(), name.size()) == 0 ? open(name.data(), O_RDWR) : -1;
  int errors = open("driver.log", O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (slave < 0 || ioctl(slave, TIOCSCTTY, 0) != 0) give_up("terminal");
  dup2(slave, 0);
  dup2(slave, 1);
  dup2(errors, 2);
  signal(SIGHUP, SIG_IGN);
  execvp(argv[0], argv);
  give_up("exec");
}

}  // namespace driver
