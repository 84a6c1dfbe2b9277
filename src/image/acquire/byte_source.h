// SPDX-License-Identifier: Apache-2.0
// Byte streams that are pulled: a file or a part of it, a pipe, what comes out of a decompressor, a
// member of an archive. Stacked in layers, so that one pass reads, limits, hashes and unpacks.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "image/acquire/digest.h"
#include "sys/fd.h"
#include "sys/files.h"

namespace cocoon::image {

class ByteSource {
 public:
  ByteSource() = default;
  virtual ~ByteSource() = default;
  ByteSource(const ByteSource&) = delete;
  ByteSource& operator=(const ByteSource&) = delete;

  // Puts up to `size` bytes (never 0 before the end) at `data` and returns how many; 0 at the end.
  // kInterrupted when the command is cancelled, kCorrupt for damaged input.
  virtual Result<std::size_t> read(char* data, std::size_t size) = 0;
  // Passes over up to `count` bytes and returns how many, where that is cheaper than reading;
  // 0 = read them.
  virtual std::int64_t skip(std::int64_t /*count*/) { return 0; }
};
using SourcePtr = std::unique_ptr<ByteSource>;

// A regular file. Several sources may share one descriptor: it is read by position.
class FileSource : public ByteSource {
 public:
  FileSource(std::shared_ptr<sys::UniqueFd> fd, std::string name, std::int64_t size)
      : fd_(std::move(fd)), name_(std::move(name)), size_(size) {}
  // kInvalid when it is no regular file.
  static Result<std::unique_ptr<FileSource>> open(const sys::fs::path& path);
  std::unique_ptr<FileSource> again() const;  // from the start
  std::int64_t size() const { return size_; }
  Result<std::size_t> read(char* data, std::size_t size) override;
  std::int64_t skip(std::int64_t count) override;

 private:
  std::shared_ptr<sys::UniqueFd> fd_;
  std::string name_;
  std::int64_t size_ = 0;
  std::int64_t at_ = 0;
};

// A descriptor that can only be read on (standard input). Does not own it.
class StreamSource : public ByteSource {
 public:
  StreamSource(int fd, std::string name) : fd_(fd), name_(std::move(name)) {}
  Result<std::size_t> read(char* data, std::size_t size) override;

 private:
  int fd_;
  std::string name_;
};

class MemorySource : public ByteSource {
 public:
  explicit MemorySource(std::string bytes) : bytes_(std::move(bytes)) {}
  Result<std::size_t> read(char* data, std::size_t size) override;

 private:
  std::string bytes_;
  std::size_t at_ = 0;
};

// Looks at the first bytes without taking them away.
class PeekSource : public ByteSource {
 public:
  explicit PeekSource(SourcePtr inner) : inner_(std::move(inner)) {}
  // Up to `count` bytes; fewer only when the stream is shorter.
  Result<std::string_view> peek(std::size_t count);
  Result<std::size_t> read(char* data, std::size_t size) override;
  std::int64_t skip(std::int64_t count) override;

 private:
  SourcePtr inner_;
  std::string head_;
  std::size_t at_ = 0;
};

// Counts and hashes what passes; more than `limit` bytes are refused as kCorrupt, naming `what`.
class DigestSource : public ByteSource {
 public:
  DigestSource(SourcePtr inner, std::int64_t limit, std::string what)
      : inner_(std::move(inner)), limit_(limit), what_(std::move(what)) {}
  Result<std::size_t> read(char* data, std::size_t size) override;
  std::int64_t count() const { return count_; }
  // Hex digest of everything; call at the end.
  std::string digest() { return hash_.finish(); }
  // Did the stream end with a block of zeros, as every complete tar does?
  bool ends_like_tar() const;

 private:
  static constexpr std::size_t kBlock = 512;
  SourcePtr inner_;
  std::int64_t limit_;
  std::string what_;
  std::int64_t count_ = 0;
  Sha256 hash_;
  std::array<char, kBlock> tail_{};
};

// Reads to the end and throws the bytes away.
Result<void> drain(ByteSource& source);

// Everything, as long as it is not more than `limit` bytes (kCorrupt, naming `what`).
Result<std::string> read_all(ByteSource& source, std::size_t limit, std::string_view what);

// kLzma and kLz4 (its legacy frames) are what kernels use; they are never sniffed in images.
enum class Compression { kNone, kGzip, kZstd, kXz, kBzip2, kLzma, kLz4 };
// By the first bytes, never by a name or media type (spec 02 §5.4); needs 6 bytes at most.
Compression sniff_compression(std::string_view head);

// The stream unpacked when it is gzip or zstd (xz only with `allow_xz`), else as it is.
// kUnsupported for other compressions. Damage shows up while reading, as kCorrupt; so does what
// follows a gzip stream unless it may be `padded`.
Result<SourcePtr> decompress(SourcePtr source, bool allow_xz = false, bool padded = true);

// The stream unpacked by the compression that it is known to have. Damage shows up while reading,
// as kCorrupt; bytes of another compression may come out as they are.
Result<SourcePtr> decompress_as(SourcePtr source, Compression compression, bool padded = true);

}  // namespace cocoon::image
