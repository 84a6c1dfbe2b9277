// SPDX-License-Identifier: Apache-2.0
#include "disk/page_delta.h"

#include <sys/stat.h>
#include <unistd.h>

#include <optional>
#include <random>
#include <string>

#include <gtest/gtest.h>

#include "sys/files.h"

namespace cocoon::disk {
namespace {

constexpr std::int64_t kPages = 700;  // two blocks and a part, and no multiple of 8
constexpr std::int64_t kBytes = kPages * kDeltaPage;

class PageDelta : public testing::Test {
 protected:
  void SetUp() override {
    auto dir = sys::TempDir::create(sys::fs::temp_directory_path(), "cocoon-delta-");
    ASSERT_TRUE(dir);
    dir_.emplace(std::move(*dir));
  }

  int file(const std::string& content = {}) {
    auto fd = sys::open_file(dir_->path() / std::to_string(files_.size()),
                             O_RDWR | O_CREAT | O_EXCL, 0600);
    EXPECT_TRUE(fd);
    files_.push_back(std::move(*fd));
    int out = files_.back().get();
    EXPECT_EQ(pwrite(out, content.data(), content.size(), 0), static_cast<ssize_t>(content.size()));
    return out;
  }

  static std::string content(int fd) {
    struct stat info {};
    EXPECT_EQ(fstat(fd, &info), 0);
    std::string out(static_cast<std::size_t>(info.st_size), '\0');
    EXPECT_EQ(pread(fd, out.data(), out.size(), 0), static_cast<ssize_t>(out.size()));
    return out;
  }

  // The version that the stack means, put together in a new file.
  std::string rebuilt(const PageStack& stack) {
    int out = file(content(stack.base));
    EXPECT_EQ(ftruncate(out, kBytes), 0);
    for (int delta : stack.deltas) EXPECT_TRUE(apply_delta(delta, kBytes, out));
    return content(out);
  }

  // The same with some pages changed, some of them to zeroes.
  std::string changed(std::string version) {
    for (int i = 0; i < 60; ++i) {
      auto at = static_cast<std::size_t>(random_() % kPages) * kDeltaPage;
      bool zero = random_() % 3 == 0;
      for (std::size_t j = 0; j < kDeltaPage; ++j) {
        version[at + j] = zero ? '\0' : static_cast<char>(random_());
      }
    }
    return version;
  }

  std::optional<sys::TempDir> dir_;
  std::vector<sys::UniqueFd> files_;
  std::mt19937 random_{20261126};  // fixed: a failure must come again
};

TEST_F(PageDelta, StacksLeadBackToEveryVersion) {
  std::vector<std::string> versions{changed(std::string(kBytes, '\0'))};
  PageStack stack{file(versions[0]), {}};
  for (int i = 0; i < 4; ++i) {
    versions.push_back(changed(versions.back()));
    int delta = file();
    ASSERT_TRUE(write_delta(stack, file(versions.back()), kBytes, delta));
    struct stat info {};
    ASSERT_EQ(fstat(delta, &info), 0);
    EXPECT_EQ(info.st_size, delta_size(kBytes));
    // At most the sixty pages, and the bitmap.
    EXPECT_LE(info.st_blocks * 512, 62 * kDeltaPage);
    stack.deltas.push_back(delta);
    for (std::size_t depth = 0; depth < versions.size(); ++depth) {
      PageStack part{
          stack.base,
          {stack.deltas.begin(), stack.deltas.begin() + static_cast<std::ptrdiff_t>(depth)}};
      EXPECT_TRUE(rebuilt(part) == versions[depth]) << depth;
    }
  }
}

TEST_F(PageDelta, OfTheSameIsEmpty) {
  std::string version = changed(std::string(kBytes, '\0'));
  PageStack stack{file(version), {}};
  int delta = file();
  ASSERT_TRUE(write_delta(stack, file(version), kBytes, delta));
  EXPECT_TRUE(content(delta) == std::string(static_cast<std::size_t>(delta_size(kBytes)), '\0'));
}

TEST_F(PageDelta, PagesThatBecomeZeroBecomeHoles) {
  PageStack stack{file(std::string(kBytes, 'x')), {}};
  int delta = file();
  ASSERT_TRUE(write_delta(stack, file(std::string(kBytes, '\0')), kBytes, delta));
  int to = file(std::string(kBytes, 'x'));
  ASSERT_TRUE(apply_delta(delta, kBytes, to));
  EXPECT_TRUE(content(to) == std::string(kBytes, '\0'));
  struct stat info {};
  ASSERT_EQ(fstat(to, &info), 0);
  EXPECT_EQ(info.st_size, kBytes);
  EXPECT_LT(info.st_blocks * 512, kBytes / 4);
}

TEST_F(PageDelta, RefusesWhatIsNone) {
  PageStack stack{file(std::string(kBytes, 'x')), {}};
  int delta = file();
  ASSERT_TRUE(write_delta(stack, file(std::string(kBytes, 'y')), kBytes, delta));
  ASSERT_EQ(ftruncate(delta, delta_size(kBytes) - 1), 0);
  int to = file(std::string(kBytes, 'x'));
  EXPECT_EQ(apply_delta(delta, kBytes, to).error().kind, ErrorKind::kCorrupt);
  EXPECT_TRUE(content(to) == std::string(kBytes, 'x'));
  stack.deltas = {delta};
  EXPECT_EQ(write_delta(stack, to, kBytes, file()).error().kind, ErrorKind::kCorrupt);
  EXPECT_EQ(apply_delta(delta, kBytes + 1, to).error().kind, ErrorKind::kCorrupt);
}

}  // namespace
}  // namespace cocoon::disk
