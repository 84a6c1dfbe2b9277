// SPDX-License-Identifier: Apache-2.0
// Who we are to a registry: the files that `docker login` and `podman login` write, and the
// credential helpers that they name (spec 02 §5.2).
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "sys/files.h"

namespace cocoon::image {

struct Credentials {
  std::string user;
  std::string password;
  std::string identity_token;  // to be traded for access tokens
  std::string registry_token;  // an access token
  bool empty() const {
    return user.empty() && password.empty() && identity_token.empty() && registry_token.empty();
  }
};

// What one file says about a registry; `helper` and `key` ask a credential helper.
struct StoredLogin {
  Credentials credentials;
  std::string helper;  // "secretservice": docker-credential-secretservice
  std::string key;
};

// The keys by which an account for a repository may be stored, the closest first: with the
// repository's path, its folders, then the registry alone; Docker Hub has its old address.
std::vector<std::string> login_keys(std::string_view registry, std::string_view repository);

// Looks these keys up in a config.json or auth.json. nullopt when there is nothing; kCorrupt for a
// file that is none. Pure.
Result<std::optional<StoredLogin>> find_login(std::string_view text,
                                              const std::vector<std::string>& keys);

// The answer of a credential helper's `get`; kCorrupt. Pure.
Result<Credentials> parse_helper_answer(std::string_view text);

// The account for a repository, from the first of these files that has one: $REGISTRY_AUTH_FILE,
// Docker's config.json, Podman's auth.json. Empty: anonymous.
Result<Credentials> load_credentials(std::string_view registry, std::string_view repository);

}  // namespace cocoon::image
