// SPDX-License-Identifier: Apache-2.0
#include "image/acquire/remote/downloads.h"

#include <poll.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>

#include "base/units.h"
#include "image/acquire/digest.h"
#include "image/catalog/collect.h"
#include "sys/cancel.h"
#include "sys/fault.h"
#include "sys/file_lock.h"
#include "sys/files.h"

namespace cocoon::image {
namespace {

using sys::FileLock;

constexpr Milliseconds kLockWait(10'000);
constexpr Milliseconds kLook(20);   // at what another process does
constexpr Milliseconds kWake(200);  // waiting readers look for a signal
constexpr std::size_t kChunk = 1 << 20;

}  // namespace

struct Downloads::Item {
  enum class State { kClaimed, kQueued, kRunning, kDone, kFailed };

  DownloadOrder order;
  std::optional<FileLock> lock;
  store::fs::path lock_path;
  store::fs::path path;
  sys::UniqueFd fd;
  Sha256 hash;              // of the worker, up to `hashed`
  std::int64_t hashed = 0;  // the worker's
  State state = State::kClaimed;
  std::int64_t visible = 0;  // bytes that may be read
  std::optional<Error> error;
  bool unwanted = false;  // released while it was under way
};

// Reads a blob while it comes in.
class Downloads::Source : public ByteSource {
 public:
  Source(Downloads& downloads, std::shared_ptr<Item> item)
      : downloads_(downloads), item_(std::move(item)) {}

  Result<std::size_t> read(char* data, std::size_t size) override {
    std::int64_t there = COCOON_TRY(wait());
    auto step = std::min<std::int64_t>(static_cast<std::int64_t>(size), there - at_);
    while (step > 0) {
      ssize_t got = pread(item_->fd.get(), data, static_cast<std::size_t>(step), at_);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return fail_errno(fmt::format("read {}", item_->path.native()));
      // Taken back by whoever wrote it: it was not right.
      if (got == 0) return fail(ErrorKind::kCorrupt, "the download was damaged");
      at_ += got;
      return static_cast<std::size_t>(got);
    }
    return std::size_t{0};
  }

 private:
  // Until there is more than was read, or all of it was.
  Result<std::int64_t> wait() {
    std::unique_lock guard(downloads_.mutex_);
    while (true) {
      if (item_->error) return pass(*item_->error);
      bool ready = item_->visible > at_ || item_->state == Item::State::kDone;
      if (ready) return item_->visible;
      guard.unlock();
      COCOON_TRY(sys::check_cancelled());
      guard.lock();
      if (downloads_.stop_) return fail(ErrorKind::kInterrupted, "interrupted");
      downloads_.changed_.wait_for(guard, kWake);
    }
  }

