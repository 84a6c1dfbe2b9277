// SPDX-License-Identifier: Apache-2.0
#include "disk/file_copy.h"

#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <thread>

#include "sys/cancel.h"

namespace cocoon::disk {
namespace {

constexpr std::int64_t kPiece = std::int64_t{64} << 20;  // between two looks at cancellation
constexpr std::size_t kBuffer = std::size_t{1} << 20;
constexpr std::size_t kPage = 4096;
constexpr std::size_t kThreads = 4;

// A piece of data in a file.
struct Extent {
  std::int64_t begin = 0;
  std::int64_t end = 0;
};

bool is_zero(const char* page, std::size_t size) {
  static constexpr char kZeroes[kPage] = {};
  return std::memcmp(page, kZeroes, size) == 0;
}

Result<void> write_at(int fd, const char* bytes, std::size_t size, std::int64_t at) {
  while (size > 0) {
    ssize_t put = pwrite(fd, bytes, size, at);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return fail_errno("write");
    bytes += put;
    at += put;
    size -= static_cast<std::size_t>(put);
  }
  return {};
}

// Writes what is not zero.
Result<void> write_pages(int fd, const char* bytes, std::size_t size, std::int64_t at) {
  std::size_t begin = 0;
  while (begin < size) {
    auto length = [&](std::size_t offset) { return std::min(kPage, size - offset); };
    while (begin < size && is_zero(bytes + begin, length(begin))) begin += length(begin);
    std::size_t end = begin;
    while (end < size && !is_zero(bytes + end, length(end))) end += length(end);
    COCOON_TRY(write_at(fd, bytes + begin, end - begin, at + static_cast<std::int64_t>(begin)));
    begin = end;
  }
  return {};
}

Result<void> copy_by_hand(int from, int to, Extent extent, bool drop_zeroes) {
  std::vector<char> buffer(kBuffer);
  while (extent.begin < extent.end) {
    auto want = static_cast<std::size_t>(
        std::min<std::int64_t>(static_cast<std::int64_t>(kBuffer), extent.end - extent.begin));
    ssize_t got = pread(from, buffer.data(), want, extent.begin);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno("read");
    if (got == 0) return {};  // it shrank; the size is set already
    auto size = static_cast<std::size_t>(got);
    COCOON_TRY(drop_zeroes ? write_pages(to, buffer.data(), size, extent.begin)
                           : write_at(to, buffer.data(), size, extent.begin));
    extent.begin += got;
  }
  return {};
}

bool cannot_copy_range(int error) {
  return error == EXDEV || error == EINVAL || error == EOPNOTSUPP || error == ENOSYS ||
         error == EBADF;
}

Result<void> copy_piece(int from, int to, Extent piece, CopyOptions options) {
  if (options.drop_zeroes) return copy_by_hand(from, to, piece, true);
  off_t in = piece.begin;
  off_t out = piece.begin;
  while (in < piece.end) {
    ssize_t moved =
        copy_file_range(from, &in, to, &out, static_cast<std::size_t>(piece.end - in), 0);
    if (moved > 0 || (moved < 0 && errno == EINTR)) continue;
    if (moved < 0 && !cannot_copy_range(errno)) return fail_errno("copy");
    return copy_by_hand(from, to, {in, piece.end}, false);
  }
  return {};
}

Result<void> copy_extent(int from, int to, Extent extent, CopyOptions options) {
  while (extent.begin < extent.end) {
    COCOON_TRY(sys::check_cancelled());
    Extent piece{extent.begin, std::min(extent.end, extent.begin + kPiece)};
    COCOON_TRY(copy_piece(from, to, piece, options));
    extent.begin = piece.end;
  }
  return {};
}

// The next data at or behind `at`; an empty one at the end when there is none.
Result<Extent> next_data(int fd, std::int64_t at, std::int64_t size) {
  off_t begin = lseek(fd, at, SEEK_DATA);
  if (begin < 0 && errno == ENXIO) return Extent{size, size};
  if (begin < 0 && errno == EINVAL) return Extent{at, size};  // knows no holes: all of it is data
  if (begin < 0) return fail_errno("look for data");
  off_t end = lseek(fd, begin, SEEK_HOLE);
  if (end < 0 && errno != ENXIO) return fail_errno("look for a hole");
  return Extent{begin, end < 0 ? size : end};
}

Result<void> copy_data(int from, int to, std::int64_t size, CopyOptions options) {
  std::int64_t at = 0;
  while (at < size) {
    Extent extent = COCOON_TRY(next_data(from, at, size));
    extent.end = std::min(extent.end, size);
    COCOON_TRY(copy_extent(from, to, extent, options));
    at = extent.end;
  }
  return {};
}

}  // namespace

Result<CopyMethod> copy_file(int from, int to, CopyOptions options) {
  if (ioctl(to, FICLONE, from) == 0) return CopyMethod::kReflink;
  struct stat info {};
  if (fstat(from, &info) != 0) return fail_errno("stat");
  if (ftruncate(to, info.st_size) != 0) return fail_errno("set the size");
  COCOON_TRY(copy_data(from, to, info.st_size, options));
  return CopyMethod::kSparse;
}

Result<void> copy_files(const std::vector<CopyJob>& jobs) {
  std::vector<Result<CopyMethod>> results(jobs.size(), CopyMethod::kSparse);
  std::atomic<std::size_t> next{0};
  auto work = [&] {
    for (std::size_t i = next++; i < jobs.size(); i = next++) {
      results[i] = copy_file(jobs[i].from, jobs[i].to, jobs[i].options);
    }
  };
  std::vector<std::thread> threads;
  for (std::size_t i = 1; i < std::min(kThreads, jobs.size()); ++i) threads.emplace_back(work);
  work();
  for (std::thread& thread : threads) thread.join();
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    if (!results[i])
      return pass(std::move(results[i]).error(), fmt::format("copy {}", jobs[i].what));
  }
  return {};
}

}  // namespace cocoon::disk
