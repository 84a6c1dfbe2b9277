// SPDX-License-Identifier: Apache-2.0
// What the body of a command works with.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/config/settings.h"
#include "cli/output.h"
#include "engine/ports.h"

namespace cocoon::cli {

// One per process. Opens the store on first use. Not movable: the ports point into it.
class App {
 public:
  App(const Program& program, Settings settings, const std::vector<std::string>& words,
      Output& output)
      : program_(program), settings_(std::move(settings)), words_(words), output_(output) {}
  App(const App&) = delete;
  App& operator=(const App&) = delete;
  ~App() = default;

  const Program& program() const { return program_; }
  const model::Config& config() const { return settings_.config; }
  Output& output() { return output_; }
  // The global flags of the command line, for a program of ours that does part of the work.
  const std::vector<std::string>& given_flags() const { return settings_.given_flags; }
  // The whole command line, for a body that sees by its flags that it needs what only the helper
  // has (exec_cocoon_image).
  const std::vector<std::string>& words() const { return words_; }

  // The engine's ports; the store is made when there is none yet. The pointer is never null.
  Result<engine::Ports*> ports();

  // Null when there is no store yet: then nothing exists, and a command that only reads creates
  // nothing (spec 01 §24 row 42).
  Result<engine::Ports*> ports_of_existing_store();

 private:
  engine::Ports* open(store::Db db);

  const Program& program_;
  Settings settings_;
  const std::vector<std::string>& words_;
  Output& output_;
  std::optional<store::Db> db_;
  std::optional<engine::Ports> ports_;
};

}  // namespace cocoon::cli
