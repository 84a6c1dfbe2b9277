// SPDX-License-Identifier: Apache-2.0
#include "network/cni/plugin.h"

#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <thread>

#include "base/text.h"
#include "network/cni/result.h"
#include "sys/cancel.h"
#include "sys/fault.h"
#include "sys/fd.h"
#include "sys/spawn.h"

extern char** environ;

namespace cocoon::network::cni {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxOutput = std::size_t{1} << 20;
constexpr int kLockFdInChild = 10;  // as for every program that we start for the work
// A plugin that is being replaced by its package is "busy" for a moment.
constexpr int kBusyTries = 6;

std::vector<std::string> own_environment() {
  std::vector<std::string> out;
  for (char** entry = environ; *entry != nullptr; ++entry) out.emplace_back(*entry);
  return out;
}

std::string render_args(const Attachment& attachment) {
  std::vector<std::string> out;
  for (const auto& [key, value] : attachment.args) out.push_back(key + "=" + value);
  return fmt::format("{}", fmt::join(out, ";"));
}

// The three pipes of a running plugin, as far as they are open.
struct Streams {
  sys::UniqueFd input, output, errors;
  std::string_view unsent;
  std::string out, err;
};

// One read; the stream is closed at its end. False when it holds too much.
bool take(sys::UniqueFd& fd, std::string& text) {
  std::array<char, 16384> chunk{};
  ssize_t got = read(fd.get(), chunk.data(), chunk.size());
  if (got < 0 && errno == EINTR) return true;
  if (got <= 0) {
    fd.reset();
    return true;
  }
  text.append(chunk.data(), static_cast<std::size_t>(got));
  return text.size() <= kMaxOutput;
}

void feed(Streams& streams) {
  ssize_t put = write(streams.input.get(), streams.unsent.data(), streams.unsent.size());
  if (put < 0 && errno == EINTR) return;
  if (put > 0) streams.unsent.remove_prefix(static_cast<std::size_t>(put));
  // A plugin that does not read its input to the end is free to do so.
  if (put < 0 || streams.unsent.empty()) streams.input.reset();
}

// Serves the pipes until the plugin closes both its outputs.
Result<void> converse(Streams& streams, Deadline deadline) {
  while (streams.output.valid() || streams.errors.valid()) {
    COCOON_TRY(sys::check_cancelled());
    if (time_left(deadline).count() == 0) return fail(ErrorKind::kTimeout, "no end in time");
    std::array<pollfd, 4> entries{
        pollfd{streams.input.get(), POLLOUT, 0}, pollfd{streams.output.get(), POLLIN, 0},
        pollfd{streams.errors.get(), POLLIN, 0}, pollfd{sys::cancel_fd(), POLLIN, 0}};
    int ready = poll(entries.data(), entries.size(), static_cast<int>(time_left(deadline).count()));
    if (ready < 0 && errno != EINTR) return fail_errno("poll");
    if (ready <= 0) continue;
    if (entries[0].revents != 0) feed(streams);
    bool fits = true;
    if (entries[1].revents != 0) fits = take(streams.output, streams.out);
    if (entries[2].revents != 0) fits = take(streams.errors, streams.err) && fits;
    if (!fits) return fail(ErrorKind::kCorrupt, "it prints more than {} bytes", kMaxOutput);
  }
  return {};
}

// A closed pipe of a plugin is an errno, not our end.
class PipeSignalOff {
 public:
  PipeSignalOff() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &set, &before_);
  }
  ~PipeSignalOff() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    timespec now{};
    while (sigtimedwait(&set, nullptr, &now) > 0) {
    }
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  PipeSignalOff(const PipeSignalOff&) = delete;
  PipeSignalOff& operator=(const PipeSignalOff&) = delete;

 private:
  sigset_t before_{};
};

