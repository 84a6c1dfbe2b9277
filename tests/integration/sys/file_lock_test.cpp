// SPDX-License-Identifier: Apache-2.0
#include "sys/file_lock.h"

#include <atomic>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace cocoon::sys {
namespace {

using Mode = FileLock::Mode;

class Locks : public testing::Test {
 protected:
  void SetUp() override {
    auto dir = TempDir::create(fs::temp_directory_path(), "cocoon-lock-");
    ASSERT_TRUE(dir);
    dir_.emplace(std::move(*dir));
    path_ = dir_->path() / "id";
  }
  std::optional<TempDir> dir_;
  fs::path path_;
};

TEST_F(Locks, ExcludesAndNamesTheHolder) {
  auto held = FileLock::take(path_, Mode::kExclusive, "start", Milliseconds(0));
  ASSERT_TRUE(held);
  auto second = FileLock::take(path_, Mode::kExclusive, "stop", Milliseconds(30));
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().kind, ErrorKind::kBusy);
  EXPECT_EQ(second.error().cause, fmt::format("busy: held by start (pid {})", getpid()));
}

TEST_F(Locks, SharedHoldersDoNotExcludeEachOther) {
  auto first = FileLock::take(path_, Mode::kShared, "clone", Milliseconds(0));
  auto second = FileLock::take(path_, Mode::kShared, "clone", Milliseconds(0));
  EXPECT_TRUE(first && second);
  EXPECT_FALSE(FileLock::take(path_, Mode::kExclusive, "rm", Milliseconds(0)));
}

TEST_F(Locks, ARemovedLockFileIsNotTrusted) {
  // Whoever waited for a lock that rm unlinked must end up on the new file.
  for (int round = 0; round < 20; ++round) {
    std::atomic<int> inside{0};
    std::atomic<bool> overlap{false};
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; ++i) {
      threads.emplace_back([&] {
        auto lock = FileLock::take(path_, Mode::kExclusive, "rm", Milliseconds(10'000));
        ASSERT_TRUE(lock) << lock.error().to_string();
        if (++inside > 1) overlap = true;
        std::this_thread::yield();
        --inside;
        lock->unlink();
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_FALSE(overlap);
  }
  EXPECT_FALSE(sys::exists(path_));
}

}  // namespace
}  // namespace cocoon::sys
