// SPDX-License-Identifier: Apache-2.0
// What connects a guest's NIC: a TAP, which the VMM opens, and a device of the network (the VM's
// end of a veth pair), whose packets are redirected into each other at ingress. No bridge, no
// address, no forwarding in between; the guest has the device's MAC (spec 05 §1.6, §1.7).
// Everything here works in the network namespace that the calling thread is in.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/error.h"

namespace cocoon::network {

class Netlink;

struct Wire {
  std::string device;  // eth0: is there
  std::string tap;     // tap0: is made
  int queue_pairs = 1;
  uid_t owner = 0;  // whose VMM may open the TAP
  std::string mac;  // what the device should have; empty: what it has
};

struct Wired {
  std::string mac;  // the guest's
  int mtu = 0;
};

// Connects device and TAP. A TAP that is there is replaced. With `open` false the redirect is left
// out: nothing passes until open_gate().
Result<Wired> connect_wire(const Wire& wire, bool open);

// The gate: the two redirect filters. Both are idempotent.
Result<void> open_gate(const std::string& device, const std::string& tap);
Result<void> close_gate(const std::string& device, const std::string& tap);

// Is this connected, with its gate open?
Result<bool> is_connected(const std::string& device, const std::string& tap);

// Makes the TAP alone: persistent, with virtio headers, multi-queue exactly when it has more than
// one pair.
Result<void> make_tap(const std::string& name, int queue_pairs, uid_t owner);

// Makes a TAP that leads nowhere: up, and redirected to nothing. One of that name is replaced.
Result<void> make_dead_end(const std::string& name, int queue_pairs, uid_t owner);

// Deletes a device; not there is fine.
Result<void> delete_device(Netlink& netlink, const std::string& name);

}  // namespace cocoon::network
