// SPDX-License-Identifier: Apache-2.0
#include "image/acquire/tar_reader.h"

#include <archive.h>
#include <archive_entry.h>
#include <locale.h>

#include <algorithm>
#include <cstring>

#include "image/acquire/acl.h"
#include "image/acquire/layer_path.h"

namespace cocoon::image {
namespace {

constexpr std::size_t kBuffer = std::size_t{128} << 10;
// The kernel's own limits are 64 KiB a value (xattr(7)); all of a file's together are kept to it.
constexpr std::size_t kMaxXattrBytes = std::size_t{64} << 10;

// libarchive converts pax names by the locale; for this thread that is UTF-8 while it works, so
// that no byte gets lost and the process's own locale stays as it is.
class Utf8Scope {
 public:
  Utf8Scope() {
    static locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
    if (utf8 != nullptr) before_ = uselocale(utf8);
  }
  ~Utf8Scope() {
    if (before_ != nullptr) uselocale(before_);
  }
  Utf8Scope(const Utf8Scope&) = delete;
  Utf8Scope& operator=(const Utf8Scope&) = delete;

 private:
  locale_t before_ = nullptr;
};

std::string text_of(const char* bytes, const char* utf8) {
  return bytes != nullptr ? bytes : utf8 != nullptr ? utf8 : "";
}

TarEntry::Type type_of(archive_entry* entry) {
  // A hard link has no file type bits of its own.
  if (archive_entry_hardlink(entry) != nullptr) return TarEntry::Type::kHardlink;
  switch (archive_entry_filetype(entry)) {
    case AE_IFREG:
      return TarEntry::Type::kFile;
    case AE_IFDIR:
      return TarEntry::Type::kDirectory;
    case AE_IFLNK:
      return TarEntry::Type::kSymlink;
    case AE_IFCHR:
      return TarEntry::Type::kCharDevice;
    case AE_IFBLK:
      return TarEntry::Type::kBlockDevice;
    case AE_IFIFO:
      return TarEntry::Type::kFifo;
    default:
      return TarEntry::Type::kOther;
  }
}

Result<void> read_xattrs(archive_entry* entry, TarEntry& out) {
  std::size_t total = 0;
  archive_entry_xattr_reset(entry);
  const char* name = nullptr;
  const void* value = nullptr;
  std::size_t size = 0;
  while (archive_entry_xattr_next(entry, &name, &value, &size) == ARCHIVE_OK) {
    total += std::strlen(name) + size;
    if (total > kMaxXattrBytes) {
      return fail(ErrorKind::kCorrupt, "{}: more than {} bytes of extended attributes", out.path,
                  kMaxXattrBytes);
    }
    out.xattrs.emplace_back(name, std::string(static_cast<const char*>(value), size));
  }
  append_acls(entry, out.xattrs);
  std::sort(out.xattrs.begin(), out.xattrs.end());
  return {};
}

}  // namespace

struct TarReader::State {
  explicit State(ByteSource& bytes) : source(bytes), buffer(kBuffer, '\0') {}
  ~State() { archive_read_free(reader); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  static la_ssize_t on_read(archive* /*reader*/, void* self, const void** block) {
    auto* state = static_cast<State*>(self);
    auto got = state->source.read(state->buffer.data(), state->buffer.size());
    if (!got) {
      state->error = std::move(got).error();
      return -1;
    }
    *block = state->buffer.data();
    return static_cast<la_ssize_t>(*got);
  }

  static la_int64_t on_skip(archive* /*reader*/, void* self, la_int64_t count) {
    return static_cast<State*>(self)->source.skip(count);
  }

  Failure failure(std::string_view what) {
    if (error) return pass(*error);
    const char* text = archive_error_string(reader);
    return fail(ErrorKind::kCorrupt, "{}: {}", what, text == nullptr ? "damaged" : text);
  }

  ByteSource& source;
  std::string buffer;
  archive* reader = archive_read_new();
  std::optional<Error> error;  // of the source
};

TarReader::TarReader(std::unique_ptr<State> state) : state_(std::move(state)) {}
TarReader::TarReader(TarReader&&) noexcept = default;
TarReader::~TarReader() = default;

Result<TarReader> TarReader::open(ByteSource& source) {
  Utf8Scope locale;
  auto state = std::make_unique<State>(source);
  archive* reader = state->reader;
  archive_read_support_format_tar(reader);
  archive_read_set_read_callback(reader, State::on_read);
  archive_read_set_skip_callback(reader, State::on_skip);
  archive_read_set_callback_data(reader, state.get());
  if (archive_read_open1(reader) != ARCHIVE_OK) return state->failure("open the tar archive");
  return TarReader(std::move(state));
}

Result<std::optional<TarEntry>> TarReader::next() {
  Utf8Scope locale;
  archive_entry* entry = nullptr;
  int code = archive_read_next_header(state_->reader, &entry);
  if (code == ARCHIVE_EOF) return std::optional<TarEntry>();
  // WARN: a name that does not convert; its bytes are right all the same (spec 02 §13.4).
  if (code != ARCHIVE_OK && code != ARCHIVE_WARN) return state_->failure("damaged tar archive");
  TarEntry out;
  out.type = type_of(entry);
  out.path = text_of(archive_entry_pathname(entry), archive_entry_pathname_utf8(entry));
  if (out.type == TarEntry::Type::kHardlink) {
    out.target = text_of(archive_entry_hardlink(entry), archive_entry_hardlink_utf8(entry));
  } else if (out.type == TarEntry::Type::kSymlink) {
    out.target = text_of(archive_entry_symlink(entry), archive_entry_symlink_utf8(entry));
  }
  out.mode = archive_entry_perm(entry) & 07777;
  out.uid = archive_entry_uid(entry);
  out.gid = archive_entry_gid(entry);
  out.size = archive_entry_size(entry);
  out.mtime = archive_entry_mtime(entry);
  out.mtime_nsec = archive_entry_mtime_nsec(entry);
  out.device_major = static_cast<std::uint32_t>(archive_entry_rdevmajor(entry));
  out.device_minor = static_cast<std::uint32_t>(archive_entry_rdevminor(entry));
  out.is_plain = archive_entry_sparse_count(entry) == 0 &&
                 archive_format(state_->reader) != ARCHIVE_FORMAT_TAR;
  COCOON_TRY(read_xattrs(entry, out));
  return std::optional<TarEntry>(std::move(out));
}

Result<std::optional<TarBlock>> TarReader::block() {
  Utf8Scope locale;
  const void* bytes = nullptr;
  std::size_t size = 0;
  la_int64_t offset = 0;
  int code = archive_read_data_block(state_->reader, &bytes, &size, &offset);
  if (code == ARCHIVE_EOF) return std::optional<TarBlock>();
  if (code != ARCHIVE_OK) return state_->failure("damaged tar archive");
  return std::optional<TarBlock>(TarBlock{{static_cast<const char*>(bytes), size}, offset});
}

namespace {

class MemberSource : public ByteSource {
 public:
  explicit MemberSource(SourcePtr archive) : archive_(std::move(archive)) {}

