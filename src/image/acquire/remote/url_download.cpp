// SPDX-License-Identifier: Apache-2.0
#include "image/acquire/remote/url_download.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <vector>

#include "base/text.h"
#include "base/units.h"
#include "image/acquire/digest.h"
#include "image/acquire/remote/headers.h"
#include "image/catalog/collect.h"
#include "sys/cancel.h"
#include "sys/fault.h"
#include "sys/files.h"

namespace cocoon::image {
namespace {

using store::fs::path;

constexpr Milliseconds kLongWait(std::chrono::hours(24));
constexpr Milliseconds kWake(200);
constexpr std::int64_t kPart = std::int64_t{8} << 20;
constexpr std::size_t kChunk = 1 << 20;

// What the server says of the file.
struct Facts {
  bool ranges = false;
  std::int64_t size = -1;  // -1: not said
  std::string validator;   // for If-Range: a strong ETag, else Last-Modified; may be empty
  std::string head;
};

std::string read_boot_id() {
  auto text = sys::read_file("/proc/sys/kernel/random/boot_id", 64);
  return text ? std::string(trim(*text)) : std::string();
}

std::string validator_of(const HttpAnswer& answer) {
  std::string tag = answer.header("etag");
  if (!tag.empty() && !tag.starts_with("W/")) return tag;
  return answer.header("last-modified");
}

Failure too_large(std::int64_t limit) {
  return fail(ErrorKind::kCorrupt, "it has more than {} bytes (max_download_bytes)", limit);
}

Result<void> write_at(int fd, std::string_view bytes, std::int64_t at) {
  while (!bytes.empty()) {
    ssize_t put = pwrite(fd, bytes.data(), bytes.size(), at);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return fail_errno("write the download");
    bytes.remove_prefix(static_cast<std::size_t>(put));
    at += put;
  }
  return {};
}

class Fetcher {
 public:
  Fetcher(WebClient& web, const UrlRequest& request, const WebUrl& url, path file, path notes)
      : web_(web), request_(request), url_(url), file_(std::move(file)), notes_(std::move(notes)) {}

  Result<DownloadedFile> run();
  // After this error, will what is here be of use the next time?
  bool worth_keeping(const Error& error) const {
    bool may_pass = network_failed_ || error.kind == ErrorKind::kInterrupted;
    return may_pass && facts_.ranges && !facts_.validator.empty();
  }

 private:
  Result<Facts> look();
  Result<void> check() const;
  Result<DownloadedFile> in_one();
  Result<std::optional<DownloadedFile>> in_one_try(Attempt& attempt);
  Result<DownloadedFile> in_parts();
  Result<void> take_notes();
  std::string notes_head() const;
  void work();
  Result<void> fetch_part(std::int64_t part);
  Result<std::int64_t> wait_for(std::int64_t part);
  std::int64_t part_end(std::int64_t part) const {
    return std::min(facts_.size, (part + 1) * kPart);
  }
  std::int64_t parts() const { return (facts_.size + kPart - 1) / kPart; }
  HttpRequest base_request() const;
  void report(std::int64_t more);

