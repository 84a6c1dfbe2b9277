// SPDX-License-Identifier: Apache-2.0
#include "snapshot/archive/unpack.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "model/guest_files.h"
#include "snapshot/archive/archive_reader.h"
#include "snapshot/archive/documents.h"
#include "snapshot/archive/member_digest.h"
#include "sys/cancel.h"
#include "sys/fault.h"

namespace cocoon::snapshot {
namespace {

constexpr std::size_t kBuffer = std::size_t{1} << 20;
constexpr std::size_t kPage = kPageBytes;

bool is_document(std::string_view name) { return name == kEnvelopeFile || name == kSidecarFile; }

Result<void> write_at(int fd, std::string_view bytes, std::int64_t at) {
  while (!bytes.empty()) {
    ssize_t put = pwrite(fd, bytes.data(), bytes.size(), at);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return fail_errno("write");
    at += put;
    bytes.remove_prefix(static_cast<std::size_t>(put));
  }
  return {};
}

// Writes what is not zero. Pages are the file's, so that holes can stay.
Result<void> write_pages(int fd, std::string_view bytes, std::int64_t at) {
  auto piece = [&](std::size_t from) {
    std::size_t in_page = static_cast<std::size_t>(at + static_cast<std::int64_t>(from)) % kPage;
    return bytes.substr(from, kPage - in_page);
  };
  std::size_t begin = 0;
  while (begin < bytes.size()) {
    while (begin < bytes.size() && is_zero_page(piece(begin))) begin += piece(begin).size();
    std::size_t end = begin;
    while (end < bytes.size() && !is_zero_page(piece(end))) end += piece(end).size();
    COCOON_TRY(
        write_at(fd, bytes.substr(begin, end - begin), at + static_cast<std::int64_t>(begin)));
    begin = end;
  }
  return {};
}

Result<void> check_room(const sys::fs::path& directory, std::int64_t bytes) {
  if (bytes <= COCOON_TRY(sys::free_bytes(directory))) return {};
  return fail_errno(ENOSPC, fmt::format("{} bytes", bytes));
}

// The text of one of the documents.
Result<void> keep_document(Unpacked& out, const std::string& name, std::string text) {
  std::string& place = name == kEnvelopeFile ? out.envelope : out.sidecar;
  if (!place.empty()) return fail(ErrorKind::kCorrupt, "{} is there twice", name);
  if (text.empty()) return fail(ErrorKind::kCorrupt, "{} is empty", name);
  place = std::move(text);
  return {};
}

Failure not_once(const std::string& name) {
  return fail(ErrorKind::kCorrupt, "{} is there twice", name);
}

class Unpacking {
 public:
  Unpacking(image::ByteSource& source, const sys::fs::path& directory)
      : reader_(source), directory_(directory), buffer_(kBuffer, '\0') {}

  Result<Unpacked> run() {
    dir_ = COCOON_TRY(sys::open_dir(directory_));
    while (true) {
      auto entry = COCOON_TRY(reader_.next());
      if (!entry) return std::move(out_);
      if (entry->regular) {
        COCOON_TRY(take(*entry), "{}", entry->name);
      } else {
        out_.skipped.push_back(entry->name);
      }
    }
  }

 private:
  Result<void> take(const ArchiveEntry& entry) {
    std::string name = COCOON_TRY(member_name(entry.name));
    if (is_document(name)) {
      if (entry.size != entry.stored || entry.size > static_cast<std::int64_t>(kMaxDocument)) {
        return fail(ErrorKind::kCorrupt, "it is too large");
      }
      return keep_document(out_, name, COCOON_TRY(read_text(entry)));
    }
    if (out_.files.contains(name)) return not_once(name);
    if (entry.size > kMaxMemberBytes) {
      return fail(ErrorKind::kCorrupt, "its size of {} bytes is above the limit of {}", entry.size,
                  kMaxMemberBytes);
    }
    COCOON_TRY(check_room(directory_, entry.stored));
    out_.files[name] = COCOON_TRY(write_file(name, entry));
    return {};
  }

  Result<std::string> read_text(const ArchiveEntry& entry) {
    std::string text(static_cast<std::size_t>(entry.stored), '\0');
    for (std::size_t have = 0; have < text.size();) {
      have += COCOON_TRY(reader_.read(text.data() + have, text.size() - have));
    }
    return text;
  }

  Result<UnpackedFile> write_file(const std::string& name, const ArchiveEntry& entry) {
    sys::UniqueFd fd(openat(dir_.get(), name.c_str(),
                            O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!fd.valid()) return fail_errno("create the file");
    sys::side_effect("create member");
    if (ftruncate(fd.get(), entry.size) != 0) return fail_errno("set its size");
    PageDigest digest;
    for (Segment segment : entry.segments) {
      while (segment.length > 0) {
        auto want = static_cast<std::size_t>(
            std::min<std::int64_t>(segment.length, static_cast<std::int64_t>(kBuffer)));
        // Whole buffers, so that no page is looked at in halves.
        std::size_t got = 0;
        while (got < want) got += COCOON_TRY(reader_.read(buffer_.data() + got, want - got));
        std::string_view bytes(buffer_.data(), got);
        digest.update(segment.offset, bytes);
        COCOON_TRY(write_pages(fd.get(), bytes, segment.offset));
        segment.offset += static_cast<std::int64_t>(got);
        segment.length -= static_cast<std::int64_t>(got);
      }
    }
    if (fsync(fd.get()) != 0) return fail_errno("sync");
    sys::side_effect("write member");
    return UnpackedFile{entry.size, digest.finish(entry.size)};
  }

  ArchiveReader reader_;
  const sys::fs::path& directory_;
  sys::UniqueFd dir_;
  std::string buffer_;
  Unpacked out_;
};

}  // namespace

Result<std::string> member_name(const std::string& entry_name) {
  std::string name = entry_name.substr(entry_name.rfind('/') + 1);
  if (model::is_member_name(name)) return name;
  return fail(ErrorKind::kCorrupt, "\"{}\" is no name of a snapshot's file", entry_name);
}

Result<Unpacked> unpack_archive(image::ByteSource& source, const sys::fs::path& directory) {
  return Unpacking(source, directory).run();
}

}  // namespace cocoon::snapshot
