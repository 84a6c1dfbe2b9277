// SPDX-License-Identifier: Apache-2.0
// Starts a VMM the way we do, with as little as that takes: one fork, one exec, the calls over one
// connection, and the console until the guest has said something. What `cocoon vm start` costs is
// measured against it (design §12), so it knows nothing, keeps nothing and cleans up nothing.
//
//   vmm_driver WORDS CALLS SOCKET PROGRAM [ARG...]
//
// in a VM's directory. WORDS: what the console says once the guest is up. CALLS: a file with the
// API calls, each a line "METHOD PATH LENGTH", then LENGTH bytes of body and a newline. SOCKET: the
// API's. Prints "WALL CPU" in microseconds, from before the fork to the words: the CPU time is this
// process's own, without the VMM's. Ends the VMM.
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>

#include "driven_vmm.h"

namespace {

using driver::give_up;
using driver::now;
using driver::own_cpu;

int connect_to(const char* path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path, sizeof address.sun_path - 1);
  constexpr timespec kPause{0, 1'000'000};
  for (int tries = 0; tries < 20'000; ++tries) {
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return fd;
    close(fd);
    nanosleep(&kPause, nullptr);
  }
  give_up("connect");
}

// Reads one answer; it has to be a good one.
void take_answer(int fd) {
  std::string answer;
  std::array<char, 4096> chunk{};
  std::size_t end = std::string::npos;
  std::size_t wanted = 0;
  while (end == std::string::npos || answer.size() < wanted) {
    ssize_t got = read(fd, chunk.data(), chunk.size());
    if (got <= 0) give_up("read");
    answer.append(chunk.data(), static_cast<std::size_t>(got));
    if (end != std::string::npos || (end = answer.find("\r\n\r\n")) == std::string::npos) continue;
    std::size_t length = answer.find("ontent-Length: ");
    if (length == std::string::npos) length = answer.find("ontent-length: ");
    std::size_t body = length < end ? std::strtoul(answer.c_str() + length + 15, nullptr, 10) : 0;
    wanted = end + 4 + body;
  }
  if (answer.compare(0, 10, "HTTP/1.1 2") == 0) return;
  std::fprintf(stderr, "%s\n", answer.c_str());
  std::exit(1);
}

void make_calls(const char* file, const char* socket_path) {
  std::ifstream in(file);
  std::string method;
  std::string path;
  std::size_t length = 0;
  int fd = -1;
  while (in >> method >> path >> length) {
    in.get();
    std::string body(length, '\0');
    in.read(body.data(), static_cast<std::streamsize>(length));
    if (fd < 0) fd = connect_to(socket_path);
    std::string request = method + " " + path + " HTTP/1.1\r\nHost: localhost\r\n";
    if (length > 0) request += "Content-Type: application/json\r\n";
    request += "Content-Length: " + std::to_string(length) + "\r\n\r\n" + body;
    if (write(fd, request.data(), request.size()) != static_cast<ssize_t>(request.size())) {
      give_up("write");
    }
    take_answer(fd);
  }
  if (fd >= 0) close(fd);
}

void wait_for(int master, const std::string& words) {
  std::string seen;
  std::array<char, 4096> chunk{};
  while (seen.find(words) == std::string::npos) {
    ssize_t got = read(master, chunk.data(), chunk.size());
    if (got <= 0) {
      std::fprintf(stderr, "%s\n", seen.c_str());
      give_up("console");
    }
    seen.append(chunk.data(), static_cast<std::size_t>(got));
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5) {
    std::fprintf(stderr, "usage: vmm_driver WORDS CALLS SOCKET PROGRAM [ARG...]\n");
    return 2;
  }
  long long begun = now();
  long long cpu_before = own_cpu();
  int master = driver::open_terminal();
  unlink(argv[3]);
  pid_t vmm = driver::start(argv + 4, master);
  make_calls(argv[2], argv[3]);
  wait_for(master, argv[1]);
  std::printf("%lld %lld\n", now() - begun, own_cpu() - cpu_before);
  kill(vmm, SIGKILL);
  waitpid(vmm, nullptr, 0);
  return 0;
}
