// SPDX-License-Identifier: Apache-2.0
#include "disk/page_delta.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>

#include "sys/cancel.h"

namespace cocoon::disk {
namespace {

constexpr std::int64_t kBlock = std::int64_t{1} << 20;  // read at once; whole pages
constexpr std::int64_t kPagesPerBlock = kBlock / kDeltaPage;

using Bitmap = std::vector<unsigned char>;

std::int64_t bitmap_size(std::int64_t bytes) { return (bytes / kDeltaPage + 7) / 8; }

bool is_set(const Bitmap& bits, std::int64_t page) {
  return (bits[static_cast<std::size_t>(page / 8)] >> (page % 8) & 1) != 0;
}

void set(Bitmap& bits, std::int64_t page) {
  bits[static_cast<std::size_t>(page / 8)] |= static_cast<unsigned char>(1U << (page % 8));
}

bool is_zero(const char* page) {
  static constexpr char kZeroes[kDeltaPage] = {};
  return std::memcmp(page, kZeroes, kDeltaPage) == 0;
}

// Returns how much there was before the end of the file.
Result<std::int64_t> read_at(int fd, char* out, std::int64_t size, std::int64_t at) {
  std::int64_t done = 0;
  while (done < size) {
    ssize_t got = pread(fd, out + done, static_cast<std::size_t>(size - done), at + done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno("read");
    if (got == 0) break;
    done += got;
  }
  return done;
}

Result<void> read_pages(int fd, char* out, std::int64_t size, std::int64_t at) {
  std::int64_t got = COCOON_TRY(read_at(fd, out, size, at));
  std::memset(out + got, 0, static_cast<std::size_t>(size - got));
  return {};
}

Result<void> write_at(int fd, const char* bytes, std::int64_t size, std::int64_t at) {
  while (size > 0) {
    ssize_t put = pwrite(fd, bytes, static_cast<std::size_t>(size), at);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return fail_errno("write");
    bytes += put;
    at += put;
    size -= put;
  }
  return {};
}

Result<Bitmap> read_bitmap(int delta, std::int64_t bytes) {
  Bitmap bits(static_cast<std::size_t>(bitmap_size(bytes)));
  auto size = static_cast<std::int64_t>(bits.size());
  auto got = COCOON_TRY(read_at(delta, reinterpret_cast<char*>(bits.data()), size, bytes));
  if (got == size) return bits;
  return fail(ErrorKind::kCorrupt, "the list of changed pages is cut off");
}

// Calls `run` for each stretch of pages of [first, last) for which `wanted` holds.
Result<void> for_runs(std::int64_t first, std::int64_t last,
                      const std::function<bool(std::int64_t)>& wanted,
                      const std::function<Result<void>(std::int64_t, std::int64_t)>& run) {
  std::int64_t page = first;
  while (page < last) {
    while (page < last && !wanted(page)) ++page;
    std::int64_t begin = page;
    while (page < last && wanted(page)) ++page;
    if (begin < page) COCOON_TRY(run(begin, page));
  }
  return {};
}

// The old version, block by block.
class OldPages {
 public:
  static Result<OldPages> open(const PageStack& stack, std::int64_t bytes) {
    OldPages old(stack);
    for (int delta : stack.deltas) {
      old.bitmaps_.push_back(COCOON_TRY(read_bitmap(delta, bytes)));
    }
    return old;
  }

  Result<void> read(char* out, std::int64_t first, std::int64_t last) const {
    COCOON_TRY(read_pages(stack_.base, out, (last - first) * kDeltaPage, first * kDeltaPage));
    for (std::size_t i = 0; i < bitmaps_.size(); ++i) {
      auto wanted = [&](std::int64_t page) { return is_set(bitmaps_[i], page); };
      COCOON_TRY(for_runs(first, last, wanted, [&](std::int64_t begin, std::int64_t end) {
        return read_pages(stack_.deltas[i], out + (begin - first) * kDeltaPage,
                          (end - begin) * kDeltaPage, begin * kDeltaPage);
      }));
    }
    return {};
  }

 private:
  explicit OldPages(const PageStack& stack) : stack_(stack) {}

  PageStack stack_;
  std::vector<Bitmap> bitmaps_;
};

Result<void> check_size(std::int64_t bytes) {
  if (bytes > 0 && bytes % kDeltaPage == 0) return {};
  return fail(ErrorKind::kCorrupt, "{} bytes are no whole pages", bytes);
}

// Of one block: notes what differs, and writes of that what is not zero.
Result<void> write_changed(const char* now, const char* before, std::int64_t first,
                           std::int64_t last, Bitmap& bits, int to) {
  auto at = [first](const char* block, std::int64_t page) {
    return block + (page - first) * kDeltaPage;
  };
  for (std::int64_t page = first; page < last; ++page) {
    if (std::memcmp(at(now, page), at(before, page), kDeltaPage) != 0) set(bits, page);
  }
  auto wanted = [&](std::int64_t page) { return is_set(bits, page) && !is_zero(at(now, page)); };
  return for_runs(first, last, wanted, [&](std::int64_t begin, std::int64_t end) {
    return write_at(to, at(now, begin), (end - begin) * kDeltaPage, begin * kDeltaPage);
  });
}

Result<void> make_zero(int fd, std::int64_t begin, std::int64_t end) {
  off_t at = begin * kDeltaPage;
  off_t size = (end - begin) * kDeltaPage;
  if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, size) == 0) return {};
  if (errno != EOPNOTSUPP && errno != ENOSYS) return fail_errno("make a hole");
  std::vector<char> zeroes(static_cast<std::size_t>(size));
  return write_at(fd, zeroes.data(), size, at);
}

// A run of changed pages, at most a block.
Result<void> place_run(int delta, std::int64_t first, std::int64_t last, std::vector<char>& block,
                       int to) {
  COCOON_TRY(read_pages(delta, block.data(), (last - first) * kDeltaPage, first * kDeltaPage));
  auto page_of = [&](std::int64_t page) { return block.data() + (page - first) * kDeltaPage; };
  auto zero = [&](std::int64_t page) { return is_zero(page_of(page)); };
  COCOON_TRY(for_runs(first, last, zero, [&](std::int64_t begin, std::int64_t end) {
    return make_zero(to, begin, end);
  }));
  return for_runs(first, last, std::not_fn(zero), [&](std::int64_t begin, std::int64_t end) {
    return write_at(to, page_of(begin), (end - begin) * kDeltaPage, begin * kDeltaPage);
  });
}

// Both loops go by blocks: memory use does not grow with the file, and a cancellation is heard.
Result<void> for_blocks(std::int64_t bytes,
                        const std::function<Result<void>(std::int64_t, std::int64_t)>& block) {
  std::int64_t pages = bytes / kDeltaPage;
  for (std::int64_t first = 0; first < pages; first += kPagesPerBlock) {
    COCOON_TRY(sys::check_cancelled());
    COCOON_TRY(block(first, std::min(pages, first + kPagesPerBlock)));
  }
  return {};
}

}  // namespace

