// SPDX-License-Identifier: Apache-2.0
#include "snapshot/archive/byte_sink.h"

#include <poll.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <thread>

#include "sys/cancel.h"

namespace cocoon::snapshot {
namespace {

constexpr std::size_t kBuffer = std::size_t{1} << 20;
constexpr int kZstdLevel = 3;

class FdSink : public ByteSink {
 public:
  explicit FdSink(int fd) : fd_(fd) {}

  Result<void> write(std::string_view bytes) override {
    while (!bytes.empty()) {
      COCOON_TRY(sys::check_cancelled());
      COCOON_TRY(wait());
      ssize_t put = ::write(fd_, bytes.data(), std::min(bytes.size(), kBuffer));
      if (put < 0 && (errno == EINTR || errno == EAGAIN)) continue;
      if (put < 0) return fail_errno("write");
      bytes.remove_prefix(static_cast<std::size_t>(put));
    }
    return {};
  }

  Result<void> finish() override { return {}; }

 private:
  // A reader that takes its time must not make the command deaf to a signal.
  Result<void> wait() {
    std::array<pollfd, 2> entries{pollfd{fd_, POLLOUT, 0}, pollfd{sys::cancel_fd(), POLLIN, 0}};
    if (poll(entries.data(), entries.size(), -1) < 0 && errno != EINTR) return fail_errno("write");
    return sys::check_cancelled();
  }

  int fd_;
};

class GzipSink : public ByteSink {
 public:
  explicit GzipSink(int fd) : out_(fd), buffer_(kBuffer, '\0') {}
  ~GzipSink() override {
    if (open_) deflateEnd(&stream_);
  }

  Result<void> start() {
    constexpr int kGzipWrapper = 15 + 16;  // zlib.h: window bits plus "gzip wrapper"
    constexpr int kMemory = 8;             // zlib.h: its default
    open_ = deflateInit2(&stream_, Z_BEST_SPEED, Z_DEFLATED, kGzipWrapper, kMemory,
                         Z_DEFAULT_STRATEGY) == Z_OK;
    if (open_) return {};
    return fail(ErrorKind::kInternal, "zlib does not start");
  }

  Result<void> write(std::string_view bytes) override {
    while (!bytes.empty()) {
      std::string_view piece = bytes.substr(0, kBuffer);
      COCOON_TRY(deflate_piece(piece, Z_NO_FLUSH));
      bytes.remove_prefix(piece.size());
    }
    return {};
  }

  Result<void> finish() override { return deflate_piece({}, Z_FINISH); }

 private:
  Result<void> deflate_piece(std::string_view bytes, int flush) {
    // zlib does not write through next_in.
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
    stream_.avail_in = static_cast<uInt>(bytes.size());
    bool full = true;
    while (full) {
      stream_.next_out = reinterpret_cast<Bytef*>(buffer_.data());
      stream_.avail_out = static_cast<uInt>(buffer_.size());
      if (deflate(&stream_, flush) == Z_STREAM_ERROR) {
        return fail(ErrorKind::kInternal, "zlib does not work");
      }
      full = stream_.avail_out == 0;
      COCOON_TRY(
          out_.write(std::string_view(buffer_).substr(0, buffer_.size() - stream_.avail_out)));
    }
    return {};
  }

  FdSink out_;
  std::string buffer_;
  z_stream stream_{};
  bool open_ = false;
};

class ZstdSink : public ByteSink {
 public:
  explicit ZstdSink(int fd) : out_(fd), buffer_(ZSTD_CStreamOutSize(), '\0') {}

  Result<void> start() {
    if (!context_) return fail(ErrorKind::kInternal, "zstd does not start");
    auto threads = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
    for (auto [parameter, value] :
         {std::pair{ZSTD_c_compressionLevel, kZstdLevel}, std::pair{ZSTD_c_checksumFlag, 1}}) {
      COCOON_TRY(check(ZSTD_CCtx_setParameter(context_.get(), parameter, value)));
    }
    // A library built without threads refuses, and works with one.
    ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_nbWorkers, threads);
    return {};
  }

  Result<void> write(std::string_view bytes) override {
    ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
    while (in.pos < in.size) COCOON_TRY(step(in, ZSTD_e_continue));
    return {};
  }

  Result<void> finish() override {
    ZSTD_inBuffer in{nullptr, 0, 0};
    while (COCOON_TRY(step(in, ZSTD_e_end)) != 0) {
    }
    return {};
  }

 private:
  struct Free {
    void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  };

  static Result<std::size_t> check(std::size_t code) {
    if (ZSTD_isError(code) == 0) return code;
    return fail(ErrorKind::kInternal, "zstd: {}", ZSTD_getErrorName(code));
  }

  // Returns what is left to flush.
  Result<std::size_t> step(ZSTD_inBuffer& in, ZSTD_EndDirective directive) {
    ZSTD_outBuffer out{buffer_.data(), buffer_.size(), 0};
    std::size_t left =
        COCOON_TRY(check(ZSTD_compressStream2(context_.get(), &out, &in, directive)));
    COCOON_TRY(out_.write(std::string_view(buffer_).substr(0, out.pos)));
    return left;
  }

  FdSink out_;
  std::string buffer_;
  std::unique_ptr<ZSTD_CCtx, Free> context_{ZSTD_createCCtx()};
};

template <class Sink>
Result<SinkPtr> started(std::unique_ptr<Sink> sink) {
  COCOON_TRY(sink->start());
  return SinkPtr(std::move(sink));
}

}  // namespace

Result<SinkPtr> open_sink(int fd, Packing packing) {
  switch (packing) {
    case Packing::kGzip:
      return started(std::make_unique<GzipSink>(fd));
    case Packing::kZstd:
      return started(std::make_unique<ZstdSink>(fd));
    case Packing::kNone:
      break;
  }
  return SinkPtr(std::make_unique<FdSink>(fd));
}

}  // namespace cocoon::snapshot
