// SPDX-License-Identifier: Apache-2.0
// Where the bytes of an archive go: a descriptor, through a compressor or not.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"

namespace cocoon::snapshot {

enum class Packing { kNone, kGzip, kZstd };

class ByteSink {
 public:
  ByteSink() = default;
  virtual ~ByteSink() = default;
  ByteSink(const ByteSink&) = delete;
  ByteSink& operator=(const ByteSink&) = delete;

  // kSystem; kInterrupted when the command is cancelled.
  virtual Result<void> write(std::string_view bytes) = 0;
  // After the last byte; without it what was written is not complete.
  virtual Result<void> finish() = 0;
};
using SinkPtr = std::unique_ptr<ByteSink>;

// Into `fd`, which stays the caller's. zstd works with a thread for each processor and notes
// checksums; gzip is its fastest level.
Result<SinkPtr> open_sink(int fd, Packing packing);

}  // namespace cocoon::snapshot
