// SPDX-License-Identifier: Apache-2.0
// A file from a web server, by several connections where the server knows ranges (RFC 9110 §14),
// and going on where an earlier command was ended. It is written to <root>/downloads/url-<key>,
// with notes on its parts beside it, and moved to where it is wanted when it is complete.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "base/error.h"
#include "image/acquire/remote/downloads.h"
#include "image/acquire/remote/web_client.h"
#include "store/paths.h"
#include "sys/file_lock.h"

namespace cocoon::image {

struct UrlRequest {
  std::string url;
  std::string sha256;  // hex digits that it must have; empty: any
  std::size_t connections = 1;
  std::int64_t max_bytes = 0;
  // Looks at the first bytes (up to `head_bytes`) before the rest is fetched; its error ends all.
  std::function<Result<void>(std::string_view head)> check_head;
  std::size_t head_bytes = 0;
  BytesSink progress;
};

struct DownloadedFile {
  std::string sha256;  // hex digits
  std::int64_t size = 0;
};

// One URL, held against other commands that want the same.
class [[nodiscard]] UrlDownload {
 public:
  UrlDownload(UrlDownload&& other) noexcept
      : lock_(std::exchange(other.lock_, std::nullopt)),
        file_(std::move(other.file_)),
        notes_(std::move(other.notes_)) {}
  UrlDownload& operator=(UrlDownload&&) = delete;
  UrlDownload(const UrlDownload&) = delete;
  UrlDownload& operator=(const UrlDownload&) = delete;
  ~UrlDownload();

  // Waits for another command that is at it, and says so. kInterrupted.
  static Result<UrlDownload> claim(const store::Paths& paths, const std::string& url,
                                   WaitNotice& notice);

  // Fetches the file and moves it to `target`, on the same file system. After an error of the
  // network what is here stays for the next time; after others nothing does. kCorrupt: not what
  // was announced; kUnsupported, kNotFound, kSystem.
  Result<DownloadedFile> fetch(WebClient& web, const UrlRequest& request,
                               const store::fs::path& target);

 private:
  UrlDownload(sys::FileLock lock, store::fs::path file, store::fs::path notes)
      : lock_(std::move(lock)), file_(std::move(file)), notes_(std::move(notes)) {}

  std::optional<sys::FileLock> lock_;
  store::fs::path file_;
  store::fs::path notes_;
};

}  // namespace cocoon::image
