// SPDX-License-Identifier: Apache-2.0
// The engine's settings as values (spec 01 §2). cli reads them from flags, environment and file.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace cocoon::model {

struct Config {
  std::filesystem::path root_dir = "/var/lib/cocoon";
  std::filesystem::path run_dir = "/var/lib/cocoon/run";
  std::filesystem::path log_dir = "/var/log/cocoon";
  // Where guest memory files live: a tmpfs, or memory is written back to disk (design §7).
  std::filesystem::path memory_dir = "/dev/shm";
  std::string cni_conf_dir = "/etc/cni/net.d";
  std::string cni_bin_dir = "/opt/cni/bin";  // searched before /opt/cni/bin and /usr/lib/cni
  int cni_timeout_seconds = 60;              // for one run of one plugin
  std::vector<std::string> dns = {"8.8.8.8", "1.1.1.1"};
  std::string ch_binary = "cloud-hypervisor";
  std::string ch_firmware;  // Cloud Hypervisor's UEFI firmware; empty: looked for
  std::string fc_binary = "firecracker";
  std::string qemu_binary = "qemu-system-x86_64";
  std::string hypervisor;  // default backend: empty = auto
  bool use_firecracker = false;
  int stop_timeout_seconds = 30;
  int pool_size = 0;  // <= 0: number of CPUs
  int socket_wait_timeout_seconds = 5;
  int terminate_grace_period_seconds = 5;
  std::uint32_t uid_base = 1879048192;  // design §6
  std::string erofs_compression = "lz4hc";
  // Limits against archive bombs (spec 02 §13.4).
  std::int64_t max_layer_bytes = std::int64_t{64} << 30;
  std::int64_t max_layer_entries = 5'000'000;
  // Registries and web servers.
  int pull_conns = 4;                                        // connections of one pull at a time
  int pull_timeout_seconds = 60;                             // without a byte from a server
  std::int64_t max_download_bytes = std::int64_t{20} << 30;  // of a cloud image (spec 02 §6)
  std::string ca_file;              // PEM certificates that servers are checked against
  std::string insecure_registries;  // comma separated HOST, HOST:PORT, *.DOMAIN
  std::string registry_mirrors;     // comma separated REGISTRY=MIRROR[/PREFIX], tried in order
};

}  // namespace cocoon::model
