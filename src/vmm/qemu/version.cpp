// SPDX-License-Identifier: Apache-2.0
#include "vmm/qemu/version.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "base/clock.h"
#include "base/text.h"
#include "sys/spawn.h"
#include "vmm/fact_file.h"

namespace cocoon::vmm::qemu {
namespace {

constexpr Milliseconds kVersionLimit{10'000};

// What tells one installed binary from another, without running it.
Result<std::string> binary_key(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return fail_errno(fmt::format("look at {}", path));
  return fmt::format("qemu-version 1 {} inode={} size={} mtime={}.{:09}", escape_controls(path),
                     info.st_ino, info.st_size, info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
}

}  // namespace

Result<Version> parse_version(std::string_view output) {
  constexpr std::string_view kLead = "QEMU emulator version ";
  if (!output.starts_with(kLead)) {
    return fail(ErrorKind::kUnsupported, "\"{}\" is not what QEMU says",
                output.substr(0, std::min<std::size_t>(output.size(), 80)));
  }
  std::string_view rest = output.substr(kLead.size());
  auto end = std::find_if(rest.begin(), rest.end(), [](char c) {
    return c != '.' && std::isdigit(static_cast<unsigned char>(c)) == 0;
  });
  auto parts = split(rest.substr(0, static_cast<std::size_t>(end - rest.begin())), '.');
  std::array<int, 3> numbers{};
  for (std::size_t index = 0; index < numbers.size(); ++index) {
    auto number = index < parts.size() ? parse_decimal(parts[index]) : std::nullopt;
    if (!number || *number > 9999) {
      return fail(ErrorKind::kUnsupported, "no version number in \"{}\"", output.substr(0, 80));
    }
    numbers[index] = static_cast<int>(*number);
  }
  return Version{numbers[0], numbers[1], numbers[2]};
}

Result<std::string> find_binary(const std::string& binary) {
  auto path = sys::find_program(binary);
  if (!path) {
    return fail(ErrorKind::kUnsupported, "{} is not installed (package qemu-system-x86)", binary);
  }
  std::error_code error;
  auto absolute = std::filesystem::absolute(*path, error);
  if (error) return fail(ErrorKind::kSystem, "find {}: {}", *path, error.message());
  return absolute.native();
}

Result<Version> installed_version(const std::string& path, const std::filesystem::path& run_dir) {
  auto fact = run_dir / "qemu-version";
  std::string key = COCOON_TRY(binary_key(path));
  if (auto known = read_fact(fact, key)) {
    if (auto version = parse_version(*known)) return version;
  }
  sys::SpawnSpec spec;
  spec.program = path;
  spec.args = {"--version"};
  std::string output =
      COCOON_TRY(sys::run_program(std::move(spec), kVersionLimit), "ask {} for its version", path);
  std::string first(split(output, '\n').front());
  Version version = COCOON_TRY(parse_version(first), "ask {} for its version", path);
  write_fact(fact, key, first);
  return version;
}

}  // namespace cocoon::vmm::qemu
