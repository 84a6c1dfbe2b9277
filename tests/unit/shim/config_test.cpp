// SPDX-License-Identifier: Apache-2.0
#include "shim/config.h"

#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace cocoon::shim {
namespace {

const std::vector<std::string> kGood = {
    "version=1",
    "id=vm-1",
    "vm_dir=/run/vm",
    "log_dir=/log/vm",
    "exit_file=/x/a.json",
    "boot_id=b-1",
    "uid=1879048200",
    "gid=1879048201",
    "nonce=00aaFF",
    "netns=new",
    "program=/bin/vmm",
    "arg=-m",
    "arg=",
    "env=A=b=c",
};

std::string join(const std::vector<std::string>& entries) {
  std::string text;
  for (const std::string& entry : entries) text += entry + '\0';
  return text;
}

class ConfigTest : public testing::Test {
 protected:
  Outcome parse(std::string text) {
    text_ = std::move(text);
    return parse_config(text_, config_);
  }

  // kGood with the entry of the same key replaced, or added.
  Outcome parse_with(const std::string& entry) {
    std::vector<std::string> entries = kGood;
    const std::string key = entry.substr(0, entry.find('=') + 1);
    for (std::string& old : entries) {
      if (!old.starts_with(key)) continue;
      old = entry;
      return parse(join(entries));
    }
    entries.push_back(entry);
    return parse(join(entries));
  }

