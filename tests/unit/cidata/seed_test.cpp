// SPDX-License-Identifier: Apache-2.0
#include "cidata/seed.h"

#include <gtest/gtest.h>

namespace cocoon::cidata {
namespace {

const std::string kKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExample alice@host";

SeedValues values(const std::string& user = "", const std::string& password = "") {
  SeedValues made;
  made.instance_id = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  made.hostname = "web-1";
  made.user = user;
  made.password = password;
  return made;
}

std::string user_data(const SeedValues& from) {
  auto documents = render_documents(from);
  EXPECT_TRUE(documents) << documents.error().to_string();
  return documents ? documents->user_data : "";
}

TEST(Documents, AreMinimalWithoutValues) {
  auto documents = render_documents(values());
  ASSERT_TRUE(documents) << documents.error().to_string();
  EXPECT_EQ(documents->meta_data,
            "instance-id: \"ABCDEFGHIJKLMNOPQRSTUVWXYZ\"\nlocal-hostname: \"web-1\"\n");
  EXPECT_EQ(documents->user_data, "#cloud-config\n");
  EXPECT_EQ(documents->network_config, std::nullopt);
}

TEST(Documents, GiveRootItsPasswordAndKeys) {
  SeedValues from = values("root", "it's \"x\"");
  EXPECT_EQ(user_data(from), R"(#cloud-config
chpasswd:
  expire: false
  list:
    - "root:it's \"x\""
ssh_pwauth: true
disable_root: false
)");
  from.password.clear();
  from.ssh_keys = {kKey};
  EXPECT_EQ(user_data(from),
            "#cloud-config\ndisable_root: false\nssh_authorized_keys:\n  - \"" + kKey + "\"\n");
}

TEST(Documents, MakeAnotherAccountEarly) {
  SeedValues from = values("dev", "pw");
  from.ssh_keys = {kKey};
  EXPECT_EQ(user_data(from), R"(#cloud-config
chpasswd:
  expire: false
  list:
    - "dev:pw"
ssh_pwauth: true
users:
  - default
  - name: "dev"
    shell: /bin/bash
    no_user_group: true
    groups: [sudo]
    sudo: "ALL=(ALL) NOPASSWD:ALL"
    ssh_authorized_keys:
      - ")" + kKey + "\"\n");
  // Without a password too (c3).
  std::string text = user_data(values("dev"));
  EXPECT_NE(text.find("  - name: \"dev\"\n"), std::string::npos);
  EXPECT_EQ(text.find("chpasswd"), std::string::npos);
  EXPECT_EQ(text.find("ssh_pwauth"), std::string::npos);
}

TEST(Documents, GiveKeysWithoutUserToTheImagesAccount) {
  SeedValues from = values();
  from.ssh_keys = {kKey};
  EXPECT_EQ(user_data(from), "#cloud-config\nssh_authorized_keys:\n  - \"" + kKey + "\"\n");
}

TEST(Documents, HoldMountsThenUnits) {
  SeedValues from = values();
  from.mounts = {{"db", "/mnt/db", "ext4"}, {"logs", "/var/it's:{x}", "xfs"}};
  from.nics = {{"02:00:00:00:00:01", "", 0, ""}};
  EXPECT_EQ(user_data(from), R"(#cloud-config
mounts:
  - ["/dev/disk/by-id/virtio-db", "/mnt/db", "ext4", "defaults,nofail", "0", "2"]
  - ["/dev/disk/by-id/virtio-logs", "/var/it's:{x}", "xfs", "defaults,nofail", "0", "2"]
write_files:
  - path: /etc/systemd/network/15-cocoon-id0.network
    owner: root:root
    permissions: '0644'
    content: |
      [Match]
      MACAddress=02:00:00:00:00:01

      [Link]
      RequiredForOnline=yes

      [Network]
      DHCP=ipv4

      [DHCPv4]
      ClientIdentifier=mac
)");
  EXPECT_TRUE(render_documents(from)->network_config);
}

TEST(Documents, RefuseWhatCannotBeCarried) {
  using Change = void (*)(SeedValues&);
  const std::vector<Change> bad{
      [](SeedValues& v) { v.instance_id.clear(); },
      [](SeedValues& v) { v.hostname.clear(); },
      [](SeedValues& v) { v.hostname = "\xff"; },
      [](SeedValues& v) { v.user.clear(); },  // c3
      [](SeedValues& v) { v.user = "a:b"; },
      [](SeedValues& v) { v.user = "Root"; },
      [](SeedValues& v) { v.user = "a\nb"; },
      [](SeedValues& v) { v.user = std::string(33, 'a'); },
      [](SeedValues& v) { v.password = "a\nroot:b"; },  // c2
      [](SeedValues& v) { v.password = "a\x7f"; },
      [](SeedValues& v) { v.password = "\xff"; },
      [](SeedValues& v) { v.password = "R"; },
      [](SeedValues& v) { v.password = "RANDOM"; },
      [](SeedValues& v) { v.password = "$6$salt$hash"; },
      [](SeedValues& v) { v.ssh_keys = {"no key"}; },
      [](SeedValues& v) { v.ssh_keys = {kKey + "\n" + kKey}; },
      [](SeedValues& v) {
        v.mounts = {{"db", "mnt", "ext4"}};
      },
      [](SeedValues& v) {
        v.mounts = {{"db", "/a b", "ext4"}};
      },
      [](SeedValues& v) {
        v.mounts = {{"db", "/a\tb", "ext4"}};
      },
      [](SeedValues& v) {
        v.mounts = {{"db", "/a\n", "ext4"}};
      },
      [](SeedValues& v) {
        v.mounts = {{"db", "/a\\040b", "ext4"}};
      },
      [](SeedValues& v) {
        v.mounts = {{"db", "", "ext4"}};
      },
      [](SeedValues& v) {
        v.mounts = {{"db", "/\xff", "ext4"}};
      },
      [](SeedValues& v) {
        v.mounts = {{"", "/a", "ext4"}};
      },
      [](SeedValues& v) {
        v.mounts = {{"../sda", "/a", "ext4"}};
      },
      [](SeedValues& v) {
        v.mounts = {{"db", "/a", "ext4 x"}};
      },
      [](SeedValues& v) {
        v.mounts = {{"db", "/a", ""}};
      },
      [](SeedValues& v) {
        v.nics = {{"no mac", "", 0, ""}};
      },
      [](SeedValues& v) { v.user_data = "hello"; },
  };
  ASSERT_TRUE(render_documents(values("root", "secret")));
  for (std::size_t i = 0; i < bad.size(); ++i) {
    SeedValues from = values("root", "secret");
    bad[i](from);
    auto documents = render_documents(from);
    ASSERT_FALSE(documents) << "change " << i;
    EXPECT_EQ(documents.error().kind, ErrorKind::kInvalid);
    EXPECT_EQ(documents.error().to_string().find("secret"), std::string::npos);
  }
}

TEST(SeedMounts, AreTheMountedDataDisks) {
  auto disk = [](model::DiskRole role, const char* serial, const char* fstype, const char* mount) {
    model::Disk made;
    made.role = role;
    made.serial = serial;
    made.fstype = fstype;
    made.mount_point = mount;
    return made;
  };
  using model::DiskRole;
  auto mounts = seed_mounts(
      {disk(DiskRole::kCow, "", "ext4", "/x"), disk(DiskRole::kData, "db", "ext4", "/mnt/db"),
       disk(DiskRole::kData, "raw", "none", ""), disk(DiskRole::kData, "plain", "ext4", ""),
       disk(DiskRole::kData, "logs", "xfs", "/logs"), disk(DiskRole::kCidata, "", "", "")});
  ASSERT_EQ(mounts.size(), 2U);
  EXPECT_EQ(mounts[0].serial + mounts[0].mount_point + mounts[0].fstype, "db/mnt/dbext4");
  EXPECT_EQ(mounts[1].serial, "logs");
}

TEST(Seed, IsOneMebibyteAndTheSameEachTime) {
  auto seed = render_seed(values("root", "cocoon"));
  ASSERT_TRUE(seed) << seed.error().to_string();
  EXPECT_EQ(seed->size(), 1024U * 1024U);
  EXPECT_EQ(seed->substr(43, 11), "CIDATA     ");
  EXPECT_TRUE(*render_seed(values("root", "cocoon")) == *seed);
  SeedValues other = values("root", "cocoon");
  other.instance_id.back() = 'A';
  EXPECT_NE(render_seed(other)->substr(39, 4), seed->substr(39, 4));  // the volume's serial
}

TEST(Seed, GrowsWithTheUsersData) {
  SeedValues from = values();
  from.user_data = "#!/bin/sh\n" + std::string(2'000'000, '#');
  auto seed = render_seed(from);
  ASSERT_TRUE(seed) << seed.error().to_string();
  EXPECT_EQ(seed->size(), 4U * 1024U * 1024U);
  from.user_data->append(16 * 1024 * 1024, '#');
  auto too_large = render_seed(from);
  ASSERT_FALSE(too_large);
  EXPECT_EQ(too_large.error().kind, ErrorKind::kInvalid);
}

TEST(Seed, CarriesTheAgentAndTheCommandThatInstallsIt) {
  SeedValues from = values();
  from.agent_program =
      "\x7f"
      "ELF" +
      std::string(1'200'000, 'a');
  auto seed = render_seed(from);
  ASSERT_TRUE(seed) << seed.error().to_string();
  EXPECT_EQ(seed->size(), 2U * 1024U * 1024U);
  EXPECT_NE(seed->find(from.agent_program), std::string::npos);
  EXPECT_NE(seed->find("ExecStart=/usr/local/sbin/cocoon-guest-agent agent\n"), std::string::npos);
  std::string document = user_data(from);
  EXPECT_EQ(document.rfind("#cloud-config\nbootcmd:\n  - [sh, -c, \"", 0), 0U) << document;
  // An image that has the original's agent is left alone.
  EXPECT_NE(document.find("systemctl cat cocoon-agent.service"), std::string::npos);
  from.agent_program.clear();
  EXPECT_EQ(user_data(from), "#cloud-config\n");
}

}  // namespace
}  // namespace cocoon::cidata