Result<sys::Child> start(const sys::SpawnSpec& spec) {
  for (int tries = 1;; ++tries) {
    auto child = sys::spawn(spec);
    bool busy = !child && child.error().saved_errno == ETXTBSY;
    if (!busy || tries == kBusyTries) return child;
    std::this_thread::sleep_for(Milliseconds(1'000));
  }
}

struct Finished {
  int status = 0;
  std::string out, err;
};

Result<Finished> run(sys::SpawnSpec spec, const std::string& input, Milliseconds limit) {
  Deadline deadline = deadline_in(limit);
  sys::Pipe in = COCOON_TRY(sys::make_pipe());
  sys::Pipe out = COCOON_TRY(sys::make_pipe());
  sys::Pipe err = COCOON_TRY(sys::make_pipe());
  spec.fds.insert(spec.fds.end(),
                  {{in.read_end.get(), 0}, {out.write_end.get(), 1}, {err.write_end.get(), 2}});
  spec.new_session = true;  // so that its children end with it
  PipeSignalOff quiet;
  sys::Child child = COCOON_TRY(start(spec));
  pid_t group = child.pid();
  in.read_end.reset();
  out.write_end.reset();
  err.write_end.reset();
  Streams streams{
      std::move(in.write_end), std::move(out.read_end), std::move(err.read_end), input, {}, {}};
  auto talked = converse(streams, deadline);
  streams.input.reset();
  if (!talked) {
    ::kill(-group, SIGKILL);  // it is not reaped yet, so the number is still its own
    return pass(std::move(talked).error());
  }
  auto status = child.wait(deadline);
  if (!status) return pass(std::move(status).error());
  return Finished{*status, std::move(streams.out), std::move(streams.err)};
}

}  // namespace

std::vector<std::string> plugin_environment(const std::vector<std::string>& parent,
                                            std::string_view command, const Host& host,
                                            const Attachment& attachment) {
  std::vector<std::string> out;
  bool has_path = false;
  for (const std::string& entry : parent) {
    if (entry.starts_with("CNI_")) continue;
    has_path |= entry.starts_with("PATH=");
    out.push_back(entry);
  }
  if (!has_path)
    out.emplace_back("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
  out.push_back(fmt::format("CNI_COMMAND={}", command));
  out.push_back("CNI_CONTAINERID=" + attachment.container);
  out.push_back("CNI_NETNS=" + attachment.netns);
  out.push_back("CNI_IFNAME=" + attachment.if_name);
  out.push_back("CNI_ARGS=" + render_args(attachment));
  out.push_back(fmt::format("CNI_PATH={}", fmt::join(host.plugin_dirs, ":")));
  return out;
}

json plugin_input(const Conflist& list, const json& plugin, const Attachment& attachment,
                  const json& previous) {
  json input = plugin;
  input["name"] = list.name;
  input["cniVersion"] = list.version;
  json runtime = json::object();
  if (auto able = plugin.find("capabilities"); able != plugin.end() && able->is_object()) {
    for (const auto& [capability, wanted] : able->items()) {
      if (wanted == true && attachment.capability_args.contains(capability)) {
        runtime[capability] = attachment.capability_args[capability];
      }
    }
  }
  if (!runtime.empty()) input["runtimeConfig"] = std::move(runtime);
  if (!previous.is_null()) input["prevResult"] = previous;
  return input;
}

std::vector<std::string> plugin_dirs(const std::string& configured) {
  std::vector<std::string> dirs{configured};
  for (const char* dir : {"/opt/cni/bin", "/usr/lib/cni"}) {
    if (dir != configured) dirs.emplace_back(dir);
  }
  return dirs;
}

std::optional<std::string> find_plugin(const Host& host, const std::string& type) {
  for (const std::string& dir : host.plugin_dirs) {
    std::string path = dir + "/" + type;
    struct stat info {};
    if (stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode)) return path;
  }
  return std::nullopt;
}

Result<std::string> run_plugin(std::string_view command, const Host& host, const Conflist& list,
                               const json& plugin, const Attachment& attachment,
                               const json& previous) {
  std::string type = plugin.at("type");
  auto program = find_plugin(host, type);
  if (!program) {
    return fail(ErrorKind::kNotFound, "CNI plugin \"{}\" is in none of {}", escape_controls(type),
                fmt::join(host.plugin_dirs, ", "));
  }
  sys::SpawnSpec spec;
  spec.program = *program;
  spec.env = plugin_environment(own_environment(), command, host, attachment);
  if (host.lock_fd >= 0) spec.fds = {{host.lock_fd, kLockFdInChild}};
  std::string input = plugin_input(list, plugin, attachment, previous).dump();
  auto done =
      COCOON_TRY(run(std::move(spec), input, host.limit), "CNI plugin {} {}", type, command);
  sys::side_effect("CNI plugin");
  if (done.status != 0) {
    return fail(ErrorKind::kSystem, "CNI plugin {} {}: {}", type, command,
                describe_failure(done.out, done.err, sys::describe_wait_status(done.status)));
  }
  return std::move(done.out);
}

}  // namespace cocoon::network::cni
