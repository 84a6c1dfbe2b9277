// SPDX-License-Identifier: Apache-2.0
#include "engine/shim_control.h"

#include <sys/file.h>

#include <thread>

#include "base/text.h"
#include "sys/boot_file.h"
#include "sys/cancel.h"
#include "sys/fault.h"
#include "sys/files.h"
#include "sys/spawn.h"

namespace cocoon::engine {
namespace {

namespace fs = std::filesystem;

constexpr Milliseconds kReportLimit{10'000};

// Entries end with NUL: a value with one in it would be two entries.
class ConfigText {
 public:
  void put(std::string_view key, std::string_view value) {
    if (value.find('\0') != std::string_view::npos) bad_ = key;
    text_ += key;
    text_ += '=';
    text_ += value;
    text_ += '\0';
  }
  Result<std::string> finish() {
    if (bad_.empty()) return std::move(text_);
    return fail(ErrorKind::kInvalid, "shim.conf: a value of \"{}\" contains NUL", bad_);
  }

 private:
  std::string text_;
  std::string_view bad_;
};

// Everything that the shim writes to its report pipe before it closes it.
Result<std::string> read_report(int fd) {
  std::string report;
  Deadline deadline = deadline_in(kReportLimit);
  std::string chunk(512, '\0');
  while (report.size() < 8192) {
    if (!COCOON_TRY(sys::wait_readable(fd, static_cast<int>(time_left(deadline).count())))) {
      return fail(ErrorKind::kTimeout, "cocoon-shim gave no report in {} s",
                  kReportLimit.count() / 1000);
    }
    ssize_t got = read(fd, chunk.data(), chunk.size());
    if (got <= 0) break;
    report.append(chunk, 0, static_cast<std::size_t>(got));
  }
  return std::string(trim(report));
}

// Starts the shim program, in `cgroup` if that is not empty, and returns its report line.
Result<std::string> run_shim(std::string_view verb, const fs::path& vm_dir,
                             const fs::path& cgroup) {
  sys::Pipe report = COCOON_TRY(sys::make_pipe());
  sys::SpawnSpec spec;
  spec.program = COCOON_TRY(sys::libexec_dir()) + "/cocoon-shim";
  spec.args = {std::string(verb), vm_dir.native()};
  spec.cwd = "/";
  spec.fds = {{report.write_end.get(), 1}};
  spec.new_session = true;
  spec.die_with_parent = false;
  spec.cgroup = cgroup;
  sys::Child child = COCOON_TRY(sys::spawn(spec), "start cocoon-shim");
  sys::side_effect("start shim");
  report.write_end.reset();
  // One that gives no report in time is ended here, and with it what it has not let go yet.
  std::string text = COCOON_TRY(read_report(report.read_end.get()));
  child.detach();
  return text;
}

// "<word> <pid> <start time>"
std::optional<sys::ProcessRef> parse_report(std::string_view report, std::string_view word) {
  auto parts = split(report, ' ');
  if (parts.size() != 3 || parts[0] != word) return std::nullopt;
  auto pid = parse_decimal(parts[1]);
  auto start = parse_decimal(parts[2]);
  if (!pid || !start || *pid > 0x7fffffff) return std::nullopt;
  return sys::ProcessRef{static_cast<pid_t>(*pid), *start};
}

}  // namespace

Result<std::string> render_shim_config(const ShimConfig& config) {
  ConfigText out;
  out.put("version", "1");
  out.put("id", config.id);
  out.put("vm_dir", config.vm_dir.native());
  out.put("log_dir", config.log_dir.native());
  out.put("exit_file", config.exit_file.native());
  out.put("boot_id", config.boot_id);
  out.put("uid", std::to_string(config.uid));
  out.put("gid", std::to_string(config.uid));
  out.put("groups", fmt::format("{}", fmt::join(config.groups, ",")));
  out.put("nonce", config.nonce);
  out.put("netns", config.netns);
  out.put("cgroup", config.cgroup.native());
  out.put("shim_cgroup", config.shim_cgroup.native());
  out.put("ends_by", config.launch.ends_by_reboot ? "reboot" : "poweroff");
  for (const std::string& file : config.launch.lock_files) out.put("lock", file);
  out.put("root", config.launch.private_root ? "private" : "host");
  for (const std::string& path : config.launch.shown) out.put("show", path);
  out.put("program", config.launch.program);
  for (const std::string& arg : config.launch.args) out.put("arg", arg);
  for (const std::string& entry : config.launch.env) out.put("env", entry);
  return out.finish();
}

Result<sys::ProcessRef> launch_shim(const ShimConfig& config) {
  std::string text = COCOON_TRY(render_shim_config(config));
  // For the VMM of this launch alone: it names the boot.
  COCOON_TRY(sys::write_boot_file(config.vm_dir / "shim.conf", text, 0600));
  std::string report = COCOON_TRY(run_shim("launch", config.vm_dir, config.shim_cgroup));
  if (auto vmm = parse_report(report, "started")) return *vmm;
  if (report.rfind("error ", 0) == 0) report.erase(0, 6);
  return fail(ErrorKind::kVmm, "{}",
              report.empty() ? "cocoon-shim ended without a report" : report);
}

bool shim_alive(const fs::path& vm_dir) {
  auto fd = sys::open_file(vm_dir / "shim.lock", O_RDONLY | O_NOFOLLOW);
  if (!fd) return false;
  return flock(fd->get(), LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

Result<void> adopt_shim(const fs::path& vm_dir) {
  std::string report = COCOON_TRY(run_shim("adopt", vm_dir, {}));
  if (parse_report(report, "adopted") || report == "error busy" || report == "error gone")
    return {};
  return fail(ErrorKind::kVmm, "replace the shim: {}", report);
}

Result<void> wait_shim_end(const fs::path& vm_dir, Milliseconds limit) {
  Deadline deadline = deadline_in(limit);
  while (shim_alive(vm_dir)) {
    if (time_left(deadline).count() == 0) {
      return fail(ErrorKind::kTimeout, "cocoon-shim is still there {} ms after its VMM",
                  limit.count());
    }
    // The shim's life is its lock; flock(2) has no timeout, so look again shortly.
    std::this_thread::sleep_for(Milliseconds(2));
  }
  return {};
}

std::optional<model::Process> recorded_vmm(const fs::path& vm_dir) {
  auto text = sys::read_file(vm_dir / "vmm", 4096);
  if (!text) return std::nullopt;
  model::Process process;
  for (std::string_view line : split(*text, '\n')) {
    auto equals = line.find('=');
    if (equals == std::string_view::npos) continue;
    std::string_view key = line.substr(0, equals);
    std::string_view value = line.substr(equals + 1);
    if (key == "boot_id") process.boot_id = value;
    if (key == "pid") process.pid = static_cast<int>(parse_decimal(value).value_or(0) & 0x7fffffff);
    if (key == "start_time") process.start_time = parse_decimal(value).value_or(0);
  }
  if (process.pid == 0) return std::nullopt;
  return process;
}

}  // namespace cocoon::engine
