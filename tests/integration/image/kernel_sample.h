// SPDX-License-Identifier: Apache-2.0
// A kernel and a module tree that look real enough for an import, without an index.
#pragma once

#include <filesystem>
#include <string>

namespace cocoon::test {

class KernelSample {
 public:
  // Makes the files below `dir`.
  explicit KernelSample(const std::filesystem::path& dir,
                        const std::string& version = "6.1.0-test");
  std::string kernel() const { return dir_ / "vmlinuz"; }
  std::string modules() const { return dir_ / "lib" / "modules" / version_; }
  std::string guest() const { return dir_ / "guest"; }

 private:
  std::filesystem::path dir_;
  std::string version_;
};

}  // namespace cocoon::test
