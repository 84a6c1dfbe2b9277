// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include <gtest/gtest.h>

#include "guest/root_dir.h"

namespace cocoon::guest {

/// A test with a directory of its own; `root` in it plays the new root.
class TempTree : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "cocoon-guest-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    top_ = name;
    std::filesystem::create_directory(top_ / "root");
    auto root = RootDir::open((top_ / "root").c_str());
    ASSERT_TRUE(root) << root.error().text();
    root_ = std::make_unique<RootDir>(*std::move(root));
  }
  void TearDown() override {
    std::error_code ignored;
    std::filesystem::remove_all(top_, ignored);
  }

  std::filesystem::path path(const std::string& in_root) const { return top_ / "root" / in_root; }
  const RootDir& root() const { return *root_; }

  static std::string read(const std::filesystem::path& file) {
    std::ostringstream text;
    text << std::ifstream(file).rdbuf();
    return text.str();
  }
  static void write(const std::filesystem::path& file, const std::string& text) {
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }

  std::filesystem::path top_;

 private:
  std::unique_ptr<RootDir> root_;
};

}  // namespace cocoon::guest
