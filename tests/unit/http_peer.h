// SPDX-License-Identifier: Apache-2.0
// The server's end of an HTTP connection, for tests: it does what a test tells it, good and bad.
#pragma once

#include <sys/socket.h>

#include <string>
#include <string_view>

#include "base/text.h"
#include "sys/fd.h"

namespace cocoon::test {

struct HeardRequest {
  std::string line;  // "PUT /x HTTP/1.1"; empty: the client is gone
  std::string head;  // with its fields
  std::string body;
};

class HttpPeer {
 public:
  explicit HttpPeer(sys::UniqueFd socket) : socket_(std::move(socket)) {}

  void say(std::string_view text) {
    while (!text.empty()) {
      ssize_t put = ::send(socket_.get(), text.data(), text.size(), MSG_NOSIGNAL);
      if (put <= 0) return;
      text.remove_prefix(static_cast<std::size_t>(put));
    }
  }

  // As both VMMs answer: no reason phrase, no length with 204.
  void answer(int status, std::string_view body = "") {
    std::string text = "HTTP/1.1 " + std::to_string(status) +
                       " \r\nServer: Test API\r\nConnection: keep-alive\r\n";
    if (status != 204) {
      text += "Content-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) +
              "\r\n";
    }
    say(text + "\r\n" + std::string(body));
  }

  HeardRequest hear() {
    HeardRequest request;
    while (request.head.find("\r\n\r\n") == std::string::npos) {
      char c = 0;
      if (::recv(socket_.get(), &c, 1, 0) != 1) return {};
      request.head += c;
    }
    request.line = request.head.substr(0, request.head.find("\r\n"));
    constexpr std::string_view kLength = "Content-Length: ";
    auto at = request.head.find(kLength);
    if (at == std::string::npos) return request;
    auto digits = std::string_view(request.head).substr(at + kLength.size());
    auto length = parse_decimal(digits.substr(0, digits.find('\r'))).value_or(0);
    request.body.resize(length);
    if (length > 0) ::recv(socket_.get(), request.body.data(), length, MSG_WAITALL);
    return request;
  }

  void close() { socket_.reset(); }

 private:
  sys::UniqueFd socket_;
};

}  // namespace cocoon::test
