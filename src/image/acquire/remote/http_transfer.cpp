// SPDX-License-Identifier: Apache-2.0
#include "image/acquire/remote/http_transfer.h"

#include <poll.h>

#include <algorithm>
#include <array>
#include <cstring>

#include <curl/curl.h>

#include "base/text.h"
#include "sys/cancel.h"

namespace cocoon::image {
namespace {

constexpr std::size_t kMostErrorBody = 16 << 10;
constexpr std::size_t kMostHeaders = 256;
constexpr long kSlowBytes = 1;  // fewer a second, for the whole stall time, are a stall
constexpr int kPollMilliseconds = 500;

struct FreeText {
  void operator()(char* text) const { curl_free(text); }
};
using CurlText = std::unique_ptr<char, FreeText>;

struct FreeList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using HeaderList = std::unique_ptr<curl_slist, FreeList>;

struct FreeUrl {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};

// libcurl's global state, once a process.
void start_curl() {
  static const CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT);
  (void)code;
}

bool is_printable(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c < 0x7f; });
}

// What one transfer collects.
struct Running {
  const BodySink& sink;
  HttpOutcome outcome;
  std::optional<Error> sink_error;
  bool heard = false;
};

std::size_t on_header(char* data, std::size_t size, std::size_t count, void* self) {
  auto* running = static_cast<Running*>(self);
  std::string_view line = trim({data, size * count});
  HttpAnswer& answer = running->outcome.answer;
  running->heard = true;
  if (line.starts_with("HTTP/")) {
    answer.headers.clear();  // of a "100 Continue", or of a proxy's tunnel
    auto blank = line.find(' ');
    auto code = parse_decimal(line.substr(blank == line.npos ? line.size() : blank + 1, 3));
    answer.status = code ? static_cast<int>(*code) : 0;
    return size * count;
  }
  auto colon = line.find(':');
  if (colon == line.npos || answer.headers.size() >= kMostHeaders) return size * count;
  std::string value(trim(line.substr(colon + 1)));
  if (is_printable(value)) answer.headers.emplace(to_lower(line.substr(0, colon)), value);
  return size * count;
}

std::size_t on_body(char* data, std::size_t size, std::size_t count, void* self) {
  auto* running = static_cast<Running*>(self);
  std::string_view bytes(data, size * count);
  HttpAnswer& answer = running->outcome.answer;
  if (answer.status < 200 || answer.status > 299) {
    std::size_t room = kMostErrorBody - std::min(kMostErrorBody, answer.error_body.size());
    answer.error_body.append(bytes.substr(0, room));
    return room > 0 ? bytes.size() : 0;  // enough to know what it is about
  }
  auto taken = running->sink(answer, bytes);
  if (taken) return bytes.size();
  running->sink_error = std::move(taken).error();
  return 0;
}

bool is_one_of(CURLcode code, std::initializer_list<CURLcode> codes) {
  return std::find(codes.begin(), codes.end(), code) != codes.end();
}

bool is_temporary(CURLcode code) {
  return is_one_of(code,
                   {CURLE_COULDNT_RESOLVE_PROXY, CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_CONNECT,
                    CURLE_PARTIAL_FILE, CURLE_HTTP2, CURLE_HTTP2_STREAM, CURLE_OPERATION_TIMEDOUT,
                    CURLE_GOT_NOTHING, CURLE_SEND_ERROR, CURLE_RECV_ERROR});
}

ErrorKind kind_of(CURLcode code) {
  if (code == CURLE_OPERATION_TIMEDOUT) return ErrorKind::kTimeout;
  if (is_one_of(code, {CURLE_UNSUPPORTED_PROTOCOL, CURLE_URL_MALFORMAT})) {
    return ErrorKind::kInvalid;
  }
  if (is_one_of(code, {CURLE_WEIRD_SERVER_REPLY, CURLE_PARTIAL_FILE})) return ErrorKind::kCorrupt;
  return ErrorKind::kSystem;
}

}  // namespace

struct HttpSender::Connection {
  CURL* easy = curl_easy_init();
  CURLM* multi = curl_multi_init();
  std::array<char, CURL_ERROR_SIZE> text{};

  Connection() = default;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() {
    curl_easy_cleanup(easy);
    curl_multi_cleanup(multi);
  }

