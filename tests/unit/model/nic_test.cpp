// SPDX-License-Identifier: Apache-2.0
#include "model/nic.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace cocoon::model {
namespace {

Nic sample() {
  Nic nic;
  nic.tap = "tap0";
  nic.mac = "0a:58:0a:58:00:0c";
  nic.num_queues = 4;
  nic.backend = "cni";
  nic.netns_path = "/run/netns/cocoon-K3QZ7WJ5M2XA4TBN6RCVYDHEPL";
  nic.mtu = 9000;
  nic.network = NicAddress{"10.88.0.12", "10.88.0.1", 16};
  nic.routes = {{"172.16.0.0/12", "10.88.0.9"}};
  nic.dns = {"8.8.8.8"};
  return nic;
}

TEST(Nic, RoundTrip) {
  nlohmann::json json = sample();
  auto again = parse_nic(json);
  ASSERT_TRUE(again) << again.error().to_string();
  EXPECT_EQ(*again, sample());
}

TEST(Nic, HasTheKeysOfTheOriginal) {
  nlohmann::json json = sample();
  EXPECT_EQ(json["tap"], "tap0");
  EXPECT_EQ(json["num_queues"], 4);
  EXPECT_EQ(json["queue_size"], 512);
  EXPECT_EQ(json["backend"], "cni");
  EXPECT_EQ(json["network"],
            nlohmann::json::parse(R"({"ip":"10.88.0.12","gateway":"10.88.0.1","prefix":16})"));
  EXPECT_FALSE(json.contains("bridge_dev"));
  Nic dhcp = sample();
  dhcp.network.reset();
  EXPECT_FALSE(nlohmann::json(dhcp).contains("network"));
}

TEST(Nic, AnEmptyBackendIsCni) {
  auto nic = parse_nic({{"tap", "tap0"}});
  ASSERT_TRUE(nic);
  EXPECT_EQ(nic->backend, "cni");
}

TEST(Nic, QueuePairs) {
  Nic nic;
  for (auto [queues, pairs] : {std::pair{2, 1}, {4, 2}, {8, 4}}) {
    nic.num_queues = queues;
    EXPECT_EQ(nic.queue_pairs(), pairs);
  }
}

TEST(ValidateNics, Refuses) {
  auto bad = [](auto change) {
    Nic nic = sample();
    change(nic);
    return !validate_nics({nic});
  };
  EXPECT_TRUE(validate_nics({sample()}));
  EXPECT_TRUE(bad([](Nic& nic) { nic.mac = "0A:58:0a:58:00:0c"; }));
  EXPECT_TRUE(bad([](Nic& nic) { nic.mac = "01:58:0a:58:00:0c"; }));  // a group
  EXPECT_TRUE(bad([](Nic& nic) { nic.mac = "00:00:00:00:00:00"; }));
  EXPECT_TRUE(bad([](Nic& nic) { nic.tap = "tap0,script=/bin/sh"; }));
  EXPECT_TRUE(bad([](Nic& nic) { nic.tap = "../tap"; }));
  EXPECT_TRUE(bad([](Nic& nic) { nic.tap = ""; }));
  EXPECT_TRUE(bad([](Nic& nic) { nic.num_queues = 3; }));
  EXPECT_TRUE(bad([](Nic& nic) { nic.num_queues = 1024; }));
  EXPECT_TRUE(bad([](Nic& nic) { nic.backend = "magic"; }));
  EXPECT_TRUE(bad([](Nic& nic) { nic.netns_path = "run/netns/x"; }));
  EXPECT_TRUE(bad([](Nic& nic) { nic.mtu = 70000; }));
  EXPECT_TRUE(bad([](Nic& nic) { nic.network->ip = "10.0.0.1:x"; }));
  EXPECT_TRUE(bad([](Nic& nic) { nic.network->gateway = "fe80::1"; }));
  EXPECT_TRUE(bad([](Nic& nic) { nic.network->prefix = 33; }));
  EXPECT_TRUE(bad([](Nic& nic) { nic.routes[0].destination = "default"; }));
  EXPECT_TRUE(bad([](Nic& nic) { nic.dns = {"dns.example"}; }));
  EXPECT_FALSE(validate_nics({sample(), sample()}));  // one MAC, one TAP
}

TEST(ParsePublish, Forms) {
  struct Case {
    const char* text;
    PortMapping wanted;
  };
  for (const Case& one :
       {Case{"8080:80", {"", 8080, 80, "tcp"}}, Case{"53:5353/udp", {"", 53, 5353, "udp"}},
        Case{"127.0.0.1:1:2/tcp", {"127.0.0.1", 1, 2, "tcp"}},
        Case{"[::1]:1:2", {"::1", 1, 2, "tcp"}}}) {
    auto port = parse_publish(one.text);
    ASSERT_TRUE(port) << one.text;
    EXPECT_EQ(*port, one.wanted) << one.text;
  }
  for (const char* text : {"", "80", "80:", ":80", "0:80", "80:65536", "80:80/sctp", "x:80:80",
                           "80:80/", ":1:2", "-1:80", "1:2:3:4"}) {
    auto port = parse_publish(text);
    ASSERT_FALSE(port) << text;
    EXPECT_EQ(port.error().kind, ErrorKind::kInvalid) << text;
  }
}

TEST(ValidatePorts, OnePortOnce) {
  PortMapping tcp{"", 80, 80, "tcp"};
  PortMapping udp{"", 80, 80, "udp"};
  EXPECT_TRUE(validate_ports({tcp, udp}));
  EXPECT_FALSE(validate_ports({tcp, tcp}));
}

TEST(Netmask, OfAPrefix) {
  EXPECT_EQ(netmask(32), "255.255.255.255");
  EXPECT_EQ(netmask(20), "255.255.240.0");
  EXPECT_EQ(netmask(1), "128.0.0.0");
  EXPECT_EQ(netmask(0), "0.0.0.0");
}

}  // namespace
}  // namespace cocoon::model
