// SPDX-License-Identifier: Apache-2.0
#include "engine/user_network.h"

#include <gtest/gtest.h>

namespace cocoon::engine {
namespace {

TEST(PasstArguments, NeverLeadToTheHostsLoopback) {
  model::Vm vm;
  model::Nic nic;
  nic.backend = model::kUserNic;
  nic.network = model::NicAddress{"10.0.2.15", "10.0.2.2", 24};
  nic.dns = {"8.8.8.8"};
  vm.nics = {nic};
  vm.ports = {{"127.0.0.1", 8080, 80, "tcp"}, {"", 53, 5353, "udp"}};
  auto args = passt_arguments(vm);
  std::string line = fmt::format("{}", fmt::join(args, " "));
  EXPECT_EQ(
      line,
      "--foreground --one-off --socket sock/net0 --no-map-gw --mtu 1500 --address 10.0.2.15 "
      "--netmask 255.255.255.0 --gateway 10.0.2.2 --dns 8.8.8.8 --tcp-ports 127.0.0.1/8080:80 "
      "--udp-ports 53:5353");
}

}  // namespace
}  // namespace cocoon::engine
