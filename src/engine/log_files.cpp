// SPDX-License-Identifier: Apache-2.0
#include "engine/log_files.h"

#include <algorithm>
#include <cerrno>
#include <optional>
#include <utility>

namespace cocoon::engine {
namespace {

constexpr std::size_t kChunk = 64 * 1024;
constexpr std::size_t kMostGenerations = 100;

Result<std::int64_t> size_of(int fd) {
  struct stat facts {};
  if (fstat(fd, &facts) != 0) return fail_errno("stat a log");
  return static_cast<std::int64_t>(facts.st_size);
}

Result<std::string> read_at(int fd, std::int64_t offset, std::size_t count) {
  std::string bytes(count, '\0');
  ssize_t got = 0;
  do {
    got = pread(fd, bytes.data(), bytes.size(), offset);
  } while (got < 0 && errno == EINTR);
  if (got < 0) return fail_errno("read a log");
  bytes.resize(static_cast<std::size_t>(got));
  return bytes;
}

// Looks for the ends of lines from the last byte backwards and counts `lines` down by them: where
// in the chunk the last of the wanted lines begins; nullopt: before it. `first`: nothing was read
// yet.
std::optional<std::size_t> start_of_lines(std::string_view chunk, std::size_t& lines, bool& first) {
  for (std::size_t k = chunk.size(); k-- > 0;) {
    if (chunk[k] == '\n' && !first && --lines == 0) return k + 1;
    first = false;
  }
  return std::nullopt;
}

}  // namespace

std::string LogReader::generation_name(std::size_t generation) const {
  return generation == 0 ? name_ : fmt::format("{}.{}", name_, generation);
}

Result<LogReader::File> LogReader::open_generation(std::size_t generation) const {
  // The VMM owns vmm.log; the directory is root's, so the name can be no link, but check all the
  // same before reading.
  auto path = directory_ / generation_name(generation);
  auto fd = sys::open_file(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
  if (!fd && fd.error().saved_errno == ENOENT) return File();
  File file{COCOON_TRY(std::move(fd)), 0, 0};
  struct stat facts {};
  if (fstat(file.fd.get(), &facts) != 0) return fail_errno(fmt::format("stat {}", path.native()));
  if (!S_ISREG(facts.st_mode)) {
    return fail(ErrorKind::kCorrupt, "{} is not a regular file", path.native());
  }
  file.inode = facts.st_ino;
  return file;
}

Result<std::vector<LogReader::File>> LogReader::open_since(ino_t oldest) const {
  std::vector<File> files;
  bool hole = false;
  for (std::size_t generation = 0; generation < kMostGenerations; ++generation) {
    File file = COCOON_TRY(open_generation(generation));
    if (!file.fd.valid()) {
      // A rotation under way leaves one name free for a moment.
      if (std::exchange(hole, true)) break;
      continue;
    }
    // A rotation under way shows one file under two names.
    bool seen = !files.empty() && files.back().inode == file.inode;
    bool last = oldest != 0 && file.inode == oldest;
    if (!seen) files.push_back(std::move(file));
    if (last) break;
  }
  std::reverse(files.begin(), files.end());
  return files;
}

Result<LogReader> LogReader::open(const sys::fs::path& directory, std::string name) {
  LogReader reader(directory, std::move(name));
  reader.files_ = COCOON_TRY(reader.open_since(0), "open the log");
  return reader;
}

Result<void> LogReader::skip_to_tail(std::size_t lines) {
  bool first = true;  // the very last byte ends a line and starts none
  for (std::size_t i = files_.size(); i-- > 0;) {
    File& file = files_[i];
    std::int64_t at = COCOON_TRY(size_of(file.fd.get()));
    if (lines == 0) {
      file.offset = at;
      continue;
    }
    while (at > 0) {
      std::int64_t from = std::max<std::int64_t>(0, at - static_cast<std::int64_t>(kChunk));
      std::string chunk =
          COCOON_TRY(read_at(file.fd.get(), from, static_cast<std::size_t>(at - from)));
      if (auto start = start_of_lines(chunk, lines, first)) {
        file.offset = from + static_cast<std::int64_t>(*start);
        break;
      }
      at = from;
    }
  }
  return {};
}

Result<void> LogReader::read_file_on(File& file, const Sink& sink) {
  std::int64_t size = COCOON_TRY(size_of(file.fd.get()));
  if (size < file.offset) file.offset = 0;  // truncated
  while (true) {
    std::string bytes = COCOON_TRY(read_at(file.fd.get(), file.offset, kChunk));
    if (bytes.empty()) return {};
    file.offset += static_cast<std::int64_t>(bytes.size());
    COCOON_TRY(sink(bytes));
  }
}

Result<void> LogReader::read_on(const Sink& sink) {
  while (true) {
    while (files_.size() > 1) {
      COCOON_TRY(read_file_on(files_.front(), sink));
      files_.erase(files_.begin());
    }
    ino_t current = files_.empty() ? 0 : files_.front().inode;
    std::vector<File> now = COCOON_TRY(open_since(current), "open the log");
    // Rotation was looked for first: what was written to the old file before it is there now.
    if (!files_.empty()) COCOON_TRY(read_file_on(files_.front(), sink));
    bool rotated = !now.empty() && now.back().inode != current;
    if (!rotated) return {};
    if (now.front().inode == current) now.erase(now.begin());
    files_ = std::move(now);
  }
}

}  // namespace cocoon::engine
