// SPDX-License-Identifier: Apache-2.0
//
// Stands in for a VMM in the tests of cocoon-shim. Does what its arguments say, one after another:
//
//   say:TEXT      line on the console            log:TEXT      line on stderr
//   flood:N       N lines of 64 bytes            flood-log:N   the same on stderr
//   sleep:MS      waits                          exit:N        exits
//   kill:N        sends itself signal N          echo          echoes input until `q`; bytes
//                                                              below 0x20 as <N>
//   idle          waits for ever, reads nothing  eat           reads and forgets until `q`
//   close         closes the console             blocking      clears O_NONBLOCK on descriptor 3
//                                                              for ever, in a loop
//   steal-master  replaces descriptor 3 by a pipe   tick       waits for ever, waking up often
//   open:PATH     says whether that can be read     listen:PATH  listens on a Unix socket
#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

namespace {

void put(int fd, const std::string& text) {
  std::string_view rest = text;
  while (!rest.empty()) {
    const ssize_t size = ::write(fd, rest.data(), rest.size());
    if (size <= 0) continue;
    rest.remove_prefix(static_cast<std::size_t>(size));
  }
}

void on_signal(int signal) {
  if (signal == SIGINT) return put(STDOUT_FILENO, "[SIGINT]");
  winsize size{};
  ::ioctl(STDIN_FILENO, TIOCGWINSZ, &size);
  std::string text = "[size ";
  text += std::to_string(size.ws_row);
  text += ' ';
  text += std::to_string(size.ws_col);
  put(STDOUT_FILENO, text += ']');
}

void flood(int fd, long lines) {
  for (long line = 0; line < lines; ++line) {
    std::string text = "line ";
    text += std::to_string(line);
    text += ' ';
    text.resize(62, '.');
    put(fd, text += "\r\n");
  }
}

void read_input(bool echo) {
  char byte = 0;
  while (true) {
    if (::read(STDIN_FILENO, &byte, 1) != 1) continue;
    if (byte == 'q') return;
    if (!echo) continue;
    if (byte >= ' ') {
      put(STDOUT_FILENO, std::string(1, byte));
    } else {
      // Built in steps: GCC 12 warns of an overlap in `"<" + std::string` at -O3 (PR 105651).
      std::string text(1, '<');
      text += std::to_string(int{byte});
      put(STDOUT_FILENO, text += '>');
    }
  }
}

[[noreturn]] void clear_nonblock() {
  while (true) {
    const int flags = ::fcntl(3, F_GETFL);
    ::fcntl(3, F_SETFL, flags & ~O_NONBLOCK);
    ::usleep(1000);
  }
}

void try_to_open(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_NONBLOCK);
  std::string text = "open ";
  text += path;
  text += ": ";
  put(STDOUT_FILENO, text += fd >= 0 ? "ok\r\n" : strerrordesc_np(errno) + std::string("\r\n"));
  if (fd >= 0) ::close(fd);
}

void listen_on(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
  const bool bound = ::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  put(STDOUT_FILENO, bound && ::listen(fd, 1) == 0 ? "listening\r\n" : "no socket\r\n");
}

void steal_master() {
  int ends[2];
  if (::pipe(ends) == 0) ::dup2(ends[0], 3);
}

void act(std::string_view verb, const std::string& value) {
  if (verb == "say") put(STDOUT_FILENO, value + "\r\n");
  if (verb == "log") put(STDERR_FILENO, value + "\n");
  if (verb == "flood") flood(STDOUT_FILENO, std::atol(value.c_str()));
  if (verb == "flood-log") flood(STDERR_FILENO, std::atol(value.c_str()));
  if (verb == "sleep") ::usleep(static_cast<useconds_t>(std::atol(value.c_str()) * 1000));
  if (verb == "exit") ::_exit(std::atoi(value.c_str()));
  if (verb == "kill") ::raise(std::atoi(value.c_str()));
  if (verb == "echo") read_input(true);
  if (verb == "eat") read_input(false);
  if (verb == "idle") {
    while (true) ::pause();
  }
  if (verb == "tick") {
    while (true) ::usleep(300'000);
  }
  if (verb == "close") {
    ::close(STDIN_FILENO);
    ::close(STDOUT_FILENO);
  }
  if (verb == "blocking") clear_nonblock();
  if (verb == "open") try_to_open(value);
  if (verb == "listen") listen_on(value);
  if (verb == "steal-master") steal_master();
}

}  // namespace

int main(int argc, char** argv) {
  ::signal(SIGINT, on_signal);
  ::signal(SIGWINCH, on_signal);
  for (int i = 1; i < argc; ++i) {
    const std::string step = argv[i];
    const std::size_t colon = step.find(':');
    act(std::string_view(step).substr(0, colon),
        colon == std::string::npos ? "" : step.substr(colon + 1));
  }
  return 0;
}
