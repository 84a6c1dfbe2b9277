// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "agent_wire/frame.h"
#include "guest/boot_config.h"
#include "guest/environment.h"
#include "guest/program.h"

namespace cocoon::guest {

/// Adds `changes` to `env`, replacing entries of the same names. Names that are none are dropped.
void merge_environment(Environment& env, const agent_wire::StringMap& changes);

/// What an "exec" or "run" frame asks for, on top of the environment of the VM.
RunSpec session_run(const agent_wire::Frame& frame, Environment env);

/// As prepare_program, in the running guest: a missing working directory is made only if
/// `make_workdir`.
Result<Program> prepare_session_program(const RunSpec& run, const std::string& hostname,
                                        bool make_workdir);

}  // namespace cocoon::guest
