// SPDX-License-Identifier: Apache-2.0
#include "guest/agent_main.h"

#include <cstdlib>
#include <string_view>

#include "guest/agent/agent.h"
#include "guest/supervisor.h"

extern char** environ;

namespace cocoon::guest {
namespace {

UniqueFd take_descriptor(const char* text) {
  const int fd = std::atoi(text);
  ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
  return UniqueFd(fd);
}

bool parse(int argc, char** argv, AgentConfig& config) {
  for (int i = 2; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (i + 1 >= argc) return false;
    if (word == "--stream") {
      config.stream = take_descriptor(argv[++i]);
    } else if (word == "--serial") {
      config.serial = take_descriptor(argv[++i]);
    } else if (word == "--attach") {
      config.attach.emplace();
      config.attach->argv.assign(argv + i + 1, argv + argc);
      config.attach->env = config.env;
      return true;
    } else {
      return false;
    }
  }
  return true;
}

}  // namespace

int agent_main(int argc, char** argv) {
  AgentConfig config;
  for (char** entry = environ; *entry != nullptr; ++entry) config.env.emplace_back(*entry);
  config.phase = "init";
  if (!parse(argc, argv, config)) {
    write_all(STDERR_FILENO,
              "usage: cocoon-guest agent [--stream FD] [--serial FD] [--attach CMD...]\n");
    return 2;
  }
  return run_agent(std::move(config));
}

}  // namespace cocoon::guest
