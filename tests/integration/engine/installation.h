// SPDX-License-Identifier: Apache-2.0
// A root directory of the tests' own, with a store in it.
#pragma once

#include <optional>
#include <string>

#include <gtest/gtest.h>

#include "engine/ports.h"
#include "model/vm.h"
#include "sys/files.h"

namespace cocoon::engine::test {

inline constexpr const char* kVm = "K3QZ7WJ5M2XA4TBN6RCVYDHEPL";
inline constexpr const char* kOtherVm = "T5XQ2MZK7RWN4YBD6VHA3CJLEP";

class Installation {
 public:
  Installation();
  Ports& ports() { return *ports_; }

  // A VM with a row and a directory, in this state.
  model::Vm add_vm(const std::string& id, model::VmState state);
  // Its row as it is now.
  model::Vm row(const std::string& id);
  void put(const model::Vm& vm);

 private:
  std::optional<sys::TempDir> dir_;
  model::Config config_;
  std::optional<store::Db> db_;
  std::optional<Ports> ports_;
};

}  // namespace cocoon::engine::test
