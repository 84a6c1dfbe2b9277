// SPDX-License-Identifier: Apache-2.0
// gzip goes through zlib itself, since libarchive does not check the CRC in a gzip trailer and a
// damaged plain tar has no other checksum; the others go through libarchive's raw format.
#include <archive.h>
#include <archive_entry.h>
#include <zlib.h>
#include <zstd_errors.h>

#include <algorithm>
#include <optional>

#include "image/acquire/byte_source.h"

namespace cocoon::image {
namespace {

constexpr std::size_t kBuffer = std::size_t{256} << 10;

// libarchive leaves zstd's own limit in force: what needs a window of more than 128 MiB (`zstd
// --long=28` and up) is refused before any memory is taken for it.
bool is_zstd_window_error(std::string_view text) {
  return text.find(ZSTD_getErrorString(ZSTD_error_frameParameter_windowTooLarge)) !=
         std::string_view::npos;
}

class GzipSource : public ByteSource {
 public:
  GzipSource(SourcePtr inner, bool padded)
      : inner_(std::move(inner)), buffer_(kBuffer, '\0'), padded_(padded) {}
  ~GzipSource() override {
    if (open_) inflateEnd(&stream_);
  }

  Result<void> start() {
    constexpr int kGzipOnly = 15 + 16;  // zlib.h: window bits plus "gzip wrapper"
    if (inflateInit2(&stream_, kGzipOnly) != Z_OK) {
      return fail(ErrorKind::kInternal, "zlib does not start");
    }
    open_ = true;
    return {};
  }

  Result<std::size_t> read(char* data, std::size_t size) override {
    stream_.next_out = reinterpret_cast<Bytef*>(data);
    stream_.avail_out = static_cast<uInt>(std::min(size, kBuffer));
    uInt want = stream_.avail_out;
    while (stream_.avail_out == want && !done_) {
      COCOON_TRY(fill());
      if (between_members_ && !COCOON_TRY(next_member())) break;
      COCOON_TRY(step());
    }
    return want - stream_.avail_out;
  }

 private:
  Result<void> fill() {
    if (stream_.avail_in > 0) return {};
    std::size_t got = COCOON_TRY(inner_->read(buffer_.data(), buffer_.size()));
    stream_.next_in = reinterpret_cast<Bytef*>(buffer_.data());
    stream_.avail_in = static_cast<uInt>(got);
    return {};
  }

  // gzip files may hold several members in a row; whatever else follows the last one is padding,
  // where that may be.
  Result<bool> next_member() {
    done_ = stream_.avail_in == 0 || *stream_.next_in != 0x1f;
    between_members_ = false;
    if (done_) {
      if (stream_.avail_in > 0 && !padded_) {
        return fail(ErrorKind::kCorrupt, "there is something behind the gzip stream");
      }
      COCOON_TRY(drain(*inner_));
      return false;
    }
    inflateReset(&stream_);
    return true;
  }

  Result<void> step() {
    int code = inflate(&stream_, Z_NO_FLUSH);
    if (code == Z_STREAM_END) {
      between_members_ = true;
    } else if (code == Z_BUF_ERROR && stream_.avail_in == 0) {
      return fail(ErrorKind::kCorrupt, "the gzip stream is truncated");
    } else if (code != Z_OK && code != Z_BUF_ERROR) {
      return fail(ErrorKind::kCorrupt, "the gzip stream is damaged: {}",
                  stream_.msg == nullptr ? "bad data" : stream_.msg);
    }
    return {};
  }

  SourcePtr inner_;
  std::string buffer_;
  bool padded_;
  z_stream stream_{};
  bool open_ = false;
  bool between_members_ = false;
  bool done_ = false;
};

class RawSource : public ByteSource {
 public:
  RawSource(SourcePtr inner, Compression compression)
      : inner_(std::move(inner)), buffer_(kBuffer, '\0'), compression_(compression) {}
  ~RawSource() override { archive_read_free(archive_); }

