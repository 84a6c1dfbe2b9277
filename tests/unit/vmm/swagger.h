// SPDX-License-Identifier: Apache-2.0
// Checks API calls against a hypervisor's published Swagger 2 definition, used where it lies.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "vmm/launch.h"

namespace cocoon::vmm::test {

class Swagger {
 public:
  // nullopt: the file is not there.
  static std::optional<Swagger> load(const std::string& path);

  // What is wrong with a call, one line each: an unknown path or method, a missing, unknown or
  // badly typed field, a value that is not among those allowed. Empty: nothing.
  std::vector<std::string> check(const ApiCall& call) const;

  // As check(), for a value of a named definition.
  std::vector<std::string> check_as(const nlohmann::json& value,
                                    const std::string& definition) const;

 private:
  nlohmann::json document_;
};

}  // namespace cocoon::vmm::test
