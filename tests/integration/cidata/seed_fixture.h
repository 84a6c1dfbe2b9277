// SPDX-License-Identifier: Apache-2.0
// Temporary files and the programs that judge NoCloud disks.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "cidata/seed.h"

namespace cocoon::cidata {

class SeedFixture : public testing::Test {
 protected:
  SeedFixture();
  ~SeedFixture() override;

  // The first of the programs that is not installed; empty when all are.
  static std::string missing_program(const std::vector<std::string>& programs);
  // Is there this Python module?
  static bool has_module(const std::string& module);

  std::filesystem::path write(const std::string& name, const std::string& bytes);
  // The program's output; a test failure when it does not end with 0.
  static std::string run(const std::string& program, const std::vector<std::string>& args);
  // The last line that the Python script prints (warnings may come before), as JSON.
  static nlohmann::json run_python(const std::string& script, const std::vector<std::string>& args);

  // fsck.fat finds nothing to repair, blkid finds vfat and CIDATA, mtype reads the documents back.
  void expect_good_disk(const SeedValues& values);
  // The documents as PyYAML reads them, each {"meta": …, "user": …, "network": … or null}.
  nlohmann::json read_yaml(const std::vector<SeedValues>& all);

 private:
  std::filesystem::path directory_;
};

// Values of an ordinary VM with that many data disks and two NICs.
SeedValues sample_values(int mounts);

// What read_yaml() must give for values without data of the user, made from the values alone.
nlohmann::json expected_yaml(const SeedValues& values);

}  // namespace cocoon::cidata
