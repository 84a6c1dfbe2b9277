// SPDX-License-Identifier: Apache-2.0
#include "image/acquire/remote/registry.h"

#include <algorithm>
#include <cerrno>

#include "base/base64.h"
#include "base/text.h"
#include "image/acquire/digest.h"
#include "image/acquire/remote/headers.h"

namespace cocoon::image {
namespace {

constexpr std::size_t kMostTokenBytes = 1 << 20;
constexpr int kMostAuthorizations = 2;  // the second for a token that has run out
constexpr std::string_view kHubAddress = "registry-1.docker.io";
constexpr std::string_view kAccept =
    "Accept: application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, "
    "application/vnd.docker.distribution.manifest.v2+json";

std::string host_of(std::string_view registry) {
  if (registry.starts_with('[')) return std::string(registry.substr(0, registry.find(']') + 1));
  return std::string(registry.substr(0, registry.rfind(':')));
}

// Registries on this very host are taken as Docker takes them.
bool is_local(std::string_view registry) {
  std::string host = host_of(registry);
  return host == "localhost" || host == "[::1]" || host.starts_with("127.");
}

bool names_hub(std::string_view host) { return host == kDockerHub || host == "docker.io"; }

std::vector<std::string> words(std::string_view list) {
  std::vector<std::string> out;
  for (std::string_view part : split(list, ',')) {
    if (!trim(part).empty()) out.emplace_back(trim(part));
  }
  return out;
}

// "host", "host:port", or with a leading "*." any host below.
bool is_listed(const std::vector<std::string>& list, std::string_view registry) {
  std::string host = host_of(registry);
  return std::any_of(list.begin(), list.end(), [&](const std::string& entry) {
    bool below = entry.starts_with("*.") && host.ends_with(entry.substr(1));
    return below || entry == registry || entry == host;
  });
}

void add_endpoints(std::string_view host, std::string_view prefix, std::string_view repository,
                   std::string_view scheme, bool insecure, std::vector<Endpoint>& out) {
  std::string path(repository);
  if (!prefix.empty()) path = fmt::format("{}/{}", prefix, repository);
  auto add = [&](std::string_view how, bool verify) {
    out.push_back({fmt::format("{}://{}/v2/{}", how, host, path), std::string(host), path, verify});
  };
  if (scheme != "http") add("https", !insecure);
  if (scheme == "http" || (scheme.empty() && insecure)) add("http", true);
}

std::string url_encoded(std::string_view text) {
  std::string out;
  for (char c : text) {
    bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                 c == '-' || c == '.' || c == '_' || c == '~';
    out += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

bool is_header_safe(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

std::string basic(const Credentials& account) {
  return "Basic " + encode_base64(account.user + ":" + account.password);
}

// The scopes of a token: to pull, and what the server asks for besides.
std::string scopes_of(const Endpoint& endpoint,
                      const std::map<std::string, std::string>& challenge) {
  std::string ours = fmt::format("repository:{}:pull", endpoint.repository);
  std::string out = "&scope=" + url_encoded(ours);
  auto asked = challenge.find("scope");
  if (asked == challenge.end()) return out;
  for (std::string_view scope : split(asked->second, ' ')) {
    if (!scope.empty() && scope != ours) out += "&scope=" + url_encoded(scope);
  }
  return out;
}

}  // namespace

Result<std::vector<Endpoint>> find_endpoints(const model::Config& config,
                                             const Reference& reference) {
  std::vector<Endpoint> out;
  auto insecure = words(config.insecure_registries);
  for (const std::string& entry : words(config.registry_mirrors)) {
    auto equals = entry.find('=');
    std::string of = entry.substr(0, equals);
    bool malformed = equals == entry.npos || of.empty() || equals + 1 == entry.size();
    if (malformed) {
      return fail(ErrorKind::kInvalid, "registry_mirrors: \"{}\": wanted REGISTRY=MIRROR", entry);
    }
    bool is_for_it = of == reference.registry || (names_hub(of) && names_hub(reference.registry));
    if (!is_for_it) continue;
    std::string mirror = entry.substr(equals + 1);
    std::string scheme;
    if (is_url(mirror)) {
      scheme = mirror.substr(0, mirror.find(':'));
      mirror = mirror.substr(scheme.size() + 3);
    }
    while (!mirror.empty() && mirror.back() == '/') mirror.pop_back();
    auto slash = mirror.find('/');
    std::string host = mirror.substr(0, slash);
    std::string prefix = slash == mirror.npos ? "" : mirror.substr(slash + 1);
    if (!parse_url(fmt::format("https://{}/", host))) {
      return fail(ErrorKind::kInvalid, "registry_mirrors: \"{}\" is no host", host);
    }
    add_endpoints(host, prefix, reference.repository, scheme,
                  is_local(host) || is_listed(insecure, host), out);
  }
  std::string_view host = reference.registry;
  bool open = is_local(host) || is_listed(insecure, host);
  add_endpoints(names_hub(host) ? kHubAddress : host, "", reference.repository, "", open, out);
  if (names_hub(host)) out.back().host = kDockerHub;
  return out;
}

Registry::Registry(WebClient& web, std::vector<Endpoint> endpoints) : web_(web) {
  for (Endpoint& endpoint : endpoints) {
    sessions_.push_back(std::make_unique<Session>());
    sessions_.back()->endpoint = std::move(endpoint);
  }
}

// The endpoint that answered first, then those after it.
std::vector<std::size_t> Registry::order() const {
  std::lock_guard guard(mutex_);
  std::vector<std::size_t> out;
  for (std::size_t i = current_; i < sessions_.size(); ++i) out.push_back(i);
  return out;
}

std::string Registry::source() const {
  std::lock_guard guard(mutex_);
  return sessions_[current_]->endpoint.host;
}

Result<const Credentials*> Registry::account(Session& session) {
  if (session.asked) return &session.account;
  std::string_view host = session.endpoint.host;
  session.account = COCOON_TRY(load_credentials(host, session.endpoint.repository));
  session.asked = true;
  return &session.account;
}

Result<std::string> Registry::fetch_token(const Session& session,
                                          const std::map<std::string, std::string>& challenge) {
  auto realm = challenge.find("realm");
  if (realm == challenge.end()) return fail(ErrorKind::kCorrupt, "a challenge without a realm");
  WebUrl url = COCOON_TRY(parse_url(realm->second), "realm");
  bool plain_registry = session.endpoint.base.starts_with("http://");
  if (url.scheme == "http" && !plain_registry) {
    return fail(ErrorKind::kCorrupt, "the token server {} is not reached by https", url.host);
  }
  const Credentials& account = session.account;
  std::string service;
  auto named = challenge.find("service");
  if (named != challenge.end()) service = "service=" + url_encoded(named->second);
  std::string query = service + scopes_of(session.endpoint, challenge);
  HttpRequest request;
  std::string text;
  std::optional<Attempt> attempt;
  if (!account.identity_token.empty()) {
    request.method = "POST";
    request.url = url.clean;
    request.body = fmt::format("grant_type=refresh_token&client_id=cocoon&refresh_token={}&{}",
                               url_encoded(account.identity_token), query);
    attempt = web_.get_text(request, session.endpoint.verify, kMostTokenBytes, text);
    if (attempt->answer.status == 404) attempt.reset();  // spec 02 §5.2
  }
  if (!attempt) {
    request = {};
    request.url = url.clean + (url.clean.find('?') == url.clean.npos ? "?" : "&") + query;
    if (!account.user.empty()) request.authorization = basic(account);
    attempt = web_.get_text(request, session.endpoint.verify, kMostTokenBytes, text);
  }
  if (attempt->error) {
    return pass(std::move(*attempt->error), fmt::format("ask {} for a token", url.host));
  }
  return parse_token(text);
}

// The Authorization header that the answer asks for.
Result<std::string> Registry::authorize(Session& session, const HttpAnswer& answer) {
  const Credentials* credentials = COCOON_TRY(account(session));
  auto range = answer.headers.equal_range("www-authenticate");
  for (auto header = range.first; header != range.second; ++header) {
    for (const Challenge& challenge : parse_challenges(header->second)) {
      if (challenge.scheme == "basic" && !credentials->user.empty()) return basic(*credentials);
      if (challenge.scheme != "bearer") continue;
      if (!credentials->registry_token.empty() && is_header_safe(credentials->registry_token)) {
        return "Bearer " + credentials->registry_token;
      }
      return "Bearer " + COCOON_TRY(fetch_token(session, challenge.parameters));
    }
  }
  Error error = status_error(answer);
  error.cause += credentials->empty() ? "; there is no account for it (see `docker login`)" : "";
  return pass(std::move(error));
}

Attempt Registry::send(Session& session, HttpRequest request, const BodySink& sink,
                       const std::function<bool()>& stop) {
  for (int authorizations = 0;; ++authorizations) {
    {
      std::lock_guard guard(mutex_);
      request.authorization = session.authorization;
    }
    Attempt attempt = web_.get(request, session.endpoint.verify, sink, stop);
    bool refused = attempt.answer.status == 401 && attempt.error;
    if (!refused || authorizations >= kMostAuthorizations) return attempt;
    std::lock_guard guard(mutex_);
    // Another thread may have been here before.
    if (session.authorization != request.authorization) continue;
    auto authorization = authorize(session, attempt.answer);
    if (!authorization) {
      attempt.error = std::move(authorization).error();
      return attempt;
    }
    if (*authorization == session.authorization) return attempt;  // the very same was refused
    session.authorization = std::move(*authorization);
  }
}

Attempt Registry::send_text(Session& session, const HttpRequest& request, std::string& text) {
  Backoff backoff;
  while (true) {
    text.clear();
    auto sink = [&](const HttpAnswer&, std::string_view bytes) -> Result<void> {
      if (bytes.size() > kMaxDocument - text.size()) {
        return fail(ErrorKind::kCorrupt, "it has more than {} bytes", kMaxDocument);
      }
      text += bytes;
      return {};
    };
    Attempt attempt = send(session, request, sink, {});
    bool again =
        attempt.error && attempt.temporary && attempt.connected && backoff.another(attempt);
    if (!again) return attempt;
    if (auto waited = backoff.pause(attempt); !waited) {
      attempt.error = std::move(waited).error();
      return attempt;
    }
  }
}

Result<Registry::Document> Registry::manifest(const std::string& reference) {
  std::optional<Error> error;
  std::string settled;  // a place whose answer counts, whatever the way to it
  for (std::size_t index : order()) {
    Session& session = *sessions_[index];
    std::string place = session.endpoint.host + "/" + session.endpoint.repository;
    if (place == settled) continue;
    HttpRequest request;
    request.url = fmt::format("{}/manifests/{}", session.endpoint.base, reference);
    request.headers = {std::string(kAccept)};
    Document document;
    Attempt attempt = send_text(session, request, document.text);
    if (attempt.error) {
      if (attempt.error->kind == ErrorKind::kInterrupted) return pass(std::move(*attempt.error));
      // The answer of a server says more than that another way to it is closed.
      if (!error || attempt.connected) error = std::move(*attempt.error);
      // Plain http is for a server that speaks no TLS, not for one that refused us.
      if (attempt.connected) settled = std::move(place);
      continue;
    }
    document.digest = sha256_hex(document.text);
    if (reference.starts_with("sha256:") && reference != "sha256:" + document.digest) {
      return fail(ErrorKind::kCorrupt, "the manifest is not that of {}", reference);
    }
    std::lock_guard guard(mutex_);
    current_ = index;
    return document;
  }
  return pass(std::move(*error));
}

Attempt Registry::blob(const std::string& digest, std::int64_t offset, const BodySink& sink,
                       const std::function<bool()>& stop) {
  Attempt last;
  for (std::size_t index : order()) {
    Session& session = *sessions_[index];
    HttpRequest request;
    request.url = fmt::format("{}/blobs/sha256:{}", session.endpoint.base, digest);
    if (offset > 0) request.headers.push_back(fmt::format("Range: bytes={}-", offset));
    bool began = false;
    std::int64_t skip = 0;
    auto body = [&](const HttpAnswer& answer, std::string_view bytes) -> Result<void> {
      if (!began) {
        auto range = parse_content_range(answer.header("content-range"));
        bool partial = answer.status == 206;
        if (partial && (!range || range->first != offset)) {
          return fail(ErrorKind::kCorrupt, "the server sent another range than asked for");
        }
        skip = partial ? 0 : offset;
        began = true;
      }
      auto dropped = std::min<std::int64_t>(skip, static_cast<std::int64_t>(bytes.size()));
      skip -= dropped;
      bytes.remove_prefix(static_cast<std::size_t>(dropped));
      return bytes.empty() ? Result<void>() : sink(answer, bytes);
    };
    last = send(session, request, body, stop);
    // Another endpoint may have what a mirror lacks, as long as this one has given nothing.
    if (!last.error || began || last.error->kind == ErrorKind::kInterrupted) return last;
  }
  return last;
}

}  // namespace cocoon::image
