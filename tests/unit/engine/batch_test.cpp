// SPDX-License-Identifier: Apache-2.0
#include "engine/batch.h"

#include <algorithm>
#include <atomic>
#include <optional>
#include <thread>

#include <gtest/gtest.h>

#include "sys/files.h"

namespace cocoon::engine {
namespace {

class Batch : public testing::Test {
 protected:
  void SetUp() override {
    auto dir = sys::TempDir::create(sys::fs::temp_directory_path(), "cocoon-batch-");
    ASSERT_TRUE(dir);
    dir_.emplace(std::move(*dir));
    config_.root_dir = dir_->path();
    config_.pool_size = 4;
    auto db = store::Db::open(store::Paths(config_).database());
    ASSERT_TRUE(db);
    db_.emplace(std::move(*db));
  }

  Ports ports() { return {config_, store::Paths(config_), *db_}; }

  std::optional<sys::TempDir> dir_;
  model::Config config_;
  std::optional<store::Db> db_;
};

// Of this process, now.
std::size_t thread_count() {
  auto tasks = sys::list_dir("/proc/self/task");
  return tasks ? tasks->size() : 0;
}

TEST_F(Batch, OneByOneStartsNoThread) {
  Ports own = ports();
  std::size_t before = thread_count();
  ASSERT_GT(before, 0U);
  std::vector<std::string> order;
  auto work = [&](Ports& given, const std::string& id) -> Result<void> {
    EXPECT_EQ(&given, &own);
    EXPECT_EQ(thread_count(), before);
    order.push_back(id);
    if (id == "b") return fail(ErrorKind::kBusy, "held");
    return {};
  };
  auto result = run_batch(own, {"c", "b", "a"}, work, Pace::kOneByOne);
  EXPECT_EQ(order, (std::vector<std::string>{"c", "b", "a"}));
  EXPECT_EQ(result.succeeded, (std::vector<std::string>{"c", "a"}));
  ASSERT_EQ(result.failed.size(), 1U);
  EXPECT_EQ(result.failed[0].id, "b");
  EXPECT_EQ(result.failed[0].error.kind, ErrorKind::kBusy);
}

TEST_F(Batch, SideBySideEachThreadHasItsOwnHandle) {
  Ports own = ports();
  std::atomic<int> inside{0};
  std::atomic<int> foreign{0};
  auto work = [&](Ports& given, const std::string&) -> Result<void> {
    if (&given != &own) ++foreign;
    // Waits for a second one, so both are under way at once.
    ++inside;
    auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (inside < 2 && std::chrono::steady_clock::now() < until) std::this_thread::yield();
    return inside >= 2 ? Result<void>() : fail(ErrorKind::kTimeout, "alone");
  };
  auto result = run_batch(own, {"a", "b", "c", "d"}, work);
  EXPECT_TRUE(result.failed.empty());
  EXPECT_GT(foreign, 0);
}

}  // namespace
}  // namespace cocoon::engine