  template <class T>
  void set(CURLoption option, T value) {
    curl_easy_setopt(easy, option, value);
  }

  HeaderList prepare(const HttpRequest& request, const Limits& limits, Running& running);
  // The end of the transfer; nullopt when it was stopped.
  std::optional<CURLcode> perform(const std::function<bool()>& stop);
};

HeaderList HttpSender::Connection::prepare(const HttpRequest& request, const Limits& limits,
                                           Running& running) {
  curl_easy_reset(easy);
  text[0] = 0;
  curl_slist* list = nullptr;
  auto add = [&](const std::string& line) { list = curl_slist_append(list, line.c_str()); };
  for (const std::string& line : request.headers) add(line);
  if (!request.authorization.empty()) add("Authorization: " + request.authorization);
  add("Expect:");  // a form is short; waiting for "100 Continue" only takes time
  set(CURLOPT_URL, request.url.c_str());
  set(CURLOPT_HTTPHEADER, list);
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_FOLLOWLOCATION, 0L);
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_NOPROGRESS, 1L);
  set(CURLOPT_USERAGENT, "cocoon");
  set(CURLOPT_ERRORBUFFER, text.data());
  set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(limits.connect.count()));
  set(CURLOPT_LOW_SPEED_LIMIT, kSlowBytes);
  set(CURLOPT_LOW_SPEED_TIME, std::max(1L, static_cast<long>(limits.stall.count() / 1000)));
  set(CURLOPT_HEADERFUNCTION, on_header);
  set(CURLOPT_HEADERDATA, &running);
  set(CURLOPT_WRITEFUNCTION, on_body);
  set(CURLOPT_WRITEDATA, &running);
  set(CURLOPT_BUFFERSIZE, 256L << 10);
  if (request.method == "HEAD") set(CURLOPT_NOBODY, 1L);
  if (request.method == "POST") {
    set(CURLOPT_POSTFIELDSIZE, static_cast<long>(request.body.size()));
    set(CURLOPT_COPYPOSTFIELDS, request.body.c_str());
  }
  if (!request.trust.verify) {
    set(CURLOPT_SSL_VERIFYPEER, 0L);
    set(CURLOPT_SSL_VERIFYHOST, 0L);
  }
  if (!request.trust.ca_pem.empty()) {
    curl_blob blob{};
    blob.data = const_cast<char*>(request.trust.ca_pem.data());
    blob.len = request.trust.ca_pem.size();
    blob.flags = CURL_BLOB_NOCOPY;
    set(CURLOPT_CAINFO_BLOB, &blob);
  }
  if (!request.trust.client_cert.empty()) {
    set(CURLOPT_SSLCERT, request.trust.client_cert.c_str());
    set(CURLOPT_SSLKEY, request.trust.client_key.c_str());
  }
  return HeaderList(list);
}

std::optional<CURLcode> HttpSender::Connection::perform(const std::function<bool()>& stop) {
  curl_multi_add_handle(multi, easy);
  std::optional<CURLcode> code;
  int running = 1;
  while (!code) {
    if (sys::cancelled() || (stop && stop())) break;
    if (curl_multi_perform(multi, &running) != CURLM_OK) code = CURLE_RECV_ERROR;
    int left = 0;
    while (CURLMsg* message = curl_multi_info_read(multi, &left)) {
      if (message->msg == CURLMSG_DONE) code = message->data.result;
    }
    if (!code && running == 0) code = CURLE_RECV_ERROR;
    if (code) break;
    curl_waitfd cancel{sys::cancel_fd(), CURL_WAIT_POLLIN, 0};
    unsigned extra = cancel.fd >= 0 ? 1 : 0;
    curl_multi_poll(multi, &cancel, extra, kPollMilliseconds, nullptr);
  }
  curl_multi_remove_handle(multi, easy);
  return code;
}

HttpSender::HttpSender(Limits limits) : limits_(limits) { start_curl(); }
HttpSender::~HttpSender() = default;

std::unique_ptr<HttpSender::Connection> HttpSender::borrow() {
  std::lock_guard guard(mutex_);
  if (idle_.empty()) return std::make_unique<Connection>();
  auto connection = std::move(idle_.back());
  idle_.pop_back();
  return connection;
}

void HttpSender::give_back(std::unique_ptr<Connection> connection) {
  std::lock_guard guard(mutex_);
  idle_.push_back(std::move(connection));
}

