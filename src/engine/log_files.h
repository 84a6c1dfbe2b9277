// SPDX-License-Identifier: Apache-2.0
// A log and its rotated predecessors ("console.log", "console.log.1", … the newest first) as one
// stream of bytes that may grow, rotate and be truncated while it is read.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "sys/fd.h"
#include "sys/files.h"

namespace cocoon::engine {

// Reads one log. Not for several threads.
class LogReader {
 public:
  using Sink = std::function<Result<void>(std::string_view)>;

  // Opens what is there now. A directory or log that does not exist is an empty log.
  static Result<LogReader> open(const sys::fs::path& directory, std::string name);

  // Skips all but the last `lines` lines of what is there; an unfinished line counts.
  Result<void> skip_to_tail(std::size_t lines);

  // Hands on everything between the present place and the end, across rotations. After a
  // truncation reading starts at the beginning of the file again.
  Result<void> read_on(const Sink& sink);

 private:
  struct File {
    sys::UniqueFd fd;
    ino_t inode = 0;
    std::int64_t offset = 0;  // read up to here
  };

  LogReader(sys::fs::path directory, std::string name)
      : directory_(std::move(directory)), name_(std::move(name)) {}

  std::string generation_name(std::size_t generation) const;
  // No descriptor when the file does not exist.
  Result<File> open_generation(std::size_t generation) const;
  // All files of the log that are not older than the one with this inode (0: all), oldest first.
  Result<std::vector<File>> open_since(ino_t oldest) const;
  static Result<void> read_file_on(File& file, const Sink& sink);

  sys::fs::path directory_;
  std::string name_;
  std::vector<File> files_;  // still to be read, oldest first; the last one may grow
};

}  // namespace cocoon::engine