  Result<void> start() {
    archive_read_support_format_raw(archive_);
    // ARCHIVE_WARN would mean an external program, which is never wanted.
    if (support(archive_, compression_) != ARCHIVE_OK) {
      return fail(ErrorKind::kUnsupported, "libarchive was built without this compression");
    }
    archive_entry* entry = nullptr;
    if (archive_read_open(archive_, this, nullptr, on_read, nullptr) != ARCHIVE_OK) {
      return failure();
    }
    int code = archive_read_next_header(archive_, &entry);
    ended_ = code == ARCHIVE_EOF;  // compressed nothing
    if (code != ARCHIVE_OK && !ended_) return failure();
    return {};
  }

  Result<std::size_t> read(char* data, std::size_t size) override {
    if (ended_) return std::size_t{0};
    la_ssize_t got = archive_read_data(archive_, data, size);
    if (got < 0) return failure();
    return static_cast<std::size_t>(got);
  }

 private:
  static int support(archive* archive, Compression compression) {
    switch (compression) {
      case Compression::kZstd:
        return archive_read_support_filter_zstd(archive);
      case Compression::kXz:
        return archive_read_support_filter_xz(archive);
      case Compression::kBzip2:
        return archive_read_support_filter_bzip2(archive);
      case Compression::kLzma:
        return archive_read_support_filter_lzma(archive);
      case Compression::kLz4:
        return archive_read_support_filter_lz4(archive);
      case Compression::kNone:
      case Compression::kGzip:
        break;
    }
    return ARCHIVE_FATAL;
  }

  static la_ssize_t on_read(archive* /*archive*/, void* self, const void** block) {
    auto* source = static_cast<RawSource*>(self);
    auto got = source->inner_->read(source->buffer_.data(), source->buffer_.size());
    if (!got) {
      source->error_ = std::move(got).error();
      return -1;
    }
    *block = source->buffer_.data();
    return static_cast<la_ssize_t>(*got);
  }

  Failure failure() {
    if (error_) return pass(*error_);
    const char* text = archive_error_string(archive_);
    if (compression_ == Compression::kZstd && text != nullptr && is_zstd_window_error(text)) {
      return fail(ErrorKind::kUnsupported,
                  "the zstd stream needs a window of more than 128 MiB: compress it with less "
                  "(--long=27 at the most)");
    }
    return fail(ErrorKind::kCorrupt, "the compressed stream is damaged: {}",
                text == nullptr ? "bad data" : text);
  }

  SourcePtr inner_;
  std::string buffer_;
  Compression compression_;
  archive* archive_ = archive_read_new();
  std::optional<Error> error_;
  bool ended_ = false;
};

template <class Source>
Result<SourcePtr> started(std::unique_ptr<Source> source) {
  COCOON_TRY(source->start());
  return SourcePtr(std::move(source));
}

}  // namespace

Compression sniff_compression(std::string_view head) {
  if (head.starts_with("\x1f\x8b")) return Compression::kGzip;
  if (head.starts_with("\x28\xb5\x2f\xfd")) return Compression::kZstd;
  if (head.starts_with(std::string_view("\xfd"
                                        "7zXZ\0",
                                        6))) {
    return Compression::kXz;
  }
  if (head.starts_with("BZh")) return Compression::kBzip2;
  return Compression::kNone;
}

Result<SourcePtr> decompress(SourcePtr source, bool allow_xz, bool padded) {
  auto peeked = std::make_unique<PeekSource>(std::move(source));
  Compression compression = sniff_compression(COCOON_TRY(peeked->peek(6)));
  bool wanted = compression == Compression::kNone || compression == Compression::kGzip ||
                compression == Compression::kZstd || (compression == Compression::kXz && allow_xz);
  if (wanted) return decompress_as(std::move(peeked), compression, padded);
  return fail(ErrorKind::kUnsupported, "{} compression is not supported: use gzip or zstd",
              compression == Compression::kXz ? "xz" : "bzip2");
}

Result<SourcePtr> decompress_as(SourcePtr source, Compression compression, bool padded) {
  if (compression == Compression::kNone) return source;
  if (compression == Compression::kGzip) {
    return started(std::make_unique<GzipSource>(std::move(source), padded));
  }
  return started(std::make_unique<RawSource>(std::move(source), compression));
}

}  // namespace cocoon::image
