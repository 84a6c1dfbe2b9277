// SPDX-License-Identifier: Apache-2.0
//
// A DHCP client: one process per interface, which gets a lease, gives the interface its address and
// renews the lease as long as the VM lives.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "guest/fd.h"
#include "guest/result.h"

namespace cocoon::guest {

/// What of a lease others have to know.
struct Lease {
  std::vector<std::string> dns;
};

class LeaseKeeper {
 public:
  /// Starts the process. The interface is up. `metric` is that of the default route.
  static Result<LeaseKeeper> start(const std::string& interface, const std::string& mac,
                                   const std::string& hostname, unsigned metric);

  /// Waits for its first lease. After a time-out the process goes on.
  Result<Lease> first_lease(const Deadline& deadline);

 private:
  LeaseKeeper(std::string interface, UniqueFd report)
      : interface_(std::move(interface)), report_(std::move(report)) {}

  std::string interface_;
  UniqueFd report_;
};

/// Tells every keeper in this guest that its interface has another MAC, or the guest another name:
/// leases are given up and asked for anew.
void renew_leases();

}  // namespace cocoon::guest
