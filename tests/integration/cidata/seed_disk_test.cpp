// SPDX-License-Identifier: Apache-2.0
// NoCloud disks as the programs see them that a guest would use: the dosfstools, blkid, mtools and
// a YAML parser.
#include "cidata/fat_image.h"
#include "seed_fixture.h"

namespace cocoon::cidata {
namespace {

const std::string kKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExample ";

class SeedDisk : public SeedFixture {
 protected:
  void SetUp() override {
    std::string missing = missing_program({"fsck.fat", "blkid", "mtype", "mcopy", "python3"});
    if (!missing.empty()) GTEST_SKIP() << missing << " is not installed";
    if (!has_module("yaml")) GTEST_SKIP() << "PyYAML is not installed";
  }

  // What the values give is what a YAML reader gets, and each disk is good.
  void expect_carried(const std::vector<SeedValues>& all) {
    nlohmann::json read = read_yaml(all);
    ASSERT_EQ(read.size(), all.size());
    for (std::size_t i = 0; i < all.size(); ++i) {
      SCOPED_TRACE(all[i].hostname);
      EXPECT_EQ(read[i], expected_yaml(all[i]));
      expect_good_disk(all[i]);
    }
  }
};

// Texts that have ended documents, scalars, shell words or lines somewhere.
const std::vector<std::string> kHostile{
    "'",
    "''",
    "\"",
    "\\",
    "\\\"",
    "it's",
    "' #",
    "'\n- x",
    "a\nb",
    "a\r\nb",
    "\n",
    "\ta",
    "#",
    "# a",
    "a # b",
    "a: b",
    ": ",
    ":",
    "- a",
    "-",
    "---",
    "\n---\n",
    "...",
    "? a",
    "[a]",
    "[",
    "{a: b}",
    "{",
    "}",
    "&a",
    "*a",
    "!!python/object:os.system",
    "!a",
    "|",
    ">",
    "%YAML 1.1",
    "@a",
    "`a`",
    "~",
    "null",
    "true",
    "no",
    "123",
    "1.0",
    "0x1f",
    "1:30",
    "2001-01-01",
    ".inf",
    "=",
    "<<",
    "$(reboot)",
    "${x}",
    "a;b",
    "a && b",
    "%s",
    "\\n",
    "\\x41",
    "\x01",
    "\x1b[2J",
    "\x7f",
    " ",
    " a ",
    "caf\xc3\xa9",
    "\xc2\x85",
    "\xc2\xa0",
    "\xe2\x80\xa8",
    "\xef\xbb\xbf"
    "a",
    "\xef\xbf\xbf",
    "\xf0\x9f\x90\x9b",
    "#cloud-config",
    "Content-Type: x\n\ny",
    "--cocoon-user-data-0",
    std::string(5000, '"'),
};

TEST_F(SeedDisk, IsGoodForOneTenAndTwoHundredMounts) {
  for (int mounts : {0, 1, 10, 200}) {
    SCOPED_TRACE(mounts);
    SeedValues values = sample_values(mounts);
    values.nics.clear();
    expect_carried({values});
    values.nics = sample_values(0).nics;
    expect_good_disk(values);
  }
}

// Changes the values if they can be rendered then; else they must be refused as the user's input.
template <class Change>
int try_change(SeedValues& values, Change change) {
  SeedValues changed = values;
  change(changed);
  auto documents = render_documents(changed);
  if (documents) {
    values = changed;
    return 1;
  }
  EXPECT_EQ(documents.error().kind, ErrorKind::kInvalid);
  return 0;
}

TEST_F(SeedDisk, KeepsOrRefusesHostileTexts) {
  std::vector<SeedValues> all;
  int passwords = 0;
  int mounts = 0;
  for (const std::string& text : kHostile) {
    SCOPED_TRACE(text);
    SeedValues values = sample_values(2);
    values.nics.clear();
    values.user = "dev";
    values.ssh_keys = {kKey};
    values.instance_id = values.hostname = text;  // never refused
    passwords += try_change(values, [&](SeedValues& v) { v.password = text; });
    mounts += try_change(values, [&](SeedValues& v) { v.mounts[0].mount_point = "/" + text; });
    try_change(values, [&](SeedValues& v) { v.ssh_keys[0] += text; });
    try_change(values, [&](SeedValues& v) { v.user = text; });
    try_change(values, [&](SeedValues& v) { v.mounts[0].serial = text; });
    try_change(values, [&](SeedValues& v) { v.mounts[0].fstype = text; });
    all.push_back(values);
  }
  expect_carried(all);
  // Only control characters and hash-like text, and in mount points blanks and backslashes, are.
  EXPECT_GT(passwords, 50);
  EXPECT_GT(mounts, 30);
}

TEST_F(SeedDisk, KeepsNetworkValues) {
  SeedValues values = sample_values(0);
  values.nics.push_back({"02:00:00:00:00:03", "1:2:3:4:5:6:7:8", 64, "1:2:3:4:5:6:7:1"});
  values.dns.push_back("1::");
  auto read = read_yaml({values}).at(0);
  nlohmann::json wanted = nlohmann::json::parse(R"({
    "version": 2,
    "ethernets": {
      "id0": {"match": {"macaddress": "02:00:00:00:00:01"}, "addresses": ["10.88.0.5/16"],
              "routes": [{"to": "0.0.0.0/0", "via": "10.88.0.1"}],
              "nameservers": {"addresses": ["8.8.8.8", "1.1.1.1", "1::"]}},
      "id1": {"match": {"macaddress": "02:00:00:00:00:02"}, "dhcp4": true, "dhcp-identifier": "mac"},
      "id2": {"match": {"macaddress": "02:00:00:00:00:03"}, "addresses": ["1:2:3:4:5:6:7:8/64"],
              "routes": [{"to": "::/0", "via": "1:2:3:4:5:6:7:1", "metric": 300}],
              "nameservers": {"addresses": ["8.8.8.8", "1.1.1.1", "1::"]}}}})");
  EXPECT_EQ(read["network"], wanted);
  ASSERT_EQ(read["user"]["write_files"].size(), 3U);
  EXPECT_EQ(read["user"]["write_files"][0],
            nlohmann::json({{"path", "/etc/systemd/network/15-cocoon-id0.network"},
                            {"owner", "root:root"},
                            {"permissions", "0644"},
                            {"content",
                             "[Match]\nMACAddress=02:00:00:00:00:01\n\n[Link]\n"
                             "RequiredForOnline=yes\n\n[Network]\nAddress=10.88.0.5/16\n"
                             "Gateway=10.88.0.1\nDNS=8.8.8.8\nDNS=1.1.1.1\nDNS=1::\n"}}));
}

TEST_F(SeedDisk, HoldsDataOfTheUserOfAnySize) {
  for (std::size_t size : {100U, 700'000U, 900'000U, 3'000'000U}) {
    SCOPED_TRACE(size);
    SeedValues values = sample_values(1);
    values.user_data = "#!/bin/sh\n" + std::string(size, '#');
    expect_good_disk(values);
  }
}

TEST_F(SeedDisk, IsAGoodVolumeAtEverySize) {
  constexpr std::int64_t kLargest = 130'608 * kKiB;
  for (std::int64_t size : {kMiB, 3 * kMiB / 2, 2 * kMiB, 5 * kMiB, 16 * kMiB, 31 * kMiB, 32 * kMiB,
                            33 * kMiB, 100 * kMiB, kLargest}) {
    SCOPED_TRACE(size);
    auto image = render_fat_image(
        {"CIDATA", 7, size},
        {{"FULL", std::string(900'000, 'x')}, {"a long name.text", "text\n"}, {"EMPTY", ""}});
    ASSERT_TRUE(image) << image.error().to_string();
    std::string disk = write("sized.img", *image).string();
    std::string fsck = run("fsck.fat", {"-n", disk});
    EXPECT_NE(fsck.find(": 4 files, "), std::string::npos) << fsck;
    EXPECT_EQ(run("mtype", {"-i", disk, "::a long name.text"}), "text\n");
    EXPECT_NE(run("blkid", {"-p", "-o", "export", disk}).find("VERSION=FAT12\n"),
              std::string::npos);
  }
  EXPECT_FALSE(render_fat_image({"CIDATA", 7, kLargest + 16 * kKiB}, {}));
}

}  // namespace
}  // namespace cocoon::cidata
