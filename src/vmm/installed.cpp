// SPDX-License-Identifier: Apache-2.0
#include "vmm/installed.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "base/clock.h"
#include "base/text.h"
#include "sys/spawn.h"
#include "vmm/fact_file.h"

namespace cocoon::vmm {
namespace {

constexpr Milliseconds kVersionLimit{10'000};
constexpr std::size_t kMaxQuote = 80;

// What tells one installed binary from another, without running it.
Result<std::string> binary_key(const std::string& path, std::string_view fact) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return fail_errno(fmt::format("look at {}", path));
  return fmt::format("{} 1 {} inode={} size={} mtime={}.{:09}", fact, escape_controls(path),
                     info.st_ino, info.st_size, info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
}

}  // namespace

Result<std::string> find_binary(const std::string& binary, std::string_view remedy) {
  auto path = sys::find_program(binary);
  if (!path) return fail(ErrorKind::kUnsupported, "{} is not installed ({})", binary, remedy);
  std::error_code error;
  auto absolute = std::filesystem::absolute(*path, error);
  if (error) return fail(ErrorKind::kSystem, "find {}: {}", *path, error.message());
  return absolute.native();
}

Result<Version> installed_version(const std::string& path, const std::filesystem::path& run_dir,
                                  const VersionQuestion& question) {
  auto fact = run_dir / question.fact;
  std::string key = COCOON_TRY(binary_key(path, question.fact));
  if (auto known = read_fact(fact, key)) {
    if (auto version = question.parse(*known)) return version;
  }
  sys::SpawnSpec spec;
  spec.program = path;
  spec.args = {"--version"};
  std::string output =
      COCOON_TRY(sys::run_program(std::move(spec), kVersionLimit), "ask {} for its version", path);
  std::string first(split(output, '\n').front());
  Version version = COCOON_TRY(question.parse(first), "ask {} for its version", path);
  write_fact(fact, key, first);
  return version;
}

Result<void> check_oldest(const std::string& path, const Version& found, const Version& oldest) {
  if (found >= oldest) return {};
  return fail(ErrorKind::kUnsupported, "{} is version {}; {}.{} or newer is needed", path,
              found.to_string(), oldest.major, oldest.minor);
}

Result<Version> parse_version_line(std::string_view line, std::string_view lead,
                                   std::size_t least) {
  std::string_view quote = line.substr(0, std::min(line.size(), kMaxQuote));
  if (!line.starts_with(lead)) {
    return fail(ErrorKind::kUnsupported, "\"{}\" does not begin with \"{}\"", quote, lead);
  }
  std::string_view rest = line.substr(lead.size());
  auto end = std::find_if(rest.begin(), rest.end(), [](char c) {
    return c != '.' && std::isdigit(static_cast<unsigned char>(c)) == 0;
  });
  auto parts = split(rest.substr(0, static_cast<std::size_t>(end - rest.begin())), '.');
  std::array<int, 3> numbers{};
  for (std::size_t index = 0; index < std::min(numbers.size(), std::max(parts.size(), least));
       ++index) {
    auto number = index < parts.size() ? parse_decimal(parts[index]) : std::nullopt;
    if (!number || *number > 9999) {
      return fail(ErrorKind::kUnsupported, "no version number in \"{}\"", quote);
    }
    numbers[index] = static_cast<int>(*number);
  }
  return Version{numbers[0], numbers[1], numbers[2]};
}

}  // namespace cocoon::vmm
