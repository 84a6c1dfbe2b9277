// SPDX-License-Identifier: Apache-2.0
// The NoCloud disk of a cloud-image VM: what cloud-init in the guest reads at its first boot
// (spec 05 §3; cloud-init's manual, "NoCloud"). Everything here is pure: values in, bytes out. The
// caller writes the bytes with sys::write_file_atomic, mode 0600, into a file of the VM's own: they
// hold a password (spec 05 §8 c1).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "model/disk.h"

namespace cocoon::cidata {

// A row of /etc/fstab, which cloud-init writes.
struct SeedMount {
  std::string serial;       // of the virtio disk; the guest has it as /dev/disk/by-id/virtio-…
  std::string mount_point;  // absolute
  std::string fstype;       // ext4, xfs, btrfs
};

// One NIC, known by its MAC: names such as eth0 depend on the guest.
struct SeedNic {
  std::string mac;      // xx:xx:xx:xx:xx:xx; empty: the NIC is left out
  std::string address;  // IPv4 or IPv6; empty: DHCP for IPv4, and the rest is ignored
  int prefix = 0;       // bits
  std::string gateway;  // of the address's family; empty: none
};

struct SeedValues {
  std::string instance_id;  // the VM's id: cloud-init runs its once-only steps per instance id
  std::string hostname;     // the VM's name
  // The account that `password` and `ssh_keys` are for. root, or an account that cloud-init makes,
  // with sudo rights. Empty: the image's own accounts only, and then no password.
  std::string user;
  std::string password;                  // empty: none is set and password login is left as it is
  std::vector<std::string> ssh_keys;     // lines of authorized_keys(5): parse_ssh_keys()
  std::optional<std::string> user_data;  // the user's own file: see user_data.h
  std::vector<SeedMount> mounts;
  std::vector<SeedNic> nics;     // order = index
  std::vector<std::string> dns;  // addresses of name servers, for NICs with an address
  std::string agent_program;     // our guest program, to be installed as agent; empty: none is
};

// The rows for a VM's disks: the data disks that have a mount point and a file system, in order.
std::vector<SeedMount> seed_mounts(const std::vector<model::Disk>& disks);

struct Documents {
  std::string meta_data;
  std::string user_data;
  std::optional<std::string> network_config;  // absent without NICs: the guest's defaults then
};

// The documents' texts, ASCII only but for a MIME message of the user's. Every value is a quoted
// YAML scalar (yaml_scalar.h), and what a quoted scalar could carry but the program behind it would
// misread is refused. kInvalid, naming the value's place (never a password or key itself):
//  - instance_id or hostname empty or not text;
//  - what render_cloud_config(), render_network_config() and merge_user_data() refuse.
// The same values give the same bytes. A clone has no user, password, keys or user data: its root
// disk has them from its source (spec 05 §3.3).
Result<Documents> render_documents(const SeedValues& values);

// Where the agent lies on the volume, and its systemd unit (guest_agent.h).
inline constexpr const char* kAgentFile = "cocoon-guest-agent";
inline constexpr const char* kAgentUnitFile = "cocoon-guest-agent.service";

// The documents, and the agent if there is to be one, as a FAT12 volume with the label CIDATA, by
// which cloud-init finds it: 1 MiB, or the next size that holds them (fat_image.h). The volume's
// serial is a hash of the instance id, so that it is as stable as the rest. kInvalid as above.
Result<std::string> render_seed(const SeedValues& values);

}  // namespace cocoon::cidata
