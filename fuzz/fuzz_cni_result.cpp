// SPDX-License-Identifier: Apache-2.0
// What a CNI plugin prints: every address that is taken over must be one, since it ends in kernel
// command lines, cloud-init documents and argument vectors.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "network/cni/cache.h"
#include "network/cni/result.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace cocoon;
  std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)network::cni::describe_failure(text, text, "status");
  (void)network::cni::parse_cache(text);
  (void)network::cni::parse_conflist(text);
  auto result = network::cni::parse_result(text, "1.0.0");
  if (!result) return 0;
  auto read = network::cni::read_result(*result);
  if (!read) return 0;
  model::Nic nic;
  nic.tap = "tap0";
  nic.mac = "02:00:00:00:00:01";
  nic.backend = model::kCniNic;
  nic.netns_path = "/run/netns/x";
  nic.network = read->address;
  nic.routes = read->routes;
  nic.dns = read->dns;
  if (!model::validate_nics({nic})) std::abort();
  return 0;
}