  std::string text_;  // the parsed views point in here
  Config config_;
};

TEST_F(ConfigTest, TakesAllKeysAndDefaults) {
  const Outcome outcome = parse(join(kGood));
  ASSERT_TRUE(outcome.ok) << outcome.why.view();
  EXPECT_EQ(config_.id, "vm-1");
  EXPECT_EQ(config_.vm_dir, "/run/vm");
  EXPECT_EQ(config_.log_dir, "/log/vm");
  EXPECT_EQ(config_.exit_file, "/x/a.json");
  EXPECT_EQ(config_.boot_id, "b-1");
  EXPECT_EQ(config_.uid, 1879048200U);
  EXPECT_EQ(config_.gid, 1879048201U);
  EXPECT_EQ(config_.nonce, "00aaFF");
  EXPECT_EQ(config_.netns, "new");
  EXPECT_EQ(config_.group_count, 0U);
  EXPECT_EQ(config_.cgroup, "");
  EXPECT_EQ(config_.console_log_bytes, 4194304U);
  EXPECT_EQ(config_.console_log_files, 4U);
  EXPECT_EQ(config_.vmm_log_bytes, 8388608U);
}

TEST_F(ConfigTest, LocksAndEnding) {
  ASSERT_TRUE(parse(join(kGood)).ok);
  EXPECT_EQ(config_.lock_count, 0U);
  EXPECT_FALSE(config_.ends_by_reboot);
  std::vector<std::string> entries = kGood;
  entries.insert(entries.end(), {"lock=cow.raw", "lock=data-db.raw", "ends_by=reboot"});
  ASSERT_TRUE(parse(join(entries)).ok);
  ASSERT_EQ(config_.lock_count, 2U);
  EXPECT_EQ(config_.locks[1], "data-db.raw");
  EXPECT_STREQ(config_.locks[0].data(), "cow.raw");
  EXPECT_TRUE(config_.ends_by_reboot);
  EXPECT_TRUE(parse_with("ends_by=poweroff").ok);
  for (const char* bad :
       {"lock=", "lock=.", "lock=..", "lock=a/b", "lock=/etc/passwd", "ends_by=", "ends_by=halt"}) {
    EXPECT_FALSE(parse_with(bad).ok) << bad;
  }
  std::vector<std::string> many = kGood;
  for (std::size_t i = 0; i <= kMaxLocks; ++i) many.push_back("lock=d" + std::to_string(i));
  EXPECT_FALSE(parse(join(many)).ok);
}

TEST_F(ConfigTest, RootAndWhatItShows) {
  ASSERT_TRUE(parse(join(kGood)).ok);
  EXPECT_FALSE(config_.private_root);
  EXPECT_EQ(config_.shown_count, 0U);
  std::vector<std::string> entries = kGood;
  entries.insert(entries.end(), {"root=private", "show=/dev/kvm", "show=/lib"});
  ASSERT_TRUE(parse(join(entries)).ok);
  EXPECT_TRUE(config_.private_root);
  ASSERT_EQ(config_.shown_count, 2U);
  EXPECT_STREQ(config_.shown[0].data(), "/dev/kvm");
  EXPECT_EQ(config_.shown[1], "/lib");
  EXPECT_TRUE(parse_with("root=host").ok);
  EXPECT_FALSE(config_.private_root);
  for (const char* bad : {"root=", "root=none", "show=", "show=/", "show=dev/kvm", "show=/a\nb"}) {
    EXPECT_FALSE(parse_with(bad).ok) << bad;
  }
  std::vector<std::string> many = kGood;
  for (std::size_t i = 0; i <= kMaxShown; ++i) many.push_back("show=/d" + std::to_string(i));
  EXPECT_FALSE(parse(join(many)).ok);
}

TEST_F(ConfigTest, BuildsArgumentsAndEnvironmentForExec) {
  ASSERT_TRUE(parse(join(kGood)).ok);
  EXPECT_STREQ(config_.argv[0], "/bin/vmm");
  EXPECT_STREQ(config_.argv[1], "-m");
  EXPECT_STREQ(config_.argv[2], "");
  EXPECT_EQ(config_.argv[3], nullptr);
  EXPECT_STREQ(config_.environment[0], "A=b=c");
  EXPECT_EQ(config_.environment[1], nullptr);
}

TEST_F(ConfigTest, TakesOptionalKeys) {
  ASSERT_TRUE(parse_with("groups=36,100").ok);
  ASSERT_EQ(config_.group_count, 2U);
  EXPECT_EQ(config_.groups[0], 36U);
  EXPECT_EQ(config_.groups[1], 100U);
  EXPECT_TRUE(parse_with("groups=").ok);
  EXPECT_TRUE(parse_with("netns=none").ok);
  EXPECT_TRUE(parse_with("netns=/run/netns/a").ok);
  EXPECT_TRUE(parse_with("cgroup=").ok);
  EXPECT_TRUE(parse_with("cgroup=/sys/fs/cgroup/a").ok);
  EXPECT_TRUE(parse_with("arg=" + std::string(5000, 'x')).ok);
}

TEST_F(ConfigTest, RefusesBadValues) {
  for (const char* entry : {"version=2",
                            "version=",
                            "id=",
                            "id=a/b",
                            "vm_dir=run",
                            "log_dir=/a\nb",
                            "exit_file=/x/",
                            "uid=0",
                            "gid=0",
                            "uid=-1",
                            "uid=4294967295",
                            "uid=4294967296",
                            "uid=1 ",
                            "uid=0x10",
                            "groups=0",
                            "groups=1,",
                            "groups=,1",
                            "groups=a",
                            "nonce=",
                            "nonce=xyz",
                            "netns=",
                            "netns=host",
                            "cgroup=relative",
                            "shim_cgroup=x",
                            "program=vmm",
                            "env=novalue",
                            "env==x",
                            "console_log_files=0",
                            "console_log_files=100",
                            "console_log_bytes=4095",
                            "vmm_log_bytes=x",
                            "vmm_log_bytes=18446744073709551615"}) {
    EXPECT_FALSE(parse_with(entry).ok) << entry;
  }
}

TEST_F(ConfigTest, NamesTheKeyItRefuses) {
  EXPECT_EQ(parse_with("colour=red").why.view(), "shim.conf: unknown key 'colour'");
  EXPECT_EQ(parse_with("uid=0").why.view(),
            "shim.conf: bad, repeated or too many values for 'uid'");
}

TEST_F(ConfigTest, EveryRequiredKeyIsRequired) {
  for (std::size_t missing = 0; missing < 11; ++missing) {
    std::vector<std::string> entries = kGood;
    const std::string key = entries[missing].substr(0, entries[missing].find('='));
    entries.erase(entries.begin() + static_cast<long>(missing));
    EXPECT_EQ(parse(join(entries)).why.view(), "shim.conf: missing key '" + key + "'");
  }
}

TEST_F(ConfigTest, RefusesRepeatedKeys) {
  std::vector<std::string> entries = kGood;
  entries.emplace_back("uid=5");
  EXPECT_FALSE(parse(join(entries)).ok);
}

TEST_F(ConfigTest, RefusesBrokenFraming) {
  EXPECT_FALSE(parse("").ok);
  EXPECT_FALSE(parse(join(kGood) + "arg=x").ok);
  EXPECT_FALSE(parse(join(kGood) + std::string(1, '\0')).ok);
  EXPECT_FALSE(parse_with("word").ok);
}

TEST_F(ConfigTest, CountsArguments) {
  std::vector<std::string> entries = kGood;
  while (entries.size() < kGood.size() + kMaxArguments - 2) entries.emplace_back("arg=x");
  EXPECT_TRUE(parse(join(entries)).ok);
  EXPECT_EQ(config_.argv[kMaxArguments + 1], nullptr);
  entries.emplace_back("arg=x");
  EXPECT_FALSE(parse(join(entries)).ok);
}

TEST_F(ConfigTest, RandomBytesDoNoHarm) {
  std::mt19937 random(7);  // NOLINT(cert-msc51-cpp): the same bytes in every run
  const std::string good = join(kGood);
  for (int round = 0; round < 5000; ++round) {
    std::string text = good;
    for (unsigned i = 0; i < 1 + random() % 4; ++i)
      text[random() % text.size()] = static_cast<char>(random() % 256);
    text.resize(1 + random() % text.size());
    static_cast<void>(parse(text).ok);
  }
}

}  // namespace
}  // namespace cocoon::shim
