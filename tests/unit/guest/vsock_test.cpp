// SPDX-License-Identifier: Apache-2.0
#include "guest/agent/vsock.h"

#include <gtest/gtest.h>

namespace cocoon::guest {
namespace {

sockaddr_vm peer(unsigned cid) {
  sockaddr_vm address{};
  address.svm_family = AF_VSOCK;
  address.svm_cid = cid;
  address.svm_port = 50'000;
  return address;
}

// A user of the guest reaches the agent's port by the guest's own CID, or by the loopback's.
TEST(Vsock, OnlyTheHostIsLetIn) {
  EXPECT_TRUE(is_host(peer(2)));
  for (const unsigned cid : {0U, 1U, 3U, 4U, 1000U, VMADDR_CID_ANY}) {
    EXPECT_FALSE(is_host(peer(cid))) << cid;
  }
  sockaddr_vm other = peer(2);
  other.svm_family = AF_INET;
  EXPECT_FALSE(is_host(other));
  EXPECT_FALSE(is_host(sockaddr_vm{}));
}

}  // namespace
}  // namespace cocoon::guest
