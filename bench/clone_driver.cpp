// SPDX-License-Identifier: Apache-2.0
// Clones a saved QEMU guest the way we do, with as little as that takes: links and copies of its
// files, one fork, one exec, the calls to load it, and one message to the agent in the guest. What
// `cocoon vm clone` costs is measured against it (design §12), so it knows nothing, keeps nothing
// and cleans up nothing.
//
//   clone_driver SAVED MEMORY IDENTITY PROGRAM [ARG...]
//
// in a new directory, the VM's. SAVED: a directory with the files of the saved guest: *.raw and
// `memory` are copied (shared blocks, else what is data), the others linked; `state` is loaded.
// MEMORY: where the memory goes, `memory` or a file elsewhere that this becomes a link to.
// IDENTITY: a file with the lines for the agent, whose answer to the last one is waited for.
// Prints "WALL CPU" in microseconds, from before the first file to that answer: the CPU time is
// this process's own, without the VMM's. Ends the VMM.
#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "driven_vmm.h"

namespace {

namespace fs = std::filesystem;
using driver::give_up;
using driver::now;
using driver::own_cpu;

void copy_data(int from, int to, off_t size) {
  constexpr std::size_t kPiece = std::size_t{1} << 20;
  std::vector<char> buffer(kPiece);
  off_t at = lseek(from, 0, SEEK_DATA);
  while (at >= 0 && at < size) {
    off_t end = lseek(from, at, SEEK_HOLE);
    while (at < end) {
      auto want = std::min(static_cast<std::size_t>(end - at), kPiece);
      ssize_t got = pread(from, buffer.data(), want, at);
      if (got <= 0 || pwrite(to, buffer.data(), static_cast<std::size_t>(got), at) != got) {
        give_up("copy");
      }
      at += got;
    }
    at = lseek(from, end, SEEK_DATA);
  }
}

void copy_whole(const fs::path& source, const fs::path& target) {
  int from = open(source.c_str(), O_RDONLY | O_CLOEXEC);
  int to = open(target.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  struct stat info {};
  if (from < 0 || to < 0 || fstat(from, &info) != 0) give_up(target.native());
  if (ioctl(to, FICLONE, from) != 0) {
    if (ftruncate(to, info.st_size) != 0) give_up(target.native());
    copy_data(from, to, info.st_size);
  }
  close(from);
  close(to);
}

void place_files(const fs::path& saved, const fs::path& memory) {
  for (const auto& entry : fs::directory_iterator(saved)) {
    const fs::path name = entry.path().filename();
    if (name == "memory") {
      copy_whole(entry.path(), memory);
      if (memory != name) fs::create_symlink(memory, name);
    } else if (name.extension() == ".raw") {
      copy_whole(entry.path(), name);
    } else if (name != "state") {
      fs::create_hard_link(entry.path(), name);
    }
  }
  if (mkdir("sock", 0700) != 0) give_up("sock");
}

int connect_to(const char* path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path, sizeof address.sun_path - 1);
  int names = inotify_init1(IN_CLOEXEC);
  inotify_add_watch(names, "sock", IN_CREATE);
  while (true) {
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
      close(names);
      return fd;
    }
    bool is_absent = errno == ENOENT;
    close(fd);
    std::array<char, 4096> events{};
    constexpr timespec kPause{0, 1'000'000};
    if (!is_absent) nanosleep(&kPause, nullptr);
    if (is_absent && read(names, events.data(), events.size()) <= 0) give_up("inotify");
  }
}

// Lines of a socket, and what is written to it.
class Lines {
 public:
  explicit Lines(const char* path) : fd_(connect_to(path)) {}

  void write(const std::string& text, int passed = -1) const {
    iovec piece{const_cast<char*>(text.data()), text.size()};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    if (passed >= 0) {
      message.msg_control = control.data();
      message.msg_controllen = control.size();
      cmsghdr* header = CMSG_FIRSTHDR(&message);
      header->cmsg_level = SOL_SOCKET;
      header->cmsg_type = SCM_RIGHTS;
      header->cmsg_len = CMSG_LEN(sizeof passed);
      std::memcpy(CMSG_DATA(header), &passed, sizeof passed);
    }
    if (sendmsg(fd_, &message, MSG_NOSIGNAL) != static_cast<ssize_t>(text.size())) {
      give_up("send");
    }
  }

  // Reads until a line has these words, which it returns.
  std::string wait_for(const std::string& words) {
    while (true) {
      for (auto end = seen_.find('\n'); end != std::string::npos; end = seen_.find('\n')) {
        std::string line = seen_.substr(0, end);
        seen_.erase(0, end + 1);
        if (line.find("\"error\"") != std::string::npos ||
            line.find("\"failed\"") != std::string::npos) {
          std::fprintf(stderr, "%s\n", line.c_str());
          std::exit(1);
        }
        if (line.find(words) != std::string::npos) return line;
      }
      std::array<char, 16384> chunk{};
      ssize_t got = read(fd_, chunk.data(), chunk.size());
      if (got <= 0) give_up("read");
      seen_.append(chunk.data(), static_cast<std::size_t>(got));
    }
  }

 private:
  int fd_;
  std::string seen_;
};

void load(int state) {
  Lines qmp("sock/qmp");
  qmp.wait_for("QMP");
  auto call = [&qmp](const std::string& line, int passed = -1) {
    qmp.write(line + "\n", passed);
    qmp.wait_for("\"return\"");
  };
  call(R"({"execute":"qmp_capabilities"})");
  call(R"({"execute":"migrate-set-capabilities","arguments":{"capabilities":[)"
       R"({"capability":"events","state":true},{"capability":"x-ignore-shared","state":true}]}})");
  call(R"({"execute":"getfd","arguments":{"fdname":"state"}})", state);
  call(R"({"execute":"migrate-incoming","arguments":{"uri":"fd:state"}})");
  qmp.wait_for("\"completed\"");
  call(R"({"execute":"cont"})");
}

void introduce(const char* file) {
  std::ifstream in(file);
  std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  Lines agent("sock/agent");
  agent.write(text);
  agent.wait_for(R"("type":"done")");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5) {
    std::fprintf(stderr, "usage: clone_driver SAVED MEMORY IDENTITY PROGRAM [ARG...]\n");
    return 2;
  }
  long long begun = now();
  long long cpu_before = own_cpu();
  place_files(argv[1], argv[2]);
  int state = open((fs::path(argv[1]) / "state").c_str(), O_RDONLY | O_CLOEXEC);
  if (state < 0) give_up("state");
  pid_t vmm = driver::start(argv + 4, driver::open_terminal());
  load(state);
  introduce(argv[3]);
  std::printf("%lld %lld\n", now() - begun, own_cpu() - cpu_before);
  kill(vmm, SIGKILL);
  waitpid(vmm, nullptr, 0);
  return 0;
}
