// SPDX-License-Identifier: Apache-2.0
#include "image/acquire/byte_source.h"

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "sys/cancel.h"

namespace cocoon::image {
namespace {

constexpr std::size_t kChunk = std::size_t{256} << 10;

}  // namespace

Result<std::unique_ptr<FileSource>> FileSource::open(const sys::fs::path& path) {
  // O_NONBLOCK: opening a FIFO by mistake must not hang.
  auto fd = COCOON_TRY(sys::open_file(path, O_RDONLY | O_NONBLOCK | O_NOCTTY));
  struct stat info {};
  if (fstat(fd.get(), &info) != 0) return fail_errno(fmt::format("stat {}", path.native()));
  if (!S_ISREG(info.st_mode)) {
    return fail(ErrorKind::kInvalid, "{} is not a regular file", path.native());
  }
  return std::make_unique<FileSource>(std::make_shared<sys::UniqueFd>(std::move(fd)), path.native(),
                                      info.st_size);
}

std::unique_ptr<FileSource> FileSource::again() const {
  return std::make_unique<FileSource>(fd_, name_, size_);
}

Result<std::size_t> FileSource::read(char* data, std::size_t size) {
  COCOON_TRY(sys::check_cancelled());
  while (true) {
    ssize_t got = pread(fd_->get(), data, size, at_);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno(fmt::format("read {}", name_));
    at_ += got;
    return static_cast<std::size_t>(got);
  }
}

std::int64_t FileSource::skip(std::int64_t count) {
  std::int64_t step = std::clamp<std::int64_t>(size_ - at_, 0, count);
  at_ += step;
  return step;
}

Result<std::size_t> StreamSource::read(char* data, std::size_t size) {
  while (true) {
    COCOON_TRY(sys::check_cancelled());
    std::array<pollfd, 2> entries{pollfd{fd_, POLLIN, 0}, pollfd{sys::cancel_fd(), POLLIN, 0}};
    if (poll(entries.data(), entries.size(), -1) < 0 && errno != EINTR) {
      return fail_errno(fmt::format("read {}", name_));
    }
    if (entries[0].revents == 0) continue;
    ssize_t got = ::read(fd_, data, size);
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got < 0) return fail_errno(fmt::format("read {}", name_));
    return static_cast<std::size_t>(got);
  }
}

Result<std::size_t> MemorySource::read(char* data, std::size_t size) {
  std::size_t step = std::min(size, bytes_.size() - at_);
  std::memcpy(data, bytes_.data() + at_, step);
  at_ += step;
  return step;
}

Result<std::string_view> PeekSource::peek(std::size_t count) {
  while (head_.size() - at_ < count) {
    std::string chunk(count - (head_.size() - at_), '\0');
    std::size_t got = COCOON_TRY(inner_->read(chunk.data(), chunk.size()));
    if (got == 0) break;
    head_.append(chunk, 0, got);
  }
  return std::string_view(head_).substr(at_, count);
}

Result<std::size_t> PeekSource::read(char* data, std::size_t size) {
  if (at_ == head_.size()) return inner_->read(data, size);
  std::size_t step = std::min(size, head_.size() - at_);
  std::memcpy(data, head_.data() + at_, step);
  at_ += step;
  return step;
}

std::int64_t PeekSource::skip(std::int64_t count) {
  return at_ == head_.size() ? inner_->skip(count) : 0;
}

Result<std::size_t> DigestSource::read(char* data, std::size_t size) {
  std::size_t got = COCOON_TRY(inner_->read(data, size));
  count_ += static_cast<std::int64_t>(got);
  if (count_ > limit_) {
    return fail(ErrorKind::kCorrupt, "{} holds more than the limit of {} bytes", what_, limit_);
  }
  hash_.update({data, got});
  std::size_t keep = std::min(got, tail_.size());
  std::memmove(tail_.data(), tail_.data() + keep, tail_.size() - keep);
  std::memcpy(tail_.data() + tail_.size() - keep, data + got - keep, keep);
  return got;
}

bool DigestSource::ends_like_tar() const {
  return count_ >= static_cast<std::int64_t>(kBlock) &&
         std::all_of(tail_.begin(), tail_.end(), [](char c) { return c == 0; });
}

Result<void> drain(ByteSource& source) {
  std::string chunk(kChunk, '\0');
  while (COCOON_TRY(source.read(chunk.data(), chunk.size())) != 0) {
  }
  return {};
}

Result<std::string> read_all(ByteSource& source, std::size_t limit, std::string_view what) {
  std::string content;
  std::string chunk(kChunk, '\0');
  while (true) {
    std::size_t got = COCOON_TRY(source.read(chunk.data(), chunk.size()));
    if (got == 0) return content;
    content.append(chunk, 0, got);
    if (content.size() > limit) {
      return fail(ErrorKind::kCorrupt, "{} has more than {} bytes", what, limit);
    }
  }
}

}  // namespace cocoon::image
