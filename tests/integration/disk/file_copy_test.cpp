// SPDX-License-Identifier: Apache-2.0
#include "disk/file_copy.h"

#include <sys/stat.h>

#include <gtest/gtest.h>

#include "sys/files.h"

namespace cocoon::disk {
namespace {

constexpr std::int64_t kMiB = std::int64_t{1} << 20;

class FileCopy : public testing::Test {
 protected:
  void SetUp() override {
    // tmpfs has no reflinks, so that these are copies whatever the host's file system is.
    auto dir = sys::TempDir::create("/dev/shm", "cocoon-copy-");
    ASSERT_TRUE(dir);
    dir_.emplace(std::move(*dir));
  }
  sys::fs::path at(const std::string& name) const { return dir_->path() / name; }

  // A file of `size` bytes with `text` at each of the offsets.
  sys::UniqueFd make(const std::string& name, std::int64_t size,
                     const std::vector<std::pair<std::int64_t, std::string>>& texts) {
    auto fd = sys::create_sparse_file(at(name), size, 0600);
    EXPECT_TRUE(fd) << fd.error().to_string();
    for (const auto& [offset, text] : texts) {
      EXPECT_EQ(pwrite(fd->get(), text.data(), text.size(), offset),
                static_cast<ssize_t>(text.size()));
    }
    return std::move(*fd);
  }
  sys::UniqueFd target(const std::string& name) {
    auto fd = sys::open_file(at(name), O_RDWR | O_CREAT | O_EXCL, 0600);
    EXPECT_TRUE(fd);
    return std::move(*fd);
  }
  std::string read(const std::string& name) { return *sys::read_file(at(name), 64 * kMiB); }
  std::int64_t allocated(const std::string& name) { return sys::allocated_bytes(at(name)); }

  std::optional<sys::TempDir> dir_;
};

TEST_F(FileCopy, KeepsBytesAndHoles) {
  auto from =
      make("a", 32 * kMiB, {{0, "start"}, {20 * kMiB + 17, "middle"}, {32 * kMiB - 3, "end"}});
  auto to = target("b");
  auto copied = copy_file(from.get(), to.get());
  ASSERT_TRUE(copied) << copied.error().to_string();
  EXPECT_EQ(*copied, CopyMethod::kSparse);
  EXPECT_EQ(read("b"), read("a"));
  EXPECT_LT(allocated("b"), kMiB);
}

TEST_F(FileCopy, MatrixOfSizes) {
  int number = 0;
  for (bool drop : {false, true}) {
    for (std::int64_t size : {0, 1, 4095, 4096, 4097, 1 << 20, (1 << 20) + 5}) {
      std::string name = "m" + std::to_string(number++);
      std::string text(static_cast<std::size_t>(size), 'x');
      auto from = make(name, size, {{0, text}});
      auto to = target(name + "-copy");
      ASSERT_TRUE(copy_file(from.get(), to.get(), {.drop_zeroes = drop})) << size;
      EXPECT_EQ(read(name + "-copy"), text) << size;
    }
  }
}

TEST_F(FileCopy, ZeroPagesBecomeHolesWhenAskedFor) {
  std::string data(8 * kMiB, '\0');
  data[3 * kMiB + 5] = 'x';
  data.back() = 'y';
  auto from = make("a", static_cast<std::int64_t>(data.size()), {{0, data}});
  auto kept = target("kept");
  auto dropped = target("dropped");
  ASSERT_TRUE(copy_file(from.get(), kept.get()));
  ASSERT_TRUE(copy_file(from.get(), dropped.get(), {.drop_zeroes = true}));
  EXPECT_EQ(read("kept"), data);
  EXPECT_EQ(read("dropped"), data);
  EXPECT_GE(allocated("kept"), 8 * kMiB);
  EXPECT_LE(allocated("dropped"), 64 << 10);
}

TEST_F(FileCopy, AFileOfHolesTakesNothing) {
  auto from = make("a", 1024 * kMiB, {});
  auto to = target("b");
  ASSERT_TRUE(copy_file(from.get(), to.get()));
  struct stat info {};
  ASSERT_EQ(fstat(to.get(), &info), 0);
  EXPECT_EQ(info.st_size, 1024 * kMiB);
  EXPECT_EQ(allocated("b"), 0);
}

TEST_F(FileCopy, ManyAtOnceAndTheFirstFailureIsTold) {
  std::vector<sys::UniqueFd> held;
  std::vector<CopyJob> jobs;
  for (int i = 0; i < 9; ++i) {
    std::string name = "f" + std::to_string(i);
    held.push_back(make(name, kMiB, {{i * 1000, name}}));
    int from = held.back().get();
    held.push_back(target(name + "-copy"));
    jobs.push_back({from, held.back().get(), name, {}});
  }
  ASSERT_TRUE(copy_files(jobs));
  for (int i = 0; i < 9; ++i) {
    std::string name = "f" + std::to_string(i);
    EXPECT_EQ(read(name + "-copy"), read(name));
  }
  auto read_only = sys::open_file(at("f0"), O_RDONLY);
  ASSERT_TRUE(read_only);
  jobs.push_back({held[0].get(), read_only->get(), "the last one", {}});
  auto failed = copy_files(jobs);
  ASSERT_FALSE(failed);
  EXPECT_NE(failed.error().to_string().find("copy the last one"), std::string::npos);
}

}  // namespace
}  // namespace cocoon::disk