HttpOutcome HttpSender::send(const HttpRequest& request, const BodySink& sink,
                             const std::function<bool()>& stop) {
  Running running{sink, {}, {}, false};
  auto connection = borrow();
  if (connection->easy == nullptr || connection->multi == nullptr) {
    running.outcome.failure = {Error{ErrorKind::kInternal, "libcurl does not start", {}, 0}, false,
                               false};
    return std::move(running.outcome);
  }
  HeaderList headers = connection->prepare(request, limits_, running);
  auto code = connection->perform(stop);
  std::string text =
      connection->text[0] != 0 ? std::string(connection->text.data()) : std::string();
  // The way to the server was open, TLS included, whatever became of the request.
  curl_off_t ready = 0;
  curl_easy_getinfo(connection->easy, CURLINFO_PRETRANSFER_TIME_T, &ready);
  running.heard = running.heard || ready > 0;
  give_back(std::move(connection));
  HttpOutcome& outcome = running.outcome;
  if (running.sink_error) {
    outcome.failure = {std::move(*running.sink_error), true, false};
  } else if (!code) {
    outcome.failure = {Error{ErrorKind::kInterrupted, "interrupted", {}, 0}, running.heard, false};
  } else if (*code != CURLE_OK && !(*code == CURLE_WRITE_ERROR && outcome.answer.status > 299)) {
    if (text.empty()) text = curl_easy_strerror(*code);
    outcome.failure = {Error{kind_of(*code), std::move(text), {}, 0}, running.heard,
                       is_temporary(*code)};
  }
  return std::move(outcome);
}

std::string HttpAnswer::header(const std::string& name) const {
  auto at = headers.find(name);
  return at == headers.end() ? std::string() : at->second;
}

Result<WebUrl> parse_url(const std::string& text) {
  auto refuse = [&](std::string_view why) {
    return fail(ErrorKind::kInvalid, "URL \"{}\": {}", text, why);
  };
  constexpr std::size_t kLongest = 8192;
  if (text.size() > kLongest || !is_printable(text) || text.find(' ') != text.npos) {
    return refuse("too long, or with characters that cannot be in one");
  }
  std::unique_ptr<CURLU, FreeUrl> url(curl_url());
  if (CURLUcode code = curl_url_set(url.get(), CURLUPART_URL, text.c_str(), 0)) {
    return refuse(curl_url_strerror(code));
  }
  auto part = [&](CURLUPart which, unsigned flags) {
    char* value = nullptr;
    if (curl_url_get(url.get(), which, &value, flags) != CURLUE_OK) return std::string();
    CurlText owned(value);
    return std::string(value);
  };
  WebUrl out;
  out.scheme = part(CURLUPART_SCHEME, 0);
  out.host = to_lower(part(CURLUPART_HOST, 0));
  out.port = part(CURLUPART_PORT, CURLU_DEFAULT_PORT);
  out.user = part(CURLUPART_USER, CURLU_URLDECODE);
  out.password = part(CURLUPART_PASSWORD, CURLU_URLDECODE);
  out.path = part(CURLUPART_PATH, CURLU_URLDECODE);
  for (CURLUPart dropped : {CURLUPART_USER, CURLUPART_PASSWORD, CURLUPART_FRAGMENT}) {
    curl_url_set(url.get(), dropped, nullptr, 0);
  }
  out.clean = part(CURLUPART_URL, 0);
  if (out.scheme != "http" && out.scheme != "https") return refuse("neither http nor https");
  if (out.host.empty() || out.clean.empty()) return refuse("no host");
  return out;
}

Result<std::string> resolve_location(const std::string& base, const std::string& location) {
  std::unique_ptr<CURLU, FreeUrl> url(curl_url());
  bool good = curl_url_set(url.get(), CURLUPART_URL, base.c_str(), 0) == CURLUE_OK &&
              curl_url_set(url.get(), CURLUPART_URL, location.c_str(), 0) == CURLUE_OK;
  char* value = nullptr;
  good = good && curl_url_get(url.get(), CURLUPART_URL, &value, 0) == CURLUE_OK;
  if (!good) return fail(ErrorKind::kCorrupt, "redirected to \"{}\", which is no URL", location);
  CurlText owned(value);
  return std::string(value);
}

}  // namespace cocoon::image
