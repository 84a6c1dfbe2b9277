// SPDX-License-Identifier: Apache-2.0
#include <sys/utsname.h>

#include "cli/app.h"
#include "cli/build_info.h"
#include "cli/general/general.h"
#include "cli/json_output.h"

namespace cocoon::cli {
namespace {

// The compiler's own words: "gcc 12.2.0", "clang 14.0.6".
std::string compiler() {
#if defined(__clang__)
  return fmt::format("clang {}.{}.{}", __clang_major__, __clang_minor__, __clang_patchlevel__);
#else
  return fmt::format("gcc {}", __VERSION__);
#endif
}

// As in OCI images: linux/amd64, linux/arm64.
std::string platform() {
  utsname host{};
  if (uname(&host) != 0) return "linux/unknown";
  std::string_view machine = host.machine;
  return fmt::format("linux/{}", machine == "x86_64"    ? "amd64"
                                 : machine == "aarch64" ? "arm64"
                                                        : machine);
}

Result<int> run_version(App& app, const std::string& format) {
  const BuildInfo& build = build_info();
  Output& output = app.output();
  if (wants_json(format)) {
    output.print(render_json({{"version", build.version},
                              {"git_hash", build.git_hash},
                              {"built", build.built},
                              {"build_id", build.id},
                              {"compiler", compiler()},
                              {"platform", platform()}}));
    return 0;
  }
  auto row = [&output](std::string_view label, std::string_view value) {
    output.line(fmt::format("{:<16}{}", label, value));  // values at column 17
  };
  row("Version:", build.version);
  row("Git hash:", build.git_hash);
  row("Built:", build.built);
  row("Compiler:", compiler());
  row("OS/Arch:", platform());
  return 0;
}

}  // namespace

Command version_command() {
  auto format = std::make_shared<std::string>();
  Command command;
  command.path = "version";
  command.summary = "Show the version of this cocoon";
  command.flags = {output_flag(format.get())};
  command.run = [format](App& app, const Arguments&) { return run_version(app, *format); };
  return command;
}

}  // namespace cocoon::cli
