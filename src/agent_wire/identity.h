// SPDX-License-Identifier: Apache-2.0
// The "identity" frame: who and where a guest is, in one message. Applying it twice changes
// nothing. The answer is a "done" frame whose items tell, one by one, what was applied ("hostname")
// and what was not ("nic 0: No such device").
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace cocoon::agent_wire {

struct IdentityRoute {
  std::string to;   // "10.1.0.0/16", "default"
  std::string via;  // address; empty: on the link
};

// One interface, found by `find_mac` where given, else by its place among the guest's NICs.
struct IdentityNic {
  std::int64_t index = 0;
  std::string find_mac;
  std::string mac;                     // to be set; empty: as it is
  std::int64_t mtu = 0;                // 0: as it is
  bool set_addresses = false;          // addresses and routes replace what is there
  std::vector<std::string> addresses;  // "10.0.0.2/24"
  std::vector<IdentityRoute> routes;
  bool renew_dhcp = false;  // the guest's own DHCP client asks anew, as the machine that it is now
};

struct IdentityMount {
  std::string serial;
  std::int64_t index = 0;  // place among the disks, for guests that see no serials
  std::string fstype;
  std::string path;
  bool unmount = false;  // instead: take it out of use
};

struct Identity {
  std::int64_t time_ns = 0;  // since the epoch; 0: leave the clock alone
  std::string entropy;
  std::string hostname;
  std::string machine_id;  // 32 hex digits
  std::vector<IdentityNic> nics;
  std::vector<std::string> dns;
  std::vector<std::string> search;
  std::vector<IdentityMount> mounts;
};

bool parse_identity(std::string_view line, Identity& identity);

// One line with its end.
std::string render_identity(const Identity& identity);

}  // namespace cocoon::agent_wire
