// SPDX-License-Identifier: Apache-2.0
//
// /cocoon/boot.json: what the engine tells the guest program, one file per start, in the initramfs.
// Pure: text in, values out.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "guest/result.h"

namespace cocoon::guest {

/// Bytes of boot.json that are read at most.
inline constexpr std::size_t kBootConfigLimit = 1024 * 1024;

/// What the last act of the program is. Firecracker ends its process only at a reboot.
enum class EndAction { kPowerOff, kReboot };

/// How the VM ends and how the exit marker is signed.
struct Ending {
  std::string nonce;  // hex; empty: unknown, no marker can be printed
  EndAction action = EndAction::kPowerOff;
};

/// One virtio disk: found by serial, or by its place (vda is 0) on a VMM without serials.
struct DiskRef {
  std::string serial;
  unsigned index = 0;
};

struct CowDisk {
  DiskRef disk;
  std::string fstype;
};

/// The kernel's module tree: an EROFS whose root is the content of /lib/modules/<version>.
struct ModulesDisk {
  DiskRef disk;
  std::string version;
};

struct DataMount {
  DiskRef disk;
  std::string fstype;
  std::string path;  // absolute, as seen in the new root
};

enum class RunMode {
  kExec,  // the entrypoint is a child; its end is the end of the VM
  kInit,  // the image's init becomes PID 1
};

struct RunSpec {
  RunMode mode = RunMode::kExec;
  std::vector<std::string> argv;  // not empty for kExec; empty for kInit means /sbin/init
  std::vector<std::string> env;   // KEY=VALUE
  std::string workdir;            // empty: /
  std::string user;               // empty: root; name, uid, name:group, uid:gid, ...
  bool attach = false;            // kExec: wait until the host attaches to it through the agent
};

struct NicRoute {
  std::string address;  // of the network
  unsigned prefix = 0;
  std::string gateway;  // empty: on the link
};

/// One network interface, known by its MAC. Its place in the list is the N of its name, ethN.
struct Nic {
  std::string mac;      // lower-case
  std::string address;  // IPv4; empty: ask DHCP
  unsigned prefix = 0;
  std::string gateway;  // empty: none
  unsigned mtu = 0;     // 0: as the device says
  std::vector<NicRoute> routes;
};

struct BootConfig {
  std::string id;
  std::string hostname;  // empty: leave the host name alone
  Ending ending;
  std::vector<DiskRef> layers;  // lowest first, at least one
  CowDisk cow;
  std::optional<ModulesDisk> modules;
  std::vector<DataMount> mounts;
  std::vector<std::string> dns;
  std::vector<Nic> nics;
  RunSpec run;
};

/// Parses and checks boot.json. Strict: unknown keys, wrong types, NUL bytes and values out of
/// range are failures that name the key.
Result<BootConfig> parse_boot_config(std::string_view text);

/// The ending alone, as far as it can be read from a boot.json that parse_boot_config refused, so
/// that even then the host learns of the failure.
Ending find_ending(std::string_view text);

}  // namespace cocoon::guest