  WebClient& web_;
  const UrlRequest& request_;
  const WebUrl& url_;
  path file_;
  path notes_;
  Facts facts_;
  sys::UniqueFd fd_;
  sys::UniqueFd notes_fd_;
  std::mutex mutex_;  // of what follows
  std::condition_variable changed_;
  std::set<std::int64_t> here_;  // parts
  std::int64_t next_ = 0;
  std::int64_t bytes_ = 0;
  std::optional<Error> error_;
  bool network_failed_ = false;
  bool stop_ = false;
};

HttpRequest Fetcher::base_request() const {
  HttpRequest request;
  request.url = url_.clean;
  request.authorization = basic_authorization(url_);
  return request;
}

void Fetcher::report(std::int64_t more) {
  std::lock_guard guard(mutex_);
  bytes_ += more;
  if (request_.progress) request_.progress(bytes_, facts_.size);
}

// The first bytes, and what the answer tells.
Result<Facts> Fetcher::look() {
  HttpRequest request = base_request();
  request.headers.push_back(fmt::format("Range: bytes=0-{}", request_.head_bytes - 1));
  Backoff backoff;
  while (true) {
    Facts facts;
    bool enough = false;
    auto sink = [&](const HttpAnswer&, std::string_view bytes) -> Result<void> {
      facts.head += bytes.substr(0, request_.head_bytes - facts.head.size());
      enough = facts.head.size() == request_.head_bytes;
      if (enough) return fail(ErrorKind::kInternal, "that is enough");
      return {};
    };
    Attempt attempt = web_.get(request, true, sink);
    if (attempt.error && !enough) {
      bool again = attempt.temporary && attempt.connected && backoff.another(attempt);
      if (!again) return pass(std::move(*attempt.error));
      COCOON_TRY(backoff.pause(attempt));
      continue;
    }
    facts.validator = validator_of(attempt.answer);
    auto range = parse_content_range(attempt.answer.header("content-range"));
    facts.ranges = attempt.answer.status == 206 && range && range->first == 0 && range->total > 0;
    if (facts.ranges) {
      facts.size = range->total;
    } else if (attempt.answer.status == 206) {
      return fail(ErrorKind::kCorrupt, "the server sent another range than asked for");
    } else if (auto length = parse_content_length(attempt.answer.header("content-length"))) {
      facts.size = *length;
    }
    return facts;
  }
}

Result<void> Fetcher::check() const {
  COCOON_TRY(request_.check_head(facts_.head));
  if (facts_.size > request_.max_bytes) return too_large(request_.max_bytes);
  std::int64_t free = COCOON_TRY(sys::free_bytes(file_.parent_path()));
  if (facts_.size <= free) return {};
  return fail_errno(ENOSPC,
                    fmt::format("{} free for {}", human_size(free), human_size(facts_.size)));
}

Result<DownloadedFile> Fetcher::run() {
  facts_ = COCOON_TRY(look());
  COCOON_TRY(check());
  fd_ = COCOON_TRY(sys::open_file(file_, O_RDWR | O_CREAT | O_NOFOLLOW, 0600));
  sys::side_effect("create download");
  return facts_.ranges ? in_parts() : in_one();
}

// From the first byte to the last; another try begins anew.
Result<std::optional<DownloadedFile>> Fetcher::in_one_try(Attempt& attempt) {
  if (ftruncate(fd_.get(), 0) != 0) return fail_errno("truncate the download");
  Sha256 hash;
  std::int64_t at = 0;
  auto sink = [&](const HttpAnswer&, std::string_view bytes) -> Result<void> {
    if (static_cast<std::int64_t>(bytes.size()) > request_.max_bytes - at) {
      return too_large(request_.max_bytes);
    }
    COCOON_TRY(write_at(fd_.get(), bytes, at));
    hash.update(bytes);
    at += static_cast<std::int64_t>(bytes.size());
    report(static_cast<std::int64_t>(bytes.size()));
    return {};
  };
  report(-bytes_);
  attempt = web_.get(base_request(), true, sink);
  if (attempt.error) return std::optional<DownloadedFile>();
  return std::optional(DownloadedFile{hash.finish(), at});
}

Result<DownloadedFile> Fetcher::in_one() {
  Backoff backoff;
  while (true) {
    Attempt attempt;
    auto file = COCOON_TRY(in_one_try(attempt));
    if (file) return *file;
    if (!attempt.temporary || !backoff.another(attempt)) return pass(std::move(*attempt.error));
    COCOON_TRY(backoff.pause(attempt));
  }
}

// Notes of another boot are worth nothing: the bytes that they speak of may never have reached the
// disk.
std::string Fetcher::notes_head() const {
  return fmt::format("cocoon-parts 1\n{}\n{}\n{} {}\n{}\n", url_.clean, facts_.validator,
                     facts_.size, kPart, read_boot_id());
}

Result<void> Fetcher::take_notes() {
  constexpr std::size_t kMostNotes = 1 << 20;
  auto text = sys::read_file(notes_, kMostNotes);
  std::string head = notes_head();
  struct stat info {};
  bool sized = fstat(fd_.get(), &info) == 0 && info.st_size == facts_.size;
  bool ours = text && sized && !facts_.validator.empty() && text->starts_with(head);
  if (!ours) return sys::write_file_atomic(notes_, head, 0600);
  auto lines = split(std::string_view(*text).substr(head.size()), '\n');
  lines.pop_back();  // what has no newline was not written whole
  for (std::string_view line : lines) {
    auto part = parse_decimal(line);
    if (part && static_cast<std::int64_t>(*part) < parts()) {
      here_.insert(static_cast<std::int64_t>(*part));
    }
  }
  return {};
}

Result<DownloadedFile> Fetcher::in_parts() {
  COCOON_TRY(take_notes());
  notes_fd_ = COCOON_TRY(sys::open_file(notes_, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW, 0600));
  if (ftruncate(fd_.get(), facts_.size) != 0) return fail_errno("make room for the download");
  for (std::int64_t part : here_) bytes_ += part_end(part) - part * kPart;
  std::vector<std::thread> threads;
  auto count = std::min<std::int64_t>(static_cast<std::int64_t>(request_.connections), parts());
  for (std::int64_t i = 0; i < count; ++i) threads.emplace_back([this] { work(); });
  // Hashed in order while the parts come in.
  auto hash_all = [&]() -> Result<std::string> {
    Sha256 hash;
    std::string chunk(kChunk, '\0');
    for (std::int64_t part = 0; part < parts(); ++part) {
      std::int64_t end = COCOON_TRY(wait_for(part));
      for (std::int64_t at = part * kPart; at < end;) {
        auto want = std::min<std::int64_t>(static_cast<std::int64_t>(chunk.size()), end - at);
        ssize_t got = pread(fd_.get(), chunk.data(), static_cast<std::size_t>(want), at);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return fail_errno("read the download");
        hash.update({chunk.data(), static_cast<std::size_t>(got)});
        at += got;
      }
    }
    return hash.finish();
  };
  auto digest = hash_all();
  {
    std::lock_guard guard(mutex_);
    stop_ = true;
  }
  for (std::thread& thread : threads) thread.join();
  return DownloadedFile{COCOON_TRY(std::move(digest)), facts_.size};
}

// The end of the part, once it is here.
Result<std::int64_t> Fetcher::wait_for(std::int64_t part) {
  std::unique_lock guard(mutex_);
  while (!here_.contains(part)) {
    if (error_) return pass(*error_);
    guard.unlock();
    COCOON_TRY(sys::check_cancelled());
    guard.lock();
    changed_.wait_for(guard, kWake);
  }
  return part_end(part);
}

void Fetcher::work() {
  std::unique_lock guard(mutex_);
  while (!stop_ && !error_) {
    while (next_ < parts() && here_.contains(next_)) ++next_;
    if (next_ >= parts()) return;
    std::int64_t part = next_++;
    guard.unlock();
    auto done = fetch_part(part);
    guard.lock();
    if (done) {
      here_.insert(part);
      std::string line = fmt::format("{}\n", part);
      ignore(sys::write_all(notes_fd_.get(), line), "a part that is not noted is fetched again");
    } else if (!error_) {
      error_ = std::move(done).error();
    }
    changed_.notify_all();
  }
}

Result<void> Fetcher::fetch_part(std::int64_t part) {
  std::int64_t at = part * kPart;
  std::int64_t end = part_end(part);
  auto stop = [this] {
    std::lock_guard guard(mutex_);
    return stop_ || error_.has_value();
  };
  Backoff backoff;
  while (at < end) {
    HttpRequest request = base_request();
    request.headers.push_back(fmt::format("Range: bytes={}-{}", at, end - 1));
    if (!facts_.validator.empty()) request.headers.push_back("If-Range: " + facts_.validator);
    std::int64_t before = at;
    auto sink = [&](const HttpAnswer& answer, std::string_view bytes) -> Result<void> {
      auto range = parse_content_range(answer.header("content-range"));
      bool fits = answer.status == 206 && range && range->first == before &&
                  range->last == end - 1 && range->total == facts_.size;
      if (!fits || static_cast<std::int64_t>(bytes.size()) > end - at) {
        return fail(ErrorKind::kCorrupt, "the file changed on the server while it was fetched");
      }
      COCOON_TRY(write_at(fd_.get(), bytes, at));
      at += static_cast<std::int64_t>(bytes.size());
      report(static_cast<std::int64_t>(bytes.size()));
      return {};
    };
    Attempt attempt = web_.get(std::move(request), true, sink, stop);
    if (at == end) break;
    if (at > before) backoff.reset();
    if (!attempt.error) {
      attempt.error = Error{ErrorKind::kCorrupt, "the server sent too little", {}, 0};
      attempt.temporary = true;
    }
    if (!attempt.temporary || !backoff.another(attempt)) {
      std::lock_guard guard(mutex_);
      network_failed_ = network_failed_ || attempt.temporary;
      return pass(std::move(*attempt.error));
    }
    COCOON_TRY(backoff.pause(attempt, stop));
  }
  return {};
}

}  // namespace

Result<UrlDownload> UrlDownload::claim(const store::Paths& paths, const std::string& url,
                                       WaitNotice& notice) {
  WebUrl parsed = COCOON_TRY(parse_url(url));
  std::string name = "url-" + sha256_hex(parsed.clean);
  path lock_path = paths.lock(kDownloadLocks, name);
  COCOON_TRY(sys::make_dirs(paths.downloads(), 0700));
  COCOON_TRY(sys::make_dirs(lock_path.parent_path(), 0700));
  auto take = [&lock_path](Milliseconds wait) {
    return sys::FileLock::take(lock_path, sys::FileLock::Mode::kExclusive, "image pull", wait);
  };
  auto lock = take(Milliseconds(0));
  if (!lock && lock.error().kind == ErrorKind::kBusy) {
    notice.tell("downloads " + parsed.clean);
    lock = take(kLongWait);
  }
  if (!lock) return pass(std::move(lock).error());
  sys::side_effect("lock download");
  return UrlDownload(std::move(*lock), paths.downloads() / name,
                     paths.downloads() / (name + std::string(kDownloadNotes)));
}

Result<DownloadedFile> UrlDownload::fetch(WebClient& web, const UrlRequest& request,
                                          const path& target) {
  WebUrl url = COCOON_TRY(parse_url(request.url));
  Fetcher fetcher(web, request, url, file_, notes_);
  auto file = fetcher.run();
  sys::CancelShield shield;
  bool keep = !file && fetcher.worth_keeping(file.error());
  if (file && !request.sha256.empty() && file->sha256 != request.sha256) {
    file = fail(ErrorKind::kCorrupt, "its checksum is sha256:{}, not sha256:{}", file->sha256,
                request.sha256);
  }
  if (file) {
    if (auto moved = sys::rename_path(file_, target); !moved) file = pass(std::move(moved).error());
  }
  if (!keep) {
    ignore(sys::remove_file(file_), "gc removes it");
    ignore(sys::remove_file(notes_), "gc removes it");
  }
  return file;
}

UrlDownload::~UrlDownload() {
  if (lock_) lock_->unlink();
}

}  // namespace cocoon::image
