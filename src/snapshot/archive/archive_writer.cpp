// SPDX-License-Identifier: Apache-2.0
#include "snapshot/archive/archive_writer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "snapshot/archive/tar_header.h"
#include "sys/cancel.h"

namespace cocoon::snapshot {
namespace {

constexpr std::size_t kBuffer = std::size_t{1} << 20;

}  // namespace

Result<Segments> find_data(int fd, std::int64_t size) {
  Segments segments;
  std::int64_t at = 0;
  while (at < size) {
    off_t begin = lseek(fd, at, SEEK_DATA);
    if (begin < 0 && errno == ENXIO) break;                        // a hole up to the end
    if (begin < 0 && errno == EINVAL) return Segments{{0, size}};  // knows no holes
    if (begin < 0) return fail_errno("look for data");
    off_t end = lseek(fd, begin, SEEK_HOLE);
    if (end < 0) return fail_errno("look for a hole");
    end = std::min<off_t>(end, size);
    segments.push_back({begin, end - begin});
    at = end;
  }
  return segments;
}

Result<void> ArchiveWriter::add_text(const std::string& name, std::string_view text,
                                     std::int64_t mtime) {
  TarFile file;
  file.name = name;
  file.mode = 0644;
  file.size = static_cast<std::int64_t>(text.size());
  file.mtime = mtime;
  COCOON_TRY(sink_.write(render_header(file)));
  COCOON_TRY(sink_.write(text));
  return sink_.write(padding(file.size));
}

Result<void> ArchiveWriter::add_file(const std::string& name, int fd, std::string_view head) {
  struct stat info {};
  if (fstat(fd, &info) != 0) return fail_errno(fmt::format("look at {}", name));
  Segments segments = COCOON_TRY(find_data(fd, info.st_size), "read {}", name);
  TarFile file;
  file.name = name;
  file.mtime = info.st_mtim.tv_sec;
  if (data_bytes(segments) < info.st_size) {
    std::tie(file.pax, segments) = sparse_records(segments, info.st_size);
  }
  file.size = data_bytes(segments);
  COCOON_TRY(sink_.write(render_header(file)));
  for (const Segment& segment : segments) COCOON_TRY(copy(fd, segment, head), "{}", name);
  return sink_.write(padding(file.size));
}

Result<void> ArchiveWriter::copy(int fd, Segment segment, std::string_view head) {
  buffer_.resize(kBuffer);
  while (segment.length > 0) {
    COCOON_TRY(sys::check_cancelled());
    auto want = static_cast<std::size_t>(
        std::min<std::int64_t>(segment.length, static_cast<std::int64_t>(kBuffer)));
    ssize_t got = pread(fd, buffer_.data(), want, segment.offset);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno("read");
    if (got == 0) return fail(ErrorKind::kCorrupt, "it became shorter");
    auto at = static_cast<std::size_t>(segment.offset);
    if (at < head.size()) {
      std::size_t count = std::min(head.size() - at, static_cast<std::size_t>(got));
      buffer_.replace(0, count, head.substr(at, count));
    }
    COCOON_TRY(sink_.write(std::string_view(buffer_).substr(0, static_cast<std::size_t>(got))));
    segment.offset += got;
    segment.length -= got;
  }
  return {};
}

Result<void> ArchiveWriter::finish() {
  COCOON_TRY(sink_.write(std::string(2 * kTarBlock, '\0')));
  return sink_.finish();
}

}  // namespace cocoon::snapshot