std::int64_t delta_size(std::int64_t bytes) { return bytes + bitmap_size(bytes); }

Result<void> write_delta(const PageStack& old, int from, std::int64_t bytes, int to) {
  COCOON_TRY(check_size(bytes));
  OldPages before = COCOON_TRY(OldPages::open(old, bytes));
  if (ftruncate(to, delta_size(bytes)) != 0) return fail_errno("set the size");
  Bitmap bits(static_cast<std::size_t>(bitmap_size(bytes)));
  std::vector<char> now(kBlock);
  std::vector<char> then(kBlock);
  auto compare = [&](std::int64_t first, std::int64_t last) -> Result<void> {
    COCOON_TRY(read_pages(from, now.data(), (last - first) * kDeltaPage, first * kDeltaPage));
    COCOON_TRY(before.read(then.data(), first, last));
    return write_changed(now.data(), then.data(), first, last, bits, to);
  };
  COCOON_TRY(for_blocks(bytes, compare));
  return write_at(to, reinterpret_cast<const char*>(bits.data()),
                  static_cast<std::int64_t>(bits.size()), bytes);
}

Result<void> apply_delta(int delta, std::int64_t bytes, int to) {
  COCOON_TRY(check_size(bytes));
  Bitmap bits = COCOON_TRY(read_bitmap(delta, bytes));
  std::vector<char> block(kBlock);
  return for_blocks(bytes, [&](std::int64_t first, std::int64_t last) {
    auto wanted = [&](std::int64_t page) { return is_set(bits, page); };
    return for_runs(first, last, wanted, [&](std::int64_t begin, std::int64_t end) {
      return place_run(delta, begin, end, block, to);
    });
  });
}

}  // namespace cocoon::disk
