// SPDX-License-Identifier: Apache-2.0
// One HTTP request over libcurl, and nothing that a caller has to decide: no redirect is followed
// and nothing is repeated here. The peer may be hostile: sizes are limited, silence ends.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"

namespace cocoon::image {

// What a host's connections are checked against.
struct TlsTrust {
  bool verify = true;
  std::string ca_pem;       // certificates; empty: libcurl's own choice
  std::string client_cert;  // file names; both or neither
  std::string client_key;
};

struct HttpRequest {
  std::string url;
  std::string method = "GET";
  std::vector<std::string> headers;  // "Accept: …", printable
  std::string body;                  // of a POST, as a form
  // Never sent to another host than this one; empty: none. "Basic …", "Bearer …".
  std::string authorization;
  TlsTrust trust;
};

struct HttpAnswer {
  int status = 0;
  // Names in lower case; of repeated ones the values in their order.
  std::multimap<std::string, std::string> headers;
  std::string error_body;  // the first bytes of an answer that is no success

  // The first value of a header, empty when absent.
  std::string header(const std::string& name) const;
};

// Takes the body of a success (2xx), piece by piece; the answer's status and headers are known.
using BodySink = std::function<Result<void>(const HttpAnswer& answer, std::string_view bytes)>;

// Why a transfer came to no answer, or to no end of it.
struct TransferFailure {
  Error error;
  bool connected = false;  // the peer was reached, TLS included
  bool temporary = false;  // the same again may succeed
};

struct HttpOutcome {
  HttpAnswer answer;
  std::optional<TransferFailure> failure;
};

// Sends requests; connections are kept and used again. Thread-safe.
class HttpSender {
 public:
  struct Limits {
    Milliseconds connect{30'000};
    Milliseconds stall{60'000};  // without a byte
  };

  explicit HttpSender(Limits limits);
  ~HttpSender();
  HttpSender(const HttpSender&) = delete;
  HttpSender& operator=(const HttpSender&) = delete;

  // Proxies are taken from the environment, as curl does. An error of the sink ends the transfer
  // and is its failure, never temporary. `stop` is asked now and then: true ends the transfer.
  HttpOutcome send(const HttpRequest& request, const BodySink& sink,
                   const std::function<bool()>& stop = {});

 private:
  struct Connection;
  std::unique_ptr<Connection> borrow();
  void give_back(std::unique_ptr<Connection> connection);

  Limits limits_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Connection>> idle_;
};

// A URL in its parts, as libcurl understands it. Only http and https; the host is in lower case.
struct WebUrl {
  std::string scheme;
  std::string host;
  std::string port;  // always said
  std::string user;  // decoded; with the password only when the URL has them
  std::string password;
  std::string path;   // decoded, for messages and file names
  std::string clean;  // the URL without user and fragment

  // Credentials may go from one to the other.
  bool same_origin(const WebUrl& other) const {
    return scheme == other.scheme && host == other.host && port == other.port;
  }
};
// kInvalid.
Result<WebUrl> parse_url(const std::string& text);
// Where a Location header leads from `base`. kCorrupt for what cannot be followed.
Result<std::string> resolve_location(const std::string& base, const std::string& location);

}  // namespace cocoon::image
