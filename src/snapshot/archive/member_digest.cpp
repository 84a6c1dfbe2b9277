// SPDX-License-Identifier: Apache-2.0
#include "snapshot/archive/member_digest.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <functional>
#include <thread>

#include "snapshot/archive/archive_writer.h"
#include "sys/cancel.h"

namespace cocoon::snapshot {
namespace {

constexpr std::size_t kBuffer = std::size_t{1} << 20;
constexpr std::int64_t kPage = kPageBytes;

std::array<char, 8> little_endian(std::int64_t number) {
  std::array<char, 8> out{};
  for (char& byte : out) {
    byte = static_cast<char>(number & 0xff);
    number >>= 8;
  }
  return out;
}

using Take = std::function<void(std::int64_t offset, std::string_view bytes)>;

Result<void> read_segment(int fd, Segment segment, std::string& buffer, const Take& take) {
  while (segment.length > 0) {
    COCOON_TRY(sys::check_cancelled());
    auto want = static_cast<std::size_t>(
        std::min<std::int64_t>(segment.length, static_cast<std::int64_t>(buffer.size())));
    ssize_t got = pread(fd, buffer.data(), want, segment.offset);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno("read");
    if (got == 0) return fail(ErrorKind::kCorrupt, "it became shorter");
    take(segment.offset, {buffer.data(), static_cast<std::size_t>(got)});
    segment.offset += got;
    segment.length -= got;
  }
  return {};
}

Result<std::string> digest_of(const DigestJob& job) {
  struct stat info {};
  if (fstat(job.fd, &info) != 0) return fail_errno("stat");
  std::string buffer(kBuffer, '\0');
  if (job.pages) {
    PageDigest digest;
    for (const Segment& segment : COCOON_TRY(find_data(job.fd, info.st_size))) {
      COCOON_TRY(
          read_segment(job.fd, segment, buffer,
                       [&](std::int64_t at, std::string_view bytes) { digest.update(at, bytes); }));
    }
    return digest.finish(info.st_size);
  }
  image::Sha256 hash;
  COCOON_TRY(read_segment(job.fd, {0, info.st_size}, buffer,
                          [&](std::int64_t, std::string_view bytes) { hash.update(bytes); }));
  return hash.finish();
}

}  // namespace

bool is_zero_page(std::string_view bytes) {
  static constexpr char kZeroes[kPageBytes] = {};
  return std::memcmp(bytes.data(), kZeroes, bytes.size()) == 0;
}

void PageDigest::add(std::int64_t page, std::string_view bytes) {
  if (is_zero_page(bytes)) return;
  auto offset = little_endian(page);
  hash_.update({offset.data(), offset.size()});
  hash_.update(bytes);
}

// The page of the pieces to come; the one before is complete.
void PageDigest::begin(std::int64_t page) {
  if (page_ == page) return;
  if (page_ >= 0) add(page_, {buffer_.data(), buffer_.size()});
  page_ = page;
  buffer_.fill('\0');
}

void PageDigest::update(std::int64_t offset, std::string_view bytes) {
  while (!bytes.empty()) {
    std::int64_t page = offset / kPage * kPage;
    auto begins = static_cast<std::size_t>(offset - page);
    std::string_view piece = bytes.substr(0, kPageBytes - begins);
    if (piece.size() == kPageBytes) {
      begin(-1);
      add(page, piece);
    } else {
      begin(page);
      std::copy(piece.begin(), piece.end(), buffer_.begin() + static_cast<std::ptrdiff_t>(begins));
    }
    offset += static_cast<std::int64_t>(piece.size());
    bytes.remove_prefix(piece.size());
  }
}

std::string PageDigest::finish(std::int64_t size) {
  begin(-1);
  auto end = little_endian(size);
  hash_.update({end.data(), end.size()});
  return hash_.finish();
}

std::string pages_digest(std::string_view bytes) {
  PageDigest digest;
  digest.update(0, bytes);
  return digest.finish(static_cast<std::int64_t>(bytes.size()));
}

Result<void> take_digests(std::vector<DigestJob>& jobs) {
  std::vector<Result<void>> results(jobs.size());
  std::atomic<std::size_t> next{0};
  auto work = [&] {
    for (std::size_t i = next++; i < jobs.size(); i = next++) {
      auto digest = digest_of(jobs[i]);
      if (digest) {
        jobs[i].digest = std::move(*digest);
      } else {
        results[i] = pass(std::move(digest).error(), jobs[i].what);
      }
    }
  };
  std::size_t most = std::max(1U, std::thread::hardware_concurrency());
  std::vector<std::thread> threads;
  for (std::size_t i = 1; i < std::min(most, jobs.size()); ++i) threads.emplace_back(work);
  work();
  for (std::thread& thread : threads) thread.join();
  for (Result<void>& result : results) COCOON_TRY(std::move(result));
  return {};
}

}  // namespace cocoon::snapshot
