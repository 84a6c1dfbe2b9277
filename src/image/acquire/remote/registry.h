// SPDX-License-Identifier: Apache-2.0
// The pull half of the OCI distribution protocol (distribution-spec v1.1) for one repository, with
// its mirrors, and with the two ways of proving who we are.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/error.h"
#include "image/acquire/documents.h"
#include "image/acquire/remote/credentials.h"
#include "image/acquire/remote/web_client.h"
#include "image/catalog/reference.h"
#include "model/config.h"

namespace cocoon::image {

// A place where the repository can be had.
struct Endpoint {
  std::string base;        // "https://host:port/v2/prefix/repository", without a slash at its end
  std::string host;        // "host:port": whose account it takes
  std::string repository;  // as it is called there
  bool verify = true;      // its certificate
};

// Where a repository is looked for, in this order: its mirrors, then the registry itself; insecure
// ones, and those on this very host, by https without a check of the certificate and then by http
// as well. kInvalid for a mirror that is malformed. Pure.
Result<std::vector<Endpoint>> find_endpoints(const model::Config& config,
                                             const Reference& reference);

// Thread-safe.
class Registry {
 public:
  Registry(WebClient& web, std::vector<Endpoint> endpoints);

  struct Document {
    std::string text;
    std::string digest;  // hex digits, computed
  };
  // The manifest of a tag or a digest ("sha256:…"); from the first endpoint that has it, where
  // later calls begin. A digest is compared. kNotFound, kCorrupt, kSystem.
  Result<Document> manifest(const std::string& reference);

  // One try to get a blob from `offset` on. What the sink gets begins there, whatever the server
  // makes of a range.
  Attempt blob(const std::string& digest, std::int64_t offset, const BodySink& sink,
               const std::function<bool()>& stop);

  // Where the last manifest came from, for messages.
  std::string source() const;

 private:
  struct Session {
    Endpoint endpoint;
    std::string authorization;
    bool asked = false;  // for an account
    Credentials account;
  };

  Attempt send(Session& session, HttpRequest request, const BodySink& sink,
               const std::function<bool()>& stop);
  Attempt send_text(Session& session, const HttpRequest& request, std::string& text);
  Result<std::string> authorize(Session& session, const HttpAnswer& answer);
  Result<std::string> fetch_token(const Session& session,
                                  const std::map<std::string, std::string>& challenge);
  Result<const Credentials*> account(Session& session);
  std::vector<std::size_t> order() const;

  WebClient& web_;
  mutable std::mutex mutex_;
  std::vector<std::unique_ptr<Session>> sessions_;
  std::size_t current_ = 0;
};

}  // namespace cocoon::image