  // The type of the member found, nullopt when there is none.
  Result<std::optional<TarEntry>> find(const std::string& name) {
    reader_.emplace(COCOON_TRY(TarReader::open(*archive_)));
    while (true) {
      auto entry = COCOON_TRY(reader_->next());
      if (!entry || plain_member_name(entry->path) == name) return entry;
    }
  }

  Result<std::size_t> read(char* data, std::size_t size) override {
    while (at_ == block_.bytes.size()) {
      auto next = COCOON_TRY(reader_->block());
      if (!next) return std::size_t{0};
      if (next->offset != offset_) return fail(ErrorKind::kCorrupt, "a sparse file in the archive");
      block_ = *next;
      offset_ += static_cast<std::int64_t>(block_.bytes.size());
      at_ = 0;
    }
    std::size_t step = std::min(size, block_.bytes.size() - at_);
    std::memcpy(data, block_.bytes.data() + at_, step);
    at_ += step;
    return step;
  }

 private:
  SourcePtr archive_;
  std::optional<TarReader> reader_;
  TarBlock block_;
  std::size_t at_ = 0;
  std::int64_t offset_ = 0;
};

}  // namespace

Result<Member> open_member(SourcePtr archive, const std::string& name) {
  auto source = std::make_unique<MemberSource>(std::move(archive));
  auto entry = COCOON_TRY(source->find(name));
  Member member;
  if (!entry) return member;
  if (entry->type == TarEntry::Type::kFile) member.content = std::move(source);
  if (entry->type == TarEntry::Type::kHardlink) member.link = plain_member_name(entry->target);
  if (entry->type == TarEntry::Type::kSymlink) member.link = linked_member(name, entry->target);
  return member;
}

}  // namespace cocoon::image
