// SPDX-License-Identifier: Apache-2.0
// Compares a text with a file below golden/; COCOON_ACCEPT=1 rewrites it.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include <gtest/gtest.h>

namespace cocoon::test {

inline void expect_golden(const std::string& name, const std::string& got) {
  std::filesystem::path path = std::filesystem::path(COCOON_GOLDEN_DIR) / name;
  if (std::getenv("COCOON_ACCEPT") != nullptr) {
    std::ofstream(path) << got;
    return;
  }
  std::ifstream file(path);
  ASSERT_TRUE(file) << path << " is missing; run with COCOON_ACCEPT=1";
  std::stringstream want;
  want << file.rdbuf();
  EXPECT_EQ(got, want.str()) << path;
}

}  // namespace cocoon::test
