// SPDX-License-Identifier: Apache-2.0
// What a CNI plugin prints: the result of ADD (all versions from 0.1.0 to 1.1.0) and its error
// object. Plugins are programs of others: everything is checked, nothing of it is trusted. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "model/nic.h"

namespace cocoon::network::cni {

// What of an attachment matters to a guest.
struct AddResult {
  std::optional<model::NicAddress> address;  // the first IPv4 one; none: the guest asks DHCP
  std::vector<std::string> addresses;        // all, as "address/len": what DEL may look for
  std::vector<model::NicRoute> routes;       // IPv4 ones besides the default route
  std::vector<std::string> dns;
};

// The JSON object that ADD printed. kCorrupt when it is none. A missing cniVersion becomes the
// configuration's.
Result<nlohmann::json> parse_result(std::string_view output, const std::string& config_version);

// Reads the object. kCorrupt for addresses, gateways, routes or name servers that are none;
// kUnsupported for a network that gives out IPv6 addresses only (the guest would wait for DHCP in
// vain).
Result<AddResult> read_result(const nlohmann::json& result);

// "msg; details" of an error object on stdout, else what stderr holds, else `status`.
std::string describe_failure(std::string_view output, std::string_view errors,
                             std::string_view status);

}  // namespace cocoon::network::cni
