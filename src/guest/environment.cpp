// SPDX-License-Identifier: Apache-2.0
#include "guest/environment.h"

#include <algorithm>

namespace cocoon::guest {
namespace {

bool names(std::string_view entry, std::string_view name) {
  return entry.size() > name.size() && entry.starts_with(name) && entry[name.size()] == '=';
}

void add_if_absent(Environment& env, std::string_view name, std::string_view value) {
  const bool present =
      std::any_of(env.begin(), env.end(), [&](const auto& entry) { return names(entry, name); });
  if (!present) env.push_back(std::string(name) + "=" + std::string(value));
}

}  // namespace

std::string_view find_variable(const Environment& env, std::string_view name) {
  for (const std::string_view entry : env) {
    if (names(entry, name)) return entry.substr(name.size() + 1);
  }
  return {};
}

Environment complete_environment(Environment env, const std::string& home,
                                 const std::string& hostname) {
  add_if_absent(env, "PATH", kDefaultPath);
  add_if_absent(env, "HOME", home);
  add_if_absent(env, "TERM", "xterm");  // what a user's terminal behind the console mostly is
  if (!hostname.empty()) add_if_absent(env, "HOSTNAME", hostname);
  return env;
}

std::vector<std::string> program_candidates(const std::string& program, std::string_view path) {
  if (program.empty() || program.find('/') != std::string::npos) return {program};
  std::vector<std::string> candidates;
  for (std::size_t start = 0; start <= path.size();) {
    const std::size_t end = std::min(path.find(':', start), path.size());
    const std::string_view directory = path.substr(start, end - start);
    candidates.push_back(directory.empty() ? program : std::string(directory) + "/" + program);
    start = end + 1;
  }
  return candidates;
}

}  // namespace cocoon::guest