  Downloads& downloads_;
  std::shared_ptr<Item> item_;
  std::int64_t at_ = 0;
};

Downloads::Downloads(const store::Paths& paths, BlobFetch fetch, std::size_t threads,
                     BytesSink progress, WaitNotice& notice)
    : paths_(paths),
      fetch_(std::move(fetch)),
      most_threads_(std::max<std::size_t>(1, threads)),
      progress_(std::move(progress)),
      notice_(notice) {}

Downloads::~Downloads() {
  {
    std::lock_guard guard(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  sys::CancelShield shield;
  for (auto& [digest, item] : items_) give_back(*item, false);
}

Result<void> Downloads::claim(const DownloadOrder& order) {
  std::unique_lock guard(mutex_);
  if (items_.contains(order.digest)) return {};
  guard.unlock();
  auto item = std::make_shared<Item>();
  item->order = order;
  item->path = paths_.downloads() / order.digest;
  item->lock_path = paths_.lock(kDownloadLocks, order.digest);
  COCOON_TRY(sys::make_dirs(paths_.downloads(), 0700));
  COCOON_TRY(sys::make_dirs(item->lock_path.parent_path(), 0700));
  item->lock =
      COCOON_TRY(FileLock::take(item->lock_path, FileLock::Mode::kShared, "image pull", kLockWait),
                 "lock download {}", order.digest);
  sys::side_effect("lock download");
  item->fd = COCOON_TRY(sys::open_file(item->path, O_RDWR | O_CREAT | O_NOFOLLOW, 0600));
  sys::side_effect("create download");
  guard.lock();
  items_.emplace(order.digest, std::move(item));
  return {};
}

void Downloads::start(const std::string& digest) {
  std::lock_guard guard(mutex_);
  auto found = items_.find(digest);
  if (found == items_.end() || found->second->state != Item::State::kClaimed) return;
  found->second->state = Item::State::kQueued;
  queue_.push_back(found->second);
  changed_.notify_all();
  if (idle_ >= queue_.size() || threads_.size() >= most_threads_) return;
  threads_.emplace_back([this] { work(); });
}

Result<SourcePtr> Downloads::open(const DownloadOrder& order) {
  {
    // One that was given up goes first.
    std::unique_lock guard(mutex_);
    changed_.wait(guard, [&] {
      auto found = items_.find(order.digest);
      return found == items_.end() || !found->second->unwanted;
    });
  }
  COCOON_TRY(claim(order));
  start(order.digest);
  std::lock_guard guard(mutex_);
  return SourcePtr(std::make_unique<Source>(*this, items_.at(order.digest)));
}

void Downloads::release(const std::string& digest) {
  std::shared_ptr<Item> item;
  {
    std::lock_guard guard(mutex_);
    auto found = items_.find(digest);
    if (found == items_.end()) return;
    item = found->second;
    if (item->state == Item::State::kRunning || item->state == Item::State::kQueued) {
      item->unwanted = true;  // its worker gives it back
      return;
    }
    items_.erase(found);
  }
  give_back(*item, true);
}

bool Downloads::network_failed() const {
  std::lock_guard guard(mutex_);
  return network_failed_;
}

bool Downloads::had_bad_part() const {
  std::lock_guard guard(mutex_);
  return had_bad_part_;
}

std::int64_t Downloads::fetched() const {
  std::lock_guard guard(mutex_);
  return fetched_;
}

bool Downloads::stopping(const Item& item) const {
  std::lock_guard guard(mutex_);
  return stop_ || item.unwanted;
}

void Downloads::drop_all() {
  {
    std::lock_guard guard(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  sys::CancelShield shield;
  for (auto& [digest, item] : items_) give_back(*item, true);
  items_.clear();
}

void Downloads::give_back(Item& item, bool remove) {
  item.fd.reset();
  if (!item.lock) return;
  release_download(std::move(*item.lock), item.lock_path, remove ? item.path : store::fs::path());
  item.lock.reset();
}

void Downloads::work() {
  std::unique_lock guard(mutex_);
  while (!stop_) {
    if (queue_.empty()) {
      ++idle_;
      changed_.wait(guard);
      --idle_;
      continue;
    }
    auto item = queue_.front();
    queue_.pop_front();
    item->state = Item::State::kRunning;
    guard.unlock();
    fetch(*item);
    guard.lock();
  }
}

void Downloads::fetch(Item& item) {
  auto filled = fill(item);
  flock(item.fd.get(), LOCK_UN);
  std::lock_guard guard(mutex_);
  if (filled) {
    item.state = Item::State::kDone;
  } else {
    item.state = Item::State::kFailed;
    item.error =
        pass(std::move(filled).error(), fmt::format("download {}", item.order.label)).value();
  }
  if (item.unwanted && !stop_) {
    items_.erase(item.order.digest);  // the worker holds it still
    give_back(item, true);
  }
  changed_.notify_all();
}

Result<void> Downloads::fill(Item& item) {
  COCOON_TRY(take_turn(item));
  struct stat info {};
  if (fstat(item.fd.get(), &info) != 0) return fail_errno("stat a download");
  std::int64_t part = info.st_size;
  if (part > item.order.size) {
    if (ftruncate(item.fd.get(), 0) != 0) return fail_errno("truncate a download");
    part = 0;
  }
  std::int64_t free = COCOON_TRY(sys::free_bytes(paths_.downloads()));
  if (item.order.size - part > free) {
    return fail_errno(ENOSPC, fmt::format("{} free for {}", human_size(free),
                                          human_size(item.order.size - part)));
  }
  show(item, part);
  COCOON_TRY(hash_part(item, part));
  COCOON_TRY(fetch_rest(item));
  return verify(item, part > 0);
}

// One process at a time writes; the others see what it has written. When it dies, the next goes on.
Result<void> Downloads::take_turn(Item& item) {
  while (flock(item.fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) return fail_errno("lock a download");
    COCOON_TRY(sys::check_cancelled());
    if (stopping(item)) return fail(ErrorKind::kInterrupted, "interrupted");
    notice_.tell("downloads " + item.order.label);
    struct stat info {};
    if (fstat(item.fd.get(), &info) == 0 && info.st_size <= item.order.size)
      show(item, info.st_size);
    pollfd entry{sys::cancel_fd(), POLLIN, 0};
    poll(&entry, 1, static_cast<int>(kLook.count()));
  }
  return {};
}

// Makes bytes up to `size` visible. Never fewer than before: they may have been read.
void Downloads::show(Item& item, std::int64_t size) {
  std::lock_guard guard(mutex_);
  item.visible = std::max(item.visible, size);
  changed_.notify_all();
  if (!progress_) return;
  std::int64_t done = 0;
  std::int64_t total = 0;
  for (const auto& [digest, other] : items_) {
    if (other->state == Item::State::kClaimed) continue;
    done += other->visible;
    total += other->order.size;
  }
  progress_(done, total);
}

Result<void> Downloads::hash_part(Item& item, std::int64_t size) {
  std::string chunk(size > 0 ? kChunk : 0, '\0');
  while (item.hashed < size) {
    COCOON_TRY(sys::check_cancelled());
    ssize_t got = pread(item.fd.get(), chunk.data(), chunk.size(), item.hashed);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return fail_errno("read a download");
    item.hash.update({chunk.data(), static_cast<std::size_t>(got)});
    item.hashed += got;
  }
  return {};
}

Result<void> Downloads::append(Item& item, std::string_view bytes) {
  if (static_cast<std::int64_t>(bytes.size()) > item.order.size - item.hashed) {
    return fail(ErrorKind::kCorrupt, "the server sends more than the {} bytes that it should be",
                item.order.size);
  }
  std::string_view rest = bytes;
  std::int64_t at = item.hashed;
  while (!rest.empty()) {
    ssize_t put = pwrite(item.fd.get(), rest.data(), rest.size(), at);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return fail_errno(fmt::format("write {}", item.path.native()));
    rest.remove_prefix(static_cast<std::size_t>(put));
    at += put;
  }
  item.hash.update(bytes);
  item.hashed = at;
  show(item, at);
  std::lock_guard guard(mutex_);
  fetched_ += static_cast<std::int64_t>(bytes.size());
  return {};
}

Result<void> Downloads::fetch_rest(Item& item) {
  auto stop = [&] { return stopping(item); };
  auto sink = [&](const HttpAnswer&, std::string_view bytes) { return append(item, bytes); };
  Backoff backoff;
  while (item.hashed < item.order.size) {
    std::int64_t before = item.hashed;
    Attempt attempt = fetch_(item.order.digest, before, sink, stop);
    if (item.hashed == item.order.size) break;
    if (item.hashed > before) backoff.reset();
    if (!attempt.error) {
      attempt.error =
          Error{ErrorKind::kCorrupt,
                fmt::format("the server sent {} bytes instead of {}", item.hashed, item.order.size),
                {},
                0};
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

Result<void> Downloads::verify(Item& item, bool resumed) {
  if (item.hash.finish() == item.order.digest) return {};
  // The next one shall not go on with it.
  if (ftruncate(item.fd.get(), 0) != 0) return fail_errno("truncate a download");
  std::lock_guard guard(mutex_);
  had_bad_part_ = had_bad_part_ || resumed;
  return fail(ErrorKind::kCorrupt, "its bytes are not those of sha256:{}", item.order.digest);
}

}  // namespace cocoon::image
