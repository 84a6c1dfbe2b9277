// SPDX-License-Identifier: Apache-2.0
// A hypervisor's published API definition (OpenAPI 3 or Swagger 2, in YAML), used where it lies:
// `api/` of the directory that COCOON_SHARED_DIR names, or of ../shared beside the checkout.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "vmm/launch.h"

namespace cocoon::vmm::test {

class ApiDefinition {
 public:
  // nullopt: it is not there. `prefix`: what our paths have before the definition's.
  static std::optional<ApiDefinition> load(const std::string& file, std::string prefix);
  // Where it was looked for, for the message of a skip.
  static std::string place(const std::string& file);

  // What is wrong with a request, judged by the definition: unknown path or method, a body too many
  // or missing, unknown and missing members, wrong types, values outside an enumeration or a range.
  std::vector<std::string> complaints(const ApiCall& call) const;

 private:
  struct Yaml;  // keeps the YAML library out of every test
  ApiDefinition(std::shared_ptr<const Yaml> yaml, std::string prefix)
      : yaml_(std::move(yaml)), prefix_(std::move(prefix)) {}
  std::shared_ptr<const Yaml> yaml_;
  std::string prefix_;
};

}  // namespace cocoon::vmm::test
