// SPDX-License-Identifier: Apache-2.0
#include "cidata/ssh_keys.h"

#include <gtest/gtest.h>

namespace cocoon::cidata {
namespace {

const std::string kEd = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExample alice@host";
const std::string kSk = "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5 token";
const std::string kWithOptions =
    "from=\"10.0.0.0/8\",command=\"echo hi\" ecdsa-sha2-nistp256 AAAAE2VjZHNh bob";

TEST(SshKeys, AreReadLineByLine) {
  auto keys = parse_ssh_keys("# mine\r\n" + kEd + "\r\n\n  " + kSk + "\n" + kWithOptions);
  ASSERT_TRUE(keys) << keys.error().to_string();
  EXPECT_EQ(*keys, (std::vector<std::string>{kEd, kSk, kWithOptions}));
}

TEST(SshKeys, RefuseWhatIsNoPublicKeyWithoutQuotingIt) {
  const std::vector<std::string> bad{
      "",
      "# nothing\n\n",
      "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEA\n",
      "PuTTY-User-Key-File-3: ssh-ed25519\nsecret",
      "ssh-ed25519",
      "ssh-ed25519 secret",
      kEd + "\nsecret",
      kEd + "\x1b[0m",
  };
  for (const std::string& text : bad) {
    auto keys = parse_ssh_keys(text);
    ASSERT_FALSE(keys) << text;
    EXPECT_EQ(keys.error().kind, ErrorKind::kInvalid);
    EXPECT_EQ(keys.error().to_string().find("secret"), std::string::npos);
  }
}

}  // namespace
}  // namespace cocoon::cidata
