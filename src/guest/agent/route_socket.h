// SPDX-License-Identifier: Apache-2.0
//
// Addresses and routes by rtnetlink, IPv4 and IPv6.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "guest/fd.h"
#include "guest/result.h"

namespace cocoon::guest {

/// "10.0.0.2/24", "fd00::2/64"; without a length the whole address.
struct IpPrefix {
  int family = 0;
  std::vector<unsigned char> bytes;  // 4 or 16
  unsigned length = 0;
};
std::optional<IpPrefix> parse_prefix(const std::string& text);

class RouteSocket {
 public:
  static Result<RouteSocket> open();

  /// The interface has these addresses and no others (but link-local ones of IPv6).
  Result<void> replace_addresses(unsigned index, const std::vector<std::string>& addresses);
  /// `to`: a prefix or "default"; `via`: an address, or empty for what is on the link.
  Result<void> replace_route(unsigned index, const std::string& to, const std::string& via);

 private:
  explicit RouteSocket(UniqueFd fd) : fd_(std::move(fd)) {}
  Result<void> change_address(unsigned index, const IpPrefix& address, bool add);
  Result<void> ask(const std::string& message, const std::string& what);

  UniqueFd fd_;
};

}  // namespace cocoon::guest
