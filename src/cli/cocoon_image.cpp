// SPDX-License-Identifier: Apache-2.0
#include "cli/cocoon_image.h"

#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "cli/build_info.h"
#include "sys/spawn.h"

namespace cocoon::cli {
namespace {

constexpr const char* kBuildVariable = "COCOON_BUILD_ID";
constexpr std::string_view kHelper = "cocoon-image";

}  // namespace

Result<int> exec_cocoon_image(const std::vector<std::string>& arguments) {
  std::string dir = COCOON_TRY(sys::libexec_dir(), "find {}", kHelper);
  std::string program = fmt::format("{}/{}", dir, kHelper);
  if (setenv(kBuildVariable, std::string(build_info().id).c_str(), 1) != 0) {
    return fail_errno("set the environment");
  }
  std::vector<std::string> words{program};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  execv(program.c_str(), argv.data());
  return fail_errno(fmt::format("start {}", program));
}

Result<sys::SpawnSpec> cocoon_image_spec(std::vector<std::string> arguments) {
  std::string dir = COCOON_TRY(sys::libexec_dir(), "find {}", kHelper);
  sys::SpawnSpec spec;
  spec.program = fmt::format("{}/{}", dir, kHelper);
  spec.args = std::move(arguments);
  for (char** entry = environ; *entry != nullptr; ++entry) spec.env.emplace_back(*entry);
  spec.env.push_back(fmt::format("{}={}", kBuildVariable, build_info().id));
  return spec;
}

Result<void> check_caller_build() {
  const char* caller = std::getenv(kBuildVariable);
  if (caller == nullptr) {
    return fail(ErrorKind::kUnsupported, "{} is a part of cocoon and started by it", kHelper);
  }
  if (caller != build_info().id) {
    return fail(
        ErrorKind::kUnsupported,
        "{} is of another build ({}) than the cocoon that started it ({}): install both anew",
        kHelper, build_info().id, caller);
  }
  // Programs that we start have nothing to do with it.
  unsetenv(kBuildVariable);
  return {};
}

}  // namespace cocoon::cli
