// SPDX-License-Identifier: Apache-2.0
#include "sys/file_lease.h"

#include <sys/mman.h>

#include <gtest/gtest.h>

#include "sys/files.h"

namespace cocoon::sys {
namespace {

class FileLease : public testing::Test {
 protected:
  void SetUp() override {
    auto dir = TempDir::create(fs::temp_directory_path(), "cocoon-lease-");
    ASSERT_TRUE(dir);
    dir_.emplace(std::move(*dir));
    ASSERT_TRUE(write_file_atomic(file(), "content", 0600));
    auto fd = open_file(file(), O_RDONLY);
    ASSERT_TRUE(fd);
    reader_ = std::move(*fd);
  }
  fs::path file() const { return dir_->path() / "f"; }

  std::optional<TempDir> dir_;
  UniqueFd reader_;
};

TEST_F(FileLease, IsGivenWhenNobodyWrites) {
  auto free = wait_no_writer(reader_.get(), deadline_in(Milliseconds(100)));
  ASSERT_TRUE(free) << free.error().to_string();
  EXPECT_EQ(*free, Writers::kNone);
  EXPECT_TRUE(open_file(file(), O_WRONLY)) << "and it is given back";
}

TEST_F(FileLease, IsRefusedWhileSomebodyCanWrite) {
  auto writer = open_file(file(), O_WRONLY);
  ASSERT_TRUE(writer);
  EXPECT_EQ(*wait_no_writer(reader_.get(), deadline_in(Milliseconds(50))), Writers::kSome);
  writer->reset();
  EXPECT_EQ(*wait_no_writer(reader_.get(), deadline_in(Milliseconds(1000))), Writers::kNone);
}

TEST_F(FileLease, SeesAMappingWithoutADescriptor) {
  auto writer = open_file(file(), O_RDWR);
  ASSERT_TRUE(writer);
  void* mapped = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, writer->get(), 0);
  ASSERT_NE(mapped, MAP_FAILED);
  writer->reset();
  EXPECT_EQ(*wait_no_writer(reader_.get(), deadline_in(Milliseconds(50))), Writers::kSome);
  munmap(mapped, 4096);
  EXPECT_EQ(*wait_no_writer(reader_.get(), deadline_in(Milliseconds(1000))), Writers::kNone);
}

}  // namespace
}  // namespace cocoon::sys
