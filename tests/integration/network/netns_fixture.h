// SPDX-License-Identifier: Apache-2.0
// A host of the tests' own: each test program runs in a network and mount namespace that it made,
// so that nothing of the machine's network is touched.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include <gtest/gtest.h>

#include "base/error.h"
#include "network/netns.h"
#include "sys/files.h"

namespace cocoon::network::test {

inline constexpr const char* kVm = "K3QZ7WJ5M2XA4TBN6RCVYDHEPL";
inline constexpr const char* kOtherVm = "T5XQ2MZK7RWN4YBD6VHA3CJLEP";

class PrivateHost : public ::testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  // Runs a program of iproute2 or so; its output, or a failure of the test.
  static std::string run(const std::string& program, std::vector<std::string> args);
  // The same in the VM's namespace.
  static std::string run_in(const std::string& vm, const std::string& program,
                            std::vector<std::string> args);
  static std::string sh(const std::string& vm, const std::string& words);

  const Owner owner_{"0123456789abcdef", kVm};
  std::optional<sys::TempDir> dir_;
};

}  // namespace cocoon::network::test
