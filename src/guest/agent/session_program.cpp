// SPDX-License-Identifier: Apache-2.0
#include "guest/agent/session_program.h"

#include <algorithm>

#include "guest/root_dir.h"

namespace cocoon::guest {

void merge_environment(Environment& env, const agent_wire::StringMap& changes) {
  for (const auto& [name, value] : changes) {
    if (name.empty() || name.find('=') != std::string::npos ||
        name.find('\0') != std::string::npos || value.find('\0') != std::string::npos)
      continue;
    const std::string prefix = name + "=";
    env.erase(std::remove_if(env.begin(), env.end(),
                             [&](const std::string& entry) { return entry.starts_with(prefix); }),
              env.end());
    env.push_back(prefix + value);
  }
}

RunSpec session_run(const agent_wire::Frame& frame, Environment env) {
  merge_environment(env, frame.env);
  RunSpec run;
  run.argv = frame.argv;
  run.env = std::move(env);
  run.workdir = frame.workdir;
  run.user = frame.user;
  return run;
}

Result<Program> prepare_session_program(const RunSpec& run, const std::string& hostname,
                                        bool make_workdir) {
  const RootDir root = COCOON_GUEST_TRY(RootDir::open("/"));
  if (make_workdir || run.workdir.empty()) return prepare_program(run, hostname, root);
  RunSpec in_root = run;
  in_root.workdir.clear();
  Program program = COCOON_GUEST_TRY(prepare_program(in_root, hostname, root));
  auto workdir = root.open_at(run.workdir, O_PATH | O_DIRECTORY);
  if (!workdir) return fail("working directory", workdir.error().text());
  program.workdir = *std::move(workdir);
  return program;
}

}  // namespace cocoon::guest
