// SPDX-License-Identifier: Apache-2.0
#include "shim/console_log.h"

#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include <gtest/gtest.h>

#include "shim/files.h"

namespace cocoon::shim {
namespace {
namespace fs = std::filesystem;

class ConsoleLogTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = fs::temp_directory_path() / "cocoon-log-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    path_ = name;
    directory_ = open_directory(path_.c_str());
  }
  void TearDown() override { fs::remove_all(path_); }

  std::string read(const std::string& name) const {
    std::ifstream file(path_ / name, std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
  }

  std::size_t count() const {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(path_), fs::directory_iterator()));
  }

  fs::path path_;
  UniqueFd directory_;
};

TEST_F(ConsoleLogTest, FillsFilesToTheLimitAndKeepsTheNewest) {
  ConsoleLog log;
  ASSERT_TRUE(log.open(directory_.get(), {.max_bytes = 10, .files = 3}).ok);
  log.append("0123456789abc");
  EXPECT_EQ(read("console.log.1"), "0123456789");
  EXPECT_EQ(read("console.log"), "abc");
  log.append("defghijKLMNOPQRSTuv");
  EXPECT_EQ(read("console.log.2"), "abcdefghij");
  EXPECT_EQ(read("console.log.1"), "KLMNOPQRST");
  EXPECT_EQ(read("console.log"), "uv");
  EXPECT_EQ(count(), 3U);
}

TEST_F(ConsoleLogTest, OneFileStartsOver) {
  ConsoleLog log;
  ASSERT_TRUE(log.open(directory_.get(), {.max_bytes = 10, .files = 1}).ok);
  log.append("0123456789abc");
  EXPECT_EQ(read("console.log"), "abc");
  EXPECT_EQ(count(), 1U);
}

TEST_F(ConsoleLogTest, RemovesFilesOfALargerLimit) {
  {
    ConsoleLog log;
    ASSERT_TRUE(log.open(directory_.get(), {.max_bytes = 2, .files = 5}).ok);
    log.append("aabbccddee");
    EXPECT_EQ(count(), 5U);
  }
  ConsoleLog log;
  ASSERT_TRUE(log.open(directory_.get(), {.max_bytes = 2, .files = 2}).ok);
  EXPECT_EQ(count(), 2U);
  EXPECT_EQ(read("console.log"), "ee");
  EXPECT_EQ(read("console.log.1"), "dd");
}

TEST_F(ConsoleLogTest, GoesOnAfterTheFileCouldNotBeOpened) {
  fs::create_directory(path_ / "console.log");
  ConsoleLog log;
  EXPECT_FALSE(log.open(directory_.get(), {.max_bytes = 4096, .files = 2}).ok);
  log.append("lost");
  EXPECT_EQ(log.dropped(), 4U);
  fs::remove(path_ / "console.log");
  log.append("kept");
  EXPECT_EQ(log.dropped(), 0U);
  EXPECT_EQ(read("console.log"),
            "\r\n[cocoon: 4 bytes of console output could not be logged]\r\nkept");
}

TEST_F(ConsoleLogTest, DoesNotFollowALink) {
  fs::create_symlink(path_ / "victim", path_ / "console.log");
  ConsoleLog log;
  EXPECT_FALSE(log.open(directory_.get(), {.max_bytes = 4096, .files = 2}).ok);
  EXPECT_FALSE(fs::exists(path_ / "victim"));
}

TEST_F(ConsoleLogTest, ReplaysTheTail) {
  ConsoleLog log;
  ASSERT_TRUE(log.open(directory_.get(), {.max_bytes = 1 << 20, .files = 2}).ok);
  log.append(std::string(10000, 'a') + std::string(9000, 'b'));
  std::string tail;
  log.replay_tail(
      9001,
      [](void* out, std::string_view bytes) { static_cast<std::string*>(out)->append(bytes); },
      &tail);
  EXPECT_EQ(tail, "a" + std::string(9000, 'b'));
}

}  // namespace
}  // namespace cocoon::shim
