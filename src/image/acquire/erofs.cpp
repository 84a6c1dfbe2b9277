// SPDX-License-Identifier: Apache-2.0
#include "image/acquire/erofs.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <tuple>

#include "base/text.h"
#include "sys/spawn.h"

namespace cocoon::image {
namespace {

// A layer of the largest size takes its time on one slow core; nothing else ends a stuck mkfs.
constexpr Milliseconds kLimit = std::chrono::hours(12);

using Version = std::tuple<std::uint64_t, std::uint64_t, std::uint64_t>;

Version version_numbers(std::string_view text) {
  std::array<std::uint64_t, 3> numbers{};
  std::size_t index = 0;
  for (std::string_view part : split(text, '.')) {
    auto digits = part.substr(0, part.find_first_not_of("0123456789"));
    if (index < numbers.size()) numbers[index++] = parse_decimal(digits).value_or(0);
  }
  return {numbers[0], numbers[1], numbers[2]};
}

// "mkfs.erofs 1.5" (1.5) or "mkfs.erofs (erofs-utils) 1.8.10".
std::string find_version(std::string_view text) {
  for (std::string_view line : split(text, '\n')) {
    if (!line.starts_with("mkfs.erofs ")) continue;
    auto last = line.rfind(' ');
    std::string_view word = trim(line.substr(last + 1));
    if (!word.empty() && word[0] >= '0' && word[0] <= '9') return std::string(word);
  }
  return "";
}

std::string id_text(std::string text) {
  std::replace(text.begin(), text.end(), ',', '.');
  return text;
}

std::vector<std::string> common_args(const ErofsTool& tool, const ErofsJob& job) {
  // No table of shared attributes: its order would depend on that of readdir (spec 02 §13.5).
  std::vector<std::string> args{"--quiet", "-x255"};
  if (tool.compression != "none") {
    args.push_back("-z" + tool.compression);
    args.emplace_back("-C4096");  // no big clusters: they need a newer guest kernel
  }
  if (tool.has_block_size) args.emplace_back("-b4096");
  if (job.no_times) {
    args.emplace_back("-T0");
  } else if (tool.has_mkfs_time) {
    args.push_back(fmt::format("-T{}", job.newest));
    args.emplace_back("--mkfs-time");
  }
  args.emplace_back("-U" + job.uuid);
  return args;
}

sys::SpawnSpec command(const ErofsTool& tool, const ErofsJob& job, std::vector<std::string> args) {
  sys::SpawnSpec spec;
  spec.program = tool.program;
  spec.args = std::move(args);
  const char* path = getenv("PATH");
  spec.env = {fmt::format("PATH={}", path == nullptr ? "/usr/sbin:/usr/bin:/sbin:/bin" : path),
              "LC_ALL=C", "TMPDIR=" + job.work.native()};
  // Before 1.8 this is the only way to a fixed build time that leaves the files' times alone.
  if (!tool.has_mkfs_time && !job.no_times) {
    spec.env.push_back(fmt::format("SOURCE_DATE_EPOCH={}", job.newest));
  }
  int number = 3;
  for (int fd : job.keep_open) spec.fds.emplace_back(fd, number++);
  return spec;
}

// A full disk shows up in mkfs as one of many messages of its own.
Failure mkfs_failure(Error error, const ErofsJob& job) {
  constexpr std::int64_t kNearlyFull = std::int64_t{1} << 20;
  auto left = sys::free_bytes(job.output.parent_path());
  if (error.kind == ErrorKind::kSystem && left && *left < kNearlyFull) {
    return fail_errno(ENOSPC, fmt::format("write {}", job.output.filename().native()));
  }
  return pass(std::move(error));
}

Result<void> check_output(const ErofsJob& job) {
  sys::UniqueFd fd = COCOON_TRY(sys::open_file(job.output, O_RDONLY | O_NOFOLLOW));
  if (fsync(fd.get()) != 0) return fail_errno(fmt::format("fsync {}", job.output.native()));
  // struct erofs_super_block at 1024: magic first, count of inodes at its offset 16, UUID at 48.
  std::array<char, 64> block{};
  constexpr std::string_view kMagic("\xe2\xe1\xf5\xe0", 4);
  bool read =
      pread(fd.get(), block.data(), block.size(), 1024) == static_cast<ssize_t>(block.size());
  std::string uuid;
  for (char c : job.uuid) {
    if (c != '-') uuid += c;
  }
  std::int64_t inodes = 0;
  for (std::size_t i = 8; i-- > 0;)
    inodes = inodes << 8 | static_cast<unsigned char>(block[16 + i]);
  if (!read || std::string_view(block.data(), 4) != kMagic ||
      to_hex({block.data() + 48, 16}) != uuid || (job.inodes != 0 && job.inodes != inodes)) {
    return fail(ErrorKind::kInternal, "mkfs.erofs made something else than asked for");
  }
  return {};
}

// What mkfs.erofs says to these options, whatever its exit status.
Result<std::string> output_of(std::vector<std::string> args) {
  sys::Pipe pipe = COCOON_TRY(sys::make_pipe());
  sys::SpawnSpec spec;
  spec.program = ErofsTool{}.program;
  spec.args = std::move(args);
  spec.fds = {{pipe.write_end.get(), 1}, {pipe.write_end.get(), 2}};
  sys::Child child = COCOON_TRY(sys::spawn(spec));
  pipe.write_end.reset();
  constexpr std::size_t kLongest = std::size_t{1} << 20;
  std::string text = COCOON_TRY(sys::read_fd(pipe.read_end.get(), kLongest));
  COCOON_TRY(child.wait(deadline_in(Milliseconds(20'000))));
  return text;
}

// Hands the stream to the program; a broken pipe is the program's own failure, told by its status.
Result<void> feed(ByteSource& tar, int fd) {
  std::string chunk(std::size_t{256} << 10, '\0');
  bool broken = false;
  while (true) {
    std::size_t got = COCOON_TRY(tar.read(chunk.data(), chunk.size()));
    if (got == 0) return {};
    if (broken) continue;  // mkfs stops at the end marker; what follows is only for the digest
    auto put = sys::write_all(fd, {chunk.data(), got});
    if (!put && put.error().saved_errno != EPIPE) return pass(std::move(put).error());
    broken = !put;
  }
}

}  // namespace

std::string ErofsTool::staged_id() const {
  return fmt::format("staged{}-{}", has_mkfs_time ? 2 : 1, id_text(compression));
}

std::string ErofsTool::tar_id() const { return "tar1-" + id_text(compression); }

Result<ErofsTool> parse_erofs_help(const std::string& text, const std::string& compression) {
  ErofsTool tool;
  tool.compression = compression;
  tool.version = find_version(text);
  auto has = [&](std::string_view option) { return text.find(option) != std::string::npos; };
  Version version = version_numbers(tool.version);
  tool.has_block_size = has("-b#");
  tool.has_mkfs_time = has("--mkfs-time");
  tool.has_tar = has("--tar") && has("--aufs") && version >= Version{1, 8, 9};
  std::string algorithm = compression.substr(0, compression.find(','));
  bool known =
      compression == "none" ||
      (algorithm.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789") == std::string::npos &&
       !algorithm.empty() && has(algorithm));
  if (!known) {
    return fail(ErrorKind::kInvalid, "erofs_compression: mkfs.erofs {} does not know \"{}\"",
                tool.version, compression);
  }
  return tool;
}

Result<ErofsTool> probe_erofs(const std::string& compression) {
  auto help = output_of({"--help"});
  if (!help && help.error().kind == ErrorKind::kNotFound) {
    return fail(ErrorKind::kUnsupported,
                "mkfs.erofs is not installed (package erofs-utils): images cannot be imported");
  }
  if (!help) return pass(std::move(help).error(), "ask mkfs.erofs what it can do");
  // 1.5 does not know -V either, but prints its version before it says so.
  *help += COCOON_TRY(output_of({"-V"}), "ask mkfs.erofs for its version");
  return parse_erofs_help(*help, compression);
}

Result<void> build_erofs(const ErofsTool& tool, const ErofsJob& job, const sys::fs::path& tree) {
  auto args = common_args(tool, job);
  args.push_back(job.output.native());
  args.push_back(tree.native());
  auto done = sys::run_program(command(tool, job, std::move(args)), kLimit);
  if (!done) return mkfs_failure(std::move(done).error(), job);
  return check_output(job);
}

Result<void> build_erofs_from_tar(const ErofsTool& tool, const ErofsJob& job, ByteSource& tar) {
  auto args = common_args(tool, job);
  args.emplace_back("--tar=f");
  args.emplace_back("--aufs");
  args.push_back(job.output.native());
  signal(SIGPIPE, SIG_IGN);  // mkfs may stop reading early, which is no reason for us to die
  sys::Pipe pipe = COCOON_TRY(sys::make_pipe());
  auto log_path = job.work / "mkfs.log";
  sys::UniqueFd log = COCOON_TRY(sys::open_file(log_path, O_RDWR | O_CREAT | O_TRUNC, 0600));
  auto spec = command(tool, job, std::move(args));
  spec.fds.insert(spec.fds.end(), {{pipe.read_end.get(), 0}, {log.get(), 1}, {log.get(), 2}});
  sys::Child child = COCOON_TRY(sys::spawn(spec));
  pipe.read_end.reset();
  // The stream's own failure comes first: mkfs would only fail because of it (spec 02 §17 B11).
  COCOON_TRY(feed(tar, pipe.write_end.get()));
  pipe.write_end.reset();
  int status = COCOON_TRY(child.wait(deadline_in(kLimit)), "run {}", tool.program);
  if (status == 0) return check_output(job);
  Error error{ErrorKind::kSystem,
              fmt::format("{}: {}: {}", tool.program, sys::describe_wait_status(status),
                          last_lines(sys::read_tail(log_path, 4096), 5)),
              {},
              0};
  return mkfs_failure(std::move(error), job);
}

}  // namespace cocoon::image
