// SPDX-License-Identifier: Apache-2.0
#include "engine/vm_logs.h"

#include <poll.h>
#include <sys/inotify.h>

#include <array>

#include "base/clock.h"
#include "engine/log_files.h"
#include "engine/shim_control.h"
#include "engine/vm_view.h"
#include "sys/cancel.h"
#include "sys/fd.h"
#include "sys/process.h"

namespace cocoon::engine {
namespace {

constexpr Milliseconds kShimEndWait{5'000};

// Wakes when something in the directory changes. Without inotify (its limits are per user) looking
// again every now and then does.
class DirectoryWatch {
 public:
  explicit DirectoryWatch(const store::fs::path& directory)
      : fd_(inotify_init1(IN_CLOEXEC | IN_NONBLOCK)) {
    constexpr std::uint32_t kEvents = IN_MODIFY | IN_CREATE | IN_MOVED_TO;
    if (fd_.valid() && inotify_add_watch(fd_.get(), directory.c_str(), kEvents) < 0) fd_.reset();
  }

  int fd() const { return fd_.get(); }
  Milliseconds longest_wait() const { return Milliseconds(fd_.valid() ? 1000 : 200); }
  void clear() {
    std::array<char, 4096> events{};
    while (fd_.valid() && read(fd_.get(), events.data(), events.size()) > 0) {
    }
  }

 private:
  sys::UniqueFd fd_;
};

// The shim logs the last bytes after its VMM's end, and ends itself then.
Result<void> wait_for_last_bytes(const store::fs::path& vm_dir) {
  Deadline deadline = deadline_in(kShimEndWait);
  while (shim_alive(vm_dir) && time_left(deadline).count() > 0) {
    pollfd entry{sys::cancel_fd(), POLLIN, 0};
    poll(&entry, 1, 10);
    COCOON_TRY(sys::check_cancelled());
  }
  return {};
}

Result<void> follow(const Ports& ports, const model::Vm& vm, LogReader& reader,
                    const LogSink& sink) {
  auto process = COCOON_TRY(sys::LiveProcess::open({vm.vmm.pid, vm.vmm.start_time}));
  DirectoryWatch watch(vm_log_dir(ports, vm));
  while (true) {
    COCOON_TRY(reader.read_on(sink));
    if (!process) return {};
    std::array<pollfd, 3> entries{pollfd{watch.fd(), POLLIN, 0},
                                  pollfd{process->pidfd(), POLLIN, 0},
                                  pollfd{sys::cancel_fd(), POLLIN, 0}};
    poll(entries.data(), entries.size(), static_cast<int>(watch.longest_wait().count()));
    COCOON_TRY(sys::check_cancelled());
    watch.clear();
    if (entries[1].revents == 0) continue;
    COCOON_TRY(wait_for_last_bytes(vm_dir(ports, vm)));
    process.reset();
  }
}

}  // namespace

Result<void> read_logs(const Ports& ports, const model::Vm& vm, const LogsOptions& options,
                       const LogSink& sink) {
  LogReader reader =
      COCOON_TRY(LogReader::open(vm_log_dir(ports, vm), options.vmm ? "vmm.log" : "console.log"));
  if (options.tail) COCOON_TRY(reader.skip_to_tail(*options.tail));
  if (!options.follow || vm.state != model::VmState::kRunning) return reader.read_on(sink);
  return follow(ports, vm, reader, sink);
}

}  // namespace cocoon::engine
