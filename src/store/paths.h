// SPDX-License-Identifier: Apache-2.0
// Where things lie below root, run and log (design §5). Rows hold relative names only.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "model/config.h"

namespace cocoon::store {

namespace fs = std::filesystem;

class Paths {
 public:
  explicit Paths(const model::Config& config)
      : root_(config.root_dir), run_(config.run_dir), log_(config.log_dir) {}

  const fs::path& root() const { return root_; }
  const fs::path& run() const { return run_; }
  const fs::path& log() const { return log_; }
  fs::path database() const { return root_ / "cocoon.db"; }
  fs::path blobs() const { return root_ / "blobs"; }
  fs::path kernels() const { return root_ / "kernels"; }
  fs::path kernel(std::string_view id) const { return kernels() / id; }
  fs::path snapshots() const { return root_ / "snapshots"; }
  fs::path snapshot(std::string_view id) const { return snapshots() / id; }
  fs::path temp() const { return root_ / "tmp"; }
  // Notes of what is made outside of the store (engine/outside_temp.h).
  fs::path exports() const { return root_ / "exports"; }
  fs::path downloads() const { return root_ / "downloads"; }
  fs::path lock(std::string_view kind, std::string_view id) const {
    return root_ / "locks" / kind / id;
  }
  fs::path exits() const { return run_ / "exits"; }
  fs::path exit_file(std::string_view id) const { return exits() / (std::string(id) + ".json"); }
  fs::path backend_run(std::string_view directory) const { return run_ / directory; }
  fs::path vm(std::string_view directory, std::string_view id) const {
    return run_ / directory / id;
  }
  fs::path vm_log(std::string_view directory, std::string_view id) const {
    return log_ / directory / id;
  }

 private:
  fs::path root_, run_, log_;
};

}  // namespace cocoon::store
