// SPDX-License-Identifier: Apache-2.0
#include "sys/http_client.h"

#include <algorithm>
#include <array>

#include "sys/http_response.h"
#include "sys/stream_socket.h"

namespace cocoon::sys {
namespace {

constexpr std::size_t kMaxTarget = 960;  // the server's limit for a request line is 1024
constexpr int kMaxInterim = 4;           // "100 Continue" before the answer
constexpr int kContinue = 100;
constexpr int kNoContent = 204;

bool is_method(std::string_view text) {
  return !text.empty() && text.size() <= 8 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
}

bool is_target(std::string_view text) {
  return text.starts_with('/') && text.size() <= kMaxTarget &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

// `Accept` is what both servers expect of a client; everything else they may do without.
std::string render_request(std::string_view method, std::string_view target,
                           const std::string* body) {
  std::string text = fmt::format(
      "{} {} HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n", method, target);
  if (body != nullptr) {
    text += fmt::format("Content-Type: application/json\r\nContent-Length: {}\r\n", body->size());
  }
  text += "\r\n";
  if (body != nullptr) text += *body;
  return text;
}

}  // namespace

Result<void> HttpClient::fill(Deadline deadline) {
  std::array<char, 16384> chunk{};
  std::size_t size = COCOON_TRY(receive_some(socket_.get(), chunk, deadline));
  buffer_.append(chunk.data(), size);
  return {};
}

Result<std::string> HttpClient::read_head(Deadline deadline) {
  constexpr std::string_view kEnd = "\r\n\r\n";
  std::size_t scanned = 0;  // no end before this offset
  while (true) {
    std::size_t end = buffer_.find(kEnd, scanned);
    if (std::min(end, buffer_.size()) > limits_.head) {
      return fail(ErrorKind::kCorrupt, "the other side sent a head of more than {} bytes",
                  limits_.head);
    }
    if (end != std::string::npos) {
      std::string head = buffer_.substr(0, end + kEnd.size());
      buffer_.erase(0, end + kEnd.size());
      return head;
    }
    scanned = buffer_.size() < kEnd.size() ? 0 : buffer_.size() - kEnd.size() + 1;
    COCOON_TRY(fill(deadline));
  }
}

Result<std::string> HttpClient::read_body(std::size_t length, Deadline deadline) {
  while (buffer_.size() < length) COCOON_TRY(fill(deadline));
  std::string body = buffer_.substr(0, length);
  buffer_.erase(0, length);
  return body;
}

Result<HttpResponse> HttpClient::read_response(Deadline deadline) {
  HttpHead head;
  for (int count = 0; count == 0 || head.status == kContinue; ++count) {
    if (count > kMaxInterim) {
      return fail(ErrorKind::kCorrupt, "the other side never comes to its answer");
    }
    std::string text = COCOON_TRY(read_head(deadline));
    head = COCOON_TRY(parse_http_head(text));
  }
  if (head.status < 200) {
    return fail(ErrorKind::kCorrupt, "the other side changes the protocol ({})", head.status);
  }
  std::uint64_t length = head.content_length.value_or(0);
  if (length > limits_.response_body || (head.status == kNoContent && length > 0)) {
    return fail(ErrorKind::kCorrupt, "the other side announces {} bytes with a status of {}",
                length, head.status);
  }
  HttpResponse response{head.status, {}};
  response.body = COCOON_TRY(read_body(static_cast<std::size_t>(length), deadline));
  if (!buffer_.empty()) {
    return fail(ErrorKind::kCorrupt, "the other side says more than it was asked");
  }
  reusable_ = head.keep_alive;
  return response;
}

Result<HttpResponse> HttpClient::exchange(std::string_view method, std::string_view target,
                                          const std::string* body, Deadline deadline) {
  if (!is_method(method) || !is_target(target)) {
    return fail(ErrorKind::kInvalid, "\"{} {}\" is no request", method, target);
  }
  if (body != nullptr && body->size() > limits_.request_body) {
    return fail(ErrorKind::kInvalid, "a request of {} bytes; the other side takes {}", body->size(),
                limits_.request_body);
  }
  reusable_ = false;  // until the whole answer is here
  auto sent = send_all(socket_.get(), render_request(method, target, body), deadline);
  // A server that turns us away answers and closes before it reads; what it said is worth reading.
  if (!sent && !is_peer_gone(sent.error())) return pass(sent.error());
  return read_response(deadline);
}

}  // namespace cocoon::sys
