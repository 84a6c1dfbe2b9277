// SPDX-License-Identifier: Apache-2.0
#include "image/acquire/remote/web_client.h"

#include <poll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <random>

#include <curl/curl.h>

#include "base/base64.h"
#include "base/text.h"
#include "image/acquire/remote/headers.h"
#include "sys/cancel.h"
#include "sys/files.h"

namespace cocoon::image {
namespace {

namespace fs = std::filesystem;

constexpr int kMostRedirects = 10;
constexpr std::size_t kMostCertificates = 16 << 20;
constexpr std::array<const char*, 2> kCertificateDirs{"/etc/containers/certs.d",
                                                      "/etc/docker/certs.d"};

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

Attempt failed(Error error, bool connected = false) {
  Attempt out;
  out.error = std::move(error);
  out.connected = connected;
  return out;
}

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

Result<void> append_file(const fs::path& file, std::string& pem) {
  pem += COCOON_TRY(sys::read_file(file, kMostCertificates), "read certificates");
  pem += '\n';
  return {};
}

// The certificates that libcurl would take by itself.
Result<void> append_default(std::string& pem) {
  const char* file = curl_version_info(CURLVERSION_NOW)->cainfo;
  if (file == nullptr || !sys::exists(file)) return {};
  return append_file(file, pem);
}

// What Docker and Podman are told of a registry: *.crt are its authorities, NAME.cert and NAME.key
// are ours.
Result<void> add_registry_dir(const fs::path& dir, TlsTrust& trust, std::string& pem) {
  for (const std::string& name : COCOON_TRY(sys::list_dir(dir))) {
    fs::path file = dir / name;
    if (file.extension() == ".crt") COCOON_TRY(append_file(file, pem));
    fs::path key = file;
    key.replace_extension(".key");
    if (file.extension() != ".cert" || !sys::exists(key)) continue;
    trust.client_cert = file;
    trust.client_key = key;
  }
  return {};
}

Attempt judge(HttpOutcome outcome) {
  Attempt out;
  out.answer = std::move(outcome.answer);
  if (outcome.failure) {
    out.error = std::move(outcome.failure->error);
    out.temporary = outcome.failure->temporary;
    out.connected = outcome.failure->connected;
    return out;
  }
  out.connected = true;
  int status = out.answer.status;
  if (status >= 200 && status <= 299) return out;
  out.error = status_error(out.answer);
  out.temporary = is_temporary_status(status);
  out.retry_after = parse_retry_after(out.answer.header("retry-after"));
  return out;
}

}  // namespace

std::string basic_authorization(const WebUrl& url) {
  if (url.user.empty()) return "";
  return "Basic " + encode_base64(url.user + ":" + url.password);
}

Error status_error(const HttpAnswer& answer) {
  std::string said = registry_error_text(answer.error_body);
  if (!said.empty()) said = ": " + said;
  switch (answer.status) {
    case 401:
      return {ErrorKind::kSystem, fmt::format("access denied (401){}", said), {}, EACCES};
    case 403:
      return {ErrorKind::kSystem, fmt::format("access denied (403){}", said), {}, EACCES};
    case 404:
      return {
          ErrorKind::kNotFound, fmt::format("the server does not have it (404){}", said), {}, 0};
    case 429:
      return {ErrorKind::kSystem, fmt::format("too many requests (429){}", said), {}, 0};
    default:
      return {ErrorKind::kSystem,
              fmt::format("the server answered with status {}{}", answer.status, said),
              {},
              0};
  }
}

bool is_temporary_status(int status) {
  constexpr std::array kTemporary{408, 425, 429, 499, 500, 502, 503, 504, 522};
  return std::find(kTemporary.begin(), kTemporary.end(), status) != kTemporary.end();
}

Result<void> Backoff::pause(const Attempt& attempt, const std::function<bool()>& stop) const {
  constexpr std::int64_t kFirst = 500;
  constexpr std::int64_t kLongest = 30'000;
  constexpr std::int64_t kLongestWish = 120'000;
  std::int64_t wait = std::min(kLongest, kFirst << std::min(failed_ - 1, 8));
  thread_local std::minstd_rand chance{std::random_device{}()};
  wait += std::uniform_int_distribution<std::int64_t>(0, wait / 4)(chance);
  if (attempt.retry_after)
    wait = std::max(wait, std::min(*attempt.retry_after * 1000, kLongestWish));
  Deadline end = deadline_in(Milliseconds(wait));
  while (time_left(end).count() > 0) {
    COCOON_TRY(sys::check_cancelled());
    if (stop && stop()) return fail(ErrorKind::kInterrupted, "interrupted");
    pollfd entry{sys::cancel_fd(), POLLIN, 0};
    poll(&entry, 1, static_cast<int>(std::min(time_left(end), Milliseconds(200)).count()));
  }
  return sys::check_cancelled();
}

WebClient::WebClient(const model::Config& config)
    : sender_(
          {Milliseconds(30'000), Milliseconds(std::int64_t{1000} * config.pull_timeout_seconds)}),
      ca_file_(config.ca_file) {
  // As the program curl does; SSL_CERT_FILE is what other programs know.
  for (const char* name : {"CURL_CA_BUNDLE", "SSL_CERT_FILE"}) {
    if (ca_file_.empty()) ca_file_ = environment(name);
  }
}

Result<TlsTrust> WebClient::trust_for(const WebUrl& url, bool verify) {
  TlsTrust trust;
  trust.verify = verify;
  if (url.scheme != "https") return trust;
  std::string host = fmt::format("{}:{}", url.host, url.port);
  std::lock_guard guard(mutex_);
  auto known = trusts_.find(host);
  if (known == trusts_.end()) {
    TlsTrust found;
    std::string pem;
    for (const char* dir : kCertificateDirs) {
      COCOON_TRY(add_registry_dir(fs::path(dir) / host, found, pem));
      if (url.port == "443") COCOON_TRY(add_registry_dir(fs::path(dir) / url.host, found, pem));
    }
    if (!ca_file_.empty()) {
      COCOON_TRY(append_file(ca_file_, pem));
    } else if (!pem.empty()) {
      COCOON_TRY(append_default(pem));
    }
    found.ca_pem = std::move(pem);
    known = trusts_.emplace(host, std::move(found)).first;
  }
  trust = known->second;
  trust.verify = verify;
  return trust;
}

Attempt WebClient::get(HttpRequest request, bool verify, const BodySink& sink,
                       const std::function<bool()>& stop) {
  auto first = parse_url(request.url);
  if (!first) return failed(std::move(first).error());
  WebUrl now = *first;
  for (int redirects = 0;; ++redirects) {
    auto trust = trust_for(now, verify);
    if (!trust) return failed(std::move(trust).error());
    request.trust = std::move(*trust);
    HttpOutcome outcome = sender_.send(request, sink, stop);
    if (outcome.failure || !is_redirect(outcome.answer.status)) return judge(std::move(outcome));
    std::string location = outcome.answer.header("location");
    auto target = location.empty() ? Result<std::string>(fail(ErrorKind::kCorrupt, "no Location"))
                                   : resolve_location(request.url, location);
    auto next = target ? parse_url(*target) : Result<WebUrl>(pass(target.error()));
    if (!next) {
      return failed(
          {ErrorKind::kCorrupt, "a redirect that leads nowhere: " + next.error().cause, {}, 0},
          true);
    }
    if (redirects >= kMostRedirects) {
      return failed({ErrorKind::kCorrupt, "redirected in a circle", {}, 0}, true);
    }
    if (now.scheme == "https" && next->scheme == "http") {
      return failed({ErrorKind::kCorrupt, "redirected from https to http", {}, 0}, true);
    }
    // Neither what we were given for the first host nor what a URL carries goes elsewhere.
    if (!next->same_origin(*first)) {
      request.authorization.clear();
      verify = true;
    }
    request.url = next->clean;
    now = std::move(*next);
  }
}

Attempt WebClient::get_text(const HttpRequest& request, bool verify, std::size_t limit,
                            std::string& text) {
  Backoff backoff;
  while (true) {
    text.clear();
    auto sink = [&](const HttpAnswer&, std::string_view bytes) -> Result<void> {
      if (bytes.size() > limit - text.size()) {
        return fail(ErrorKind::kCorrupt, "the answer has more than {} bytes", limit);
      }
      text += bytes;
      return {};
    };
    Attempt attempt = get(request, verify, sink);
    // A host that cannot be reached at all is more likely mistyped than gone for a moment.
    if (!attempt.error || !attempt.temporary || !attempt.connected || !backoff.another(attempt)) {
      return attempt;
    }
    if (auto waited = backoff.pause(attempt); !waited) return failed(std::move(waited).error());
  }
}

}  // namespace cocoon::image
