// SPDX-License-Identifier: Apache-2.0
// GET as a browser does it: redirects followed, but with credentials for the first host only; which
// failures are worth another try, and when.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "image/acquire/remote/http_transfer.h"
#include "model/config.h"

namespace cocoon::image {

// How one try ended: with a success when there is no error.
struct Attempt {
  HttpAnswer answer;
  std::optional<Error> error;
  bool temporary = false;                   // the same again may succeed
  bool connected = false;                   // the server was reached
  std::optional<std::int64_t> retry_after;  // seconds, as the server wishes
};

// Waits between tries: doubling, with some chance in it, at most 30 s; what the server wishes
// counts up to two minutes. kInterrupted when the command is cancelled or `stop` says so.
class Backoff {
 public:
  static constexpr int kMostTries = 5;
  // Counts a failed try; true when there may be another one. Silence takes long, and counts twice.
  bool another(const Attempt& attempt) {
    failed_ += attempt.error && attempt.error->kind == ErrorKind::kTimeout ? 2 : 1;
    return failed_ < kMostTries;
  }
  Result<void> pause(const Attempt& attempt, const std::function<bool()>& stop = {}) const;
  // Something came through: the next failure is the first one again.
  void reset() { failed_ = 0; }

 private:
  int failed_ = 0;
};

class WebClient {
 public:
  explicit WebClient(const model::Config& config);

  // `request.trust` is filled in here; `verify` false leaves certificates unchecked. An answer of
  // another status than 2xx is an error; where it is a 401, 416 or the like the caller sees it in
  // the answer.
  Attempt get(HttpRequest request, bool verify, const BodySink& sink,
              const std::function<bool()>& stop = {});
  // The same for a small text, tried again as long as that makes sense. kCorrupt beyond `limit`.
  Attempt get_text(const HttpRequest& request, bool verify, std::size_t limit, std::string& text);

 private:
  Result<TlsTrust> trust_for(const WebUrl& url, bool verify);

  HttpSender sender_;
  std::string ca_file_;
  std::mutex mutex_;
  std::map<std::string, TlsTrust> trusts_;
};

// The Authorization header for the account that a URL names; empty when it names none.
std::string basic_authorization(const WebUrl& url);

// What an answer without success means. 404: kNotFound; else kSystem, with EACCES where access is
// denied.
Error status_error(const HttpAnswer& answer);

// Of use again after a failure: 408, 425, 429 and the 5xx of busy servers.
bool is_temporary_status(int status);

}  // namespace cocoon::image
