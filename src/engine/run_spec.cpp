// SPDX-License-Identifier: Apache-2.0
#include "engine/run_spec.h"

#include <algorithm>
#include <cstdlib>

namespace cocoon::engine {
namespace {

// Sets K=V, replacing an earlier K.
void set_env(std::vector<std::string>& env, const std::string& entry) {
  std::string prefix = entry.substr(0, entry.find('=') + 1);
  auto same = [&](const std::string& other) { return other.rfind(prefix, 0) == 0; };
  auto at = std::find_if(env.begin(), env.end(), same);
  if (at != env.end()) {
    *at = entry;
  } else {
    env.push_back(entry);
  }
}

Result<void> add_user_env(std::vector<std::string>& env, const std::string& entry) {
  auto equals = entry.find('=');
  if (entry.empty() || equals == 0 || entry.find('\0') != std::string::npos) {
    return fail(ErrorKind::kInvalid, "--env \"{}\": wanted KEY=VALUE or KEY", entry);
  }
  if (equals != std::string::npos) {
    set_env(env, entry);
  } else if (const char* value = std::getenv(entry.c_str())) {
    // As docker does: a bare name takes the caller's value, or is left out.
    set_env(env, entry + "=" + value);
  }
  return {};
}

std::vector<std::string> resolve_argv(const CreateRequest& request,
                                      const model::ImageConfig& image) {
  if (request.init) return {};
  std::vector<std::string> argv;
  if (request.entrypoint && !request.entrypoint->empty()) argv.push_back(*request.entrypoint);
  argv.insert(argv.end(), request.command.begin(), request.command.end());
  // --entrypoint "" clears the image's own, as docker does.
  if (!argv.empty() || request.entrypoint) return argv;
  argv = image.entrypoint;
  argv.insert(argv.end(), image.cmd.begin(), image.cmd.end());
  return argv;
}

}  // namespace

Result<model::RunSpec> resolve_run(const CreateRequest& request, const model::ImageConfig& image) {
  model::RunSpec run;
  run.argv = resolve_argv(request, image);
  run.init = run.argv.empty();
  if (run.init) run.argv = {"/sbin/init"};
  for (const std::string& entry : image.env) {
    if (entry.find('=') != std::string::npos) set_env(run.env, entry);
  }
  for (const std::string& entry : request.env) COCOON_TRY(add_user_env(run.env, entry));
  run.workdir = request.workdir.empty() ? image.workdir : request.workdir;
  run.user = request.user.empty() ? image.user : request.user;
  if (!request.workdir.empty() && request.workdir[0] != '/') {
    return fail(ErrorKind::kInvalid, "--workdir \"{}\": must be an absolute path", request.workdir);
  }
  return run;
}

}  // namespace cocoon::engine
