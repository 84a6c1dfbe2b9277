// SPDX-License-Identifier: Apache-2.0
#include "cli/config/settings.h"

#include <filesystem>
#include <fstream>
#include <map>

#include <gtest/gtest.h>

#include "cli/config/config_file.h"
#include "cli/config/keys.h"
#include "cli/config/log_files.h"
#include "sys/files.h"

namespace cocoon::cli {
namespace {

namespace fs = std::filesystem;

class SettingsTest : public testing::Test {
 protected:
  void SetUp() override {
    auto dir = sys::TempDir::create(fs::temp_directory_path(), "settings-");
    ASSERT_TRUE(dir);
    dir_.emplace(std::move(*dir));
  }
  fs::path dir() const { return dir_->path(); }
  fs::path write(const std::string& name, const std::string& text) const {
    std::ofstream(dir() / name) << text;
    return dir() / name;
  }
  Result<Settings> load() const {
    return load_settings(
        flags_,
        [this](const std::string& name) -> std::optional<std::string> {
          auto at = env_.find(name);
          return at == env_.end() ? std::nullopt : std::optional<std::string>(at->second);
        },
        dir());
  }
  std::string error_of_load() const {
    auto settings = load();
    return settings ? "" : settings.error().to_string();
  }

  GlobalFlags flags_;
  std::map<std::string, std::string> env_;
  std::optional<sys::TempDir> dir_;
};

TEST_F(SettingsTest, DefaultsAreThoseOfTheModel) {
  auto settings = load();
  ASSERT_TRUE(settings);
  EXPECT_EQ(settings->config.root_dir, "/var/lib/cocoon");
  EXPECT_EQ(settings->config.run_dir, "/var/lib/cocoon/run");
  EXPECT_EQ(settings->config.log_dir, "/var/log/cocoon");
  EXPECT_EQ(settings->config.dns, (std::vector<std::string>{"8.8.8.8", "1.1.1.1"}));
  EXPECT_EQ(settings->config.stop_timeout_seconds, 30);
  EXPECT_EQ(settings->log.level, LogLevel::kInfo);
  EXPECT_TRUE(settings->warnings.empty());
}

TEST_F(SettingsTest, FlagBeatsEnvironmentBeatsFileBeatsDefault) {
  flags_.config = write("c.json", R"({"root_dir":"/file","log_dir":"/file-log","dns":"9.9.9.9"})");
  EXPECT_EQ(load()->config.root_dir, "/file");
  env_["COCOON_ROOT_DIR"] = "/env";
  EXPECT_EQ(load()->config.root_dir, "/env");
  flags_.root_dir = "/flag";
  auto settings = load();
  EXPECT_EQ(settings->config.root_dir, "/flag");
  EXPECT_EQ(settings->config.log_dir, "/file-log");
  EXPECT_EQ(settings->config.dns, (std::vector<std::string>{"9.9.9.9"}));
}

TEST_F(SettingsTest, EmptyEnvironmentIsUnsetEmptyFlagIsGiven) {
  env_["COCOON_DNS"] = "";
  EXPECT_EQ(load()->config.dns.size(), 2U);
  flags_.dns = "";
  EXPECT_TRUE(load()->config.dns.empty());
  flags_.root_dir = "";
  EXPECT_EQ(error_of_load(), "config: --root-dir: must not be empty");
}

TEST_F(SettingsTest, RunDirectoryFollowsTheRootUnlessGiven) {
  flags_.root_dir = "/data";
  EXPECT_EQ(load()->config.run_dir, "/data/run");
  env_["COCOON_RUN_DIR"] = "/elsewhere/";
  EXPECT_EQ(load()->config.run_dir, "/elsewhere");
}

TEST_F(SettingsTest, RelativeDirectoriesBecomeAbsolute) {
  flags_.root_dir = "x/../data/";
  EXPECT_EQ(load()->config.root_dir, fs::current_path() / "data");
}

TEST_F(SettingsTest, BothSpellingsOfLogKeysBind) {
  for (const char* name : {"COCOON_LOG_MAX_SIZE", "COCOON_LOG_MAXSIZE"}) {
    env_ = {{name, "12"}, {"COCOON_LOG_LEVEL", "debug"}};
    auto settings = load();
    ASSERT_TRUE(settings);
    EXPECT_EQ(settings->log.max_size_mb, 12) << name;
    EXPECT_EQ(settings->log.level, LogLevel::kDebug);
  }
  env_ = {};
  flags_.config = write("c.yaml", "log:\n  usejson: true\n  max_backups: 5\n  maxage: 3\n");
  auto settings = load();
  ASSERT_TRUE(settings) << settings.error().to_string();
  EXPECT_TRUE(settings->log.json);
  EXPECT_EQ(settings->log.max_backups, 5);
  EXPECT_EQ(settings->log_max_age_days, 3);
  EXPECT_TRUE(settings->warnings.empty());
}

TEST_F(SettingsTest, DefaultFileIsReadWhenThereIsOne) {
  write("config.toml", "pool_size = 3\n");
  EXPECT_EQ(load()->config.pool_size, 3);
  // The first of yaml, toml, json counts, and the other is named.
  write("config.yaml", "pool_size: 4\n");
  auto settings = load();
  EXPECT_EQ(settings->config.pool_size, 4);
  ASSERT_EQ(settings->warnings.size(), 1U);
  EXPECT_NE(settings->warnings[0].find("config.toml"), std::string::npos);
  // --config replaces it.
  flags_.config = write("other.env", "POOL_SIZE=5\n");
  EXPECT_EQ(load()->config.pool_size, 5);
}

TEST_F(SettingsTest, UnknownKeysWarn) {
  flags_.config = write("c.json", R"({"rot_dir":"/x","log":{"colour":true}})");
  auto settings = load();
  ASSERT_TRUE(settings);
  ASSERT_EQ(settings->warnings.size(), 2U);
  EXPECT_NE(settings->warnings[0].find("\"log.colour\""), std::string::npos);
  EXPECT_NE(settings->warnings[1].find("\"rot_dir\""), std::string::npos);
}

struct FileCase {
  const char* name;
  const char* text;
};
class ConfigFormats : public SettingsTest, public testing::WithParamInterface<FileCase> {};
TEST_P(ConfigFormats, SayTheSame) {
  flags_.config = write(GetParam().name, GetParam().text);
  auto settings = load();
  ASSERT_TRUE(settings) << settings.error().to_string();
  EXPECT_EQ(settings->config.root_dir, "/r");
  EXPECT_EQ(settings->config.stop_timeout_seconds, 30);
  EXPECT_EQ(settings->config.dns, (std::vector<std::string>{"1.1.1.1", "::1"}));
  EXPECT_TRUE(settings->config.use_firecracker);
  EXPECT_EQ(settings->config.max_layer_bytes, std::int64_t{2} << 30);
  EXPECT_EQ(settings->log.level, LogLevel::kWarn);
  EXPECT_TRUE(settings->warnings.empty());
}
INSTANTIATE_TEST_SUITE_P(
    Formats, ConfigFormats,
    testing::Values(
        FileCase{"c.json", R"({"ROOT_DIR":"/r","stop_timeout_seconds":"30","dns":["1.1.1.1","::1"],
                 "use_firecracker":true,"max_layer_bytes":"2G","log":{"level":"warn"}})"},
        FileCase{"c.toml",
                 "root_dir='/r'\nstop_timeout_seconds=30\ndns=['1.1.1.1','::1']\n"
                 "use_firecracker=true\nmax_layer_bytes='2G'\n[log]\nlevel='warn'\n"},
        FileCase{"c.yaml",
                 "Root_Dir: /r\nstop_timeout_seconds: 30\ndns: [1.1.1.1, '::1']\n"
                 "use_firecracker: true\nmax_layer_bytes: 2G\nlog: {level: warn}\n"},
        FileCase{"c.yml",
                 "root_dir: /r\nstop_timeout_seconds: '30'\ndns: 1.1.1.1;::1\n"
                 "use_firecracker: 1\nmax_layer_bytes: 2147483648\nlog_level: WARN\n"},
        FileCase{"c.env",
                 "# comment\nROOT_DIR=/r\nSTOP_TIMEOUT_SECONDS=\"30\"\n\n"
                 "DNS='1.1.1.1, ::1'\nexport USE_FIRECRACKER=true # note\n"
                 "MAX_LAYER_BYTES=2GiB\nLOG_LEVEL=warn\n"},
        FileCase{"c.dotenv",
                 "root_dir=/r\nstop_timeout_seconds=30\ndns=1.1.1.1,::1\n"
                 "use_firecracker=T\nmax_layer_bytes=2g\nlog.level=2\n"}),
    [](const auto& one) {
      std::string name = one.param.name;
      return name.substr(2);
    });

TEST_F(SettingsTest, BadFilesAreErrorsThatNameThem) {
  flags_.config = dir() / "absent.yaml";
  EXPECT_EQ(load().error().kind, ErrorKind::kNotFound);
  for (const auto& [name, text] : std::map<std::string, std::string>{
           {"c.ini", "a=b"},
           {"c.json", "{"},
           {"d.json", "[]"},
           {"c.toml", "a = ["},
           {"c.yaml", "a: [b"},
           {"d.yaml", "- a\n- b\n"},
           {"e.yaml", "a: {b: {c: {d: {e: {f: {g: {h: {i: {j: 1}}}}}}}}}}\n"},
           {"f.yaml", "a: [[1]]\n"},
           {"c.env", "no equals sign\n"}}) {
    flags_.config = write(name, text);
    auto settings = load();
    ASSERT_FALSE(settings) << name;
    EXPECT_EQ(settings.error().kind, ErrorKind::kInvalid) << name;
    EXPECT_EQ(error_of_load().rfind("config: ", 0), 0U) << error_of_load();
    EXPECT_TRUE(name == "c.ini" || error_of_load().find(name) != std::string::npos)
        << error_of_load();
  }
}

TEST_F(SettingsTest, OnlyTheValueThatCountsIsChecked) {
  flags_.config = write("c.json", R"({"dns":"nonsense"})");
  EXPECT_NE(error_of_load().find("\"nonsense\" is not an IP address"), std::string::npos);
  flags_.dns = "1.1.1.1";
  EXPECT_TRUE(load());
}

struct BadValue {
  const char* name;
  const char* value;
};
class BadValues : public SettingsTest, public testing::WithParamInterface<BadValue> {};
TEST_P(BadValues, AreRefusedByNameAndValue) {
  env_[GetParam().name] = GetParam().value;
  auto settings = load();
  ASSERT_FALSE(settings);
  EXPECT_EQ(settings.error().kind, ErrorKind::kInvalid);
  EXPECT_EQ(error_of_load().rfind(std::string("config: ") + GetParam().name, 0), 0U);
  EXPECT_NE(error_of_load().find(GetParam().value), std::string::npos) << error_of_load();
}
INSTANTIATE_TEST_SUITE_P(
    Keys, BadValues,
    testing::Values(
        BadValue{"COCOON_STOP_TIMEOUT_SECONDS", "0"}, BadValue{"COCOON_STOP_TIMEOUT_SECONDS", "-1"},
        BadValue{"COCOON_STOP_TIMEOUT_SECONDS", "soon"}, BadValue{"COCOON_DNS", "8.8.8"},
        BadValue{"COCOON_DNS", "dns.example"}, BadValue{"COCOON_LOG_LEVEL", "loud"},
        BadValue{"COCOON_LOG_LEVEL", "200"}, BadValue{"COCOON_LOG_USE_JSON", "maybe"},
        BadValue{"COCOON_LOG_MAX_AGE", "-3"}, BadValue{"COCOON_HYPERVISOR", "xen"},
        BadValue{"COCOON_UID_BASE", "-7"}, BadValue{"COCOON_UID_BASE", "4294967296"},
        BadValue{"COCOON_POOL_SIZE", "99999999999"}, BadValue{"COCOON_MAX_LAYER_BYTES", "1GG"},
        BadValue{"COCOON_USE_FIRECRACKER", "yes"}));

TEST_F(SettingsTest, ZeroMeansTheDefaultForWaits) {
  env_["COCOON_SOCKET_WAIT_TIMEOUT_SECONDS"] = "-1";
  env_["COCOON_TERMINATE_GRACE_PERIOD_SECONDS"] = "0";
  auto settings = load();
  EXPECT_EQ(settings->config.socket_wait_timeout_seconds, 5);
  EXPECT_EQ(settings->config.terminate_grace_period_seconds, 5);
}

TEST(Dns, SplitsOnCommasAndSemicolons) {
  EXPECT_EQ(*parse_dns(" 1.1.1.1 ;, 2001:db8::1,"),
            (std::vector<std::string>{"1.1.1.1", "2001:db8::1"}));
  EXPECT_TRUE(parse_dns("")->empty());
  EXPECT_FALSE(parse_dns("1.1.1.1 8.8.8.8"));
  EXPECT_FALSE(parse_dns("256.1.1.1"));
}

TEST(LogLevels, TakeNamesAndNumbers) {
  EXPECT_EQ(*parse_log_level("TRACE"), LogLevel::kTrace);
  EXPECT_EQ(*parse_log_level("-1"), LogLevel::kTrace);
  EXPECT_EQ(*parse_log_level("0"), LogLevel::kDebug);
  EXPECT_EQ(*parse_log_level("3"), LogLevel::kError);
  EXPECT_EQ(*parse_log_level("7"), LogLevel::kOff);
  EXPECT_EQ(*parse_log_level("panic"), LogLevel::kOff);
  EXPECT_FALSE(parse_log_level(""));
}

TEST(Keys, AreFoundInEverySpelling) {
  for (const char* name : {"log.max_size", "log_max_size", "LOG.MAXSIZE", "Log_MaxSize"}) {
    ASSERT_NE(find_key(name), nullptr) << name;
    EXPECT_EQ(find_key(name)->name, "log.max_size");
  }
  EXPECT_EQ(find_key("root-dir"), nullptr);
  EXPECT_EQ(find_key(""), nullptr);
}

TEST(LogFiles, OldRotatedFilesGo) {
  auto dir = sys::TempDir::create(fs::temp_directory_path(), "logs-");
  ASSERT_TRUE(dir);
  fs::path current = dir->path() / "cocoon.log";
  fs::path young = dir->path() / "cocoon.1.log";
  fs::path old = dir->path() / "cocoon.2.log";
  for (const fs::path& path : {current, young, old}) std::ofstream(path) << "x";
  auto long_ago = fs::file_time_type::clock::now() - std::chrono::hours(24 * 30);
  fs::last_write_time(old, long_ago);
  fs::last_write_time(current, long_ago);
  remove_old_logs(current, 3, 28);
  EXPECT_TRUE(fs::exists(current));
  EXPECT_TRUE(fs::exists(young));
  EXPECT_FALSE(fs::exists(old));
}

}  // namespace
}  // namespace cocoon::cli
