// SPDX-License-Identifier: Apache-2.0
//
// The VM's network interfaces, as boot.json describes them: names, MTU, addresses, routes; DHCP for
// those without an address.
#pragma once

#include <string>
#include <vector>

#include "guest/boot_config.h"
#include "guest/console.h"
#include "guest/root_dir.h"

namespace cocoon::guest {

/// What an interface gets, from boot.json or from a DHCP server.
struct InterfaceSettings {
  std::string name;
  std::string address;
  unsigned prefix = 0;
  std::string gateway;
  unsigned mtu = 0;
  unsigned metric = 0;  // of the default route; that of eth0 wins
  std::vector<NicRoute> routes;
};

/// Gives an interface that is up its address and routes. What it had before is replaced.
Result<void> apply_settings(const InterfaceSettings& settings);

/// Takes the address, and with it the routes, off the interface.
Result<void> clear_address(const std::string& name);

/// Dotted netmask, as a number in network byte order.
unsigned netmask_bits(unsigned prefix);

/// Configures everything. Failures are console warnings. An interface without an address starts a
/// process of its own that holds its DHCP lease; the first lease is waited for a short while, and
/// its name servers go into the root's /etc/resolv.conf.
void configure_network(const BootConfig& config, const RootDir& root, Console& console);

}  // namespace cocoon::guest
