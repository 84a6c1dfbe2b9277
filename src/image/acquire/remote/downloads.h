// SPDX-License-Identifier: Apache-2.0
// Blobs on their way here. Each is written to <root>/downloads/<digest> by one process and read
// from there, while it grows, by all that want it; what is there counts at the next try, also after
// a kill -9. A file stays as long as somebody holds a shared lock on locks/download/<digest>; the
// last one takes it along, and gc takes what nobody holds.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "image/acquire/byte_source.h"
#include "image/acquire/remote/web_client.h"
#include "image/acquire/wait_notice.h"
#include "store/paths.h"

namespace cocoon::image {

struct DownloadOrder {
  std::string digest;  // hex digits
  std::int64_t size = 0;
  std::string label;  // for messages
};

// One try to get a blob from an offset on, as Registry::blob.
using BlobFetch = std::function<Attempt(const std::string& digest, std::int64_t offset,
                                        const BodySink& sink, const std::function<bool()>& stop)>;

// What of all orders is here, for progress. Called from several threads, one at a time.
using BytesSink = std::function<void(std::int64_t done, std::int64_t total)>;

class Downloads {
 public:
  // `notice` is told when another process turns out to fetch what we want.
  Downloads(const store::Paths& paths, BlobFetch fetch, std::size_t threads, BytesSink progress,
            WaitNotice& notice);
  // Stops what is under way and gives everything back, keeping parts of blobs for the next time.
  ~Downloads();
  Downloads(const Downloads&) = delete;
  Downloads& operator=(const Downloads&) = delete;

  // Makes sure that the bytes, once they are here, stay until release().
  Result<void> claim(const DownloadOrder& order);
  // Begins with a claimed blob as soon as there is room.
  void start(const std::string& digest);
  // The bytes of an order, begun if it was not; claimed again after a release. Its end is reached
  // only when size and digest were right; else an error: kCorrupt, or why it could not be had.
  Result<SourcePtr> open(const DownloadOrder& order);
  // Not needed any more by us.
  void release(const std::string& digest);

  // Is what is here worth to be kept after this failure? True when the network failed.
  bool network_failed() const;
  // A part that an earlier command left was not what it should have been; it is gone.
  bool had_bad_part() const;
  // Give back everything, parts of blobs included.
  void drop_all();
  // Bytes that came through the network.
  std::int64_t fetched() const;

 private:
  struct Item;
  class Source;

  void work();
  void fetch(Item& item);
  Result<void> fill(Item& item);
  Result<void> take_turn(Item& item);
  Result<void> hash_part(Item& item, std::int64_t size);
  Result<void> append(Item& item, std::string_view bytes);
  Result<void> fetch_rest(Item& item);
  Result<void> verify(Item& item, bool resumed);
  void show(Item& item, std::int64_t size);
  void give_back(Item& item, bool remove);
  bool stopping(const Item& item) const;

  const store::Paths& paths_;
  BlobFetch fetch_;
  std::size_t most_threads_;
  BytesSink progress_;
  WaitNotice& notice_;
  mutable std::mutex mutex_;  // of all below and of the items' states
  std::condition_variable changed_;
  std::map<std::string, std::shared_ptr<Item>> items_;
  std::deque<std::shared_ptr<Item>> queue_;
  std::vector<std::thread> threads_;
  std::size_t idle_ = 0;
  std::int64_t fetched_ = 0;
  bool stop_ = false;
  bool network_failed_ = false;
  bool had_bad_part_ = false;
};

}  // namespace cocoon::image
