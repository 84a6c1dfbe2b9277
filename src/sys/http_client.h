// SPDX-License-Identifier: Apache-2.0
// HTTP/1.1 over a connected Unix stream socket, as VMMs serve it (spec 03 §23.1). The peer may be
// hostile: every wait has a deadline, every answer a size limit.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/error.h"
#include "sys/fd.h"

namespace cocoon::sys {

struct HttpResponse {
  int status = 0;
  std::string body;
};

class [[nodiscard]] HttpClient {
 public:
  struct Limits {
    std::size_t request_body = 51'200;  // what both VMMs take
    std::size_t head = std::size_t{16} << 10;
    std::size_t response_body = std::size_t{1} << 20;
  };

  // Takes a connected stream socket.
  explicit HttpClient(UniqueFd socket) : socket_(std::move(socket)) {}
  HttpClient(UniqueFd socket, Limits limits) : socket_(std::move(socket)), limits_(limits) {}

  // One request and its answer, whatever its status is (a "100 Continue" before it is skipped).
  // `body`: JSON, or null for a request without one. Never repeats anything. kInvalid: method or
  // target are no such thing, or the body is over the limit: nothing was sent. kCorrupt: the answer
  // is no HTTP, or too much of it. kTimeout, kInterrupted; kSystem with ECONNRESET when the peer is
  // gone. After an error the connection is of no more use.
  Result<HttpResponse> exchange(std::string_view method, std::string_view target,
                                const std::string* body, Deadline deadline);

  // May another exchange follow? False after an error and after "Connection: close".
  bool reusable() const { return reusable_; }

 private:
  Result<HttpResponse> read_response(Deadline deadline);
  Result<std::string> read_head(Deadline deadline);
  Result<std::string> read_body(std::size_t length, Deadline deadline);
  Result<void> fill(Deadline deadline);

  UniqueFd socket_;
  Limits limits_;
  std::string buffer_;  // read, not yet used
  bool reusable_ = true;
};

}  // namespace cocoon::sys
