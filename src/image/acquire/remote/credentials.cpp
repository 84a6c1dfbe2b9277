// SPDX-License-Identifier: Apache-2.0
#include "image/acquire/remote/credentials.h"

#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>

#include <nlohmann/json.hpp>

#include "base/base64.h"
#include "base/text.h"
#include "image/catalog/reference.h"
#include "sys/cancel.h"
#include "sys/spawn.h"

namespace cocoon::image {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

constexpr std::size_t kMostBytes = 4 << 20;
constexpr Milliseconds kHelperLimit(60'000);
constexpr std::string_view kHubKey = "https://index.docker.io/v1/";

std::string text_of(const json& object, const char* key) {
  auto at = object.find(key);
  return at != object.end() && at->is_string() ? at->get<std::string>() : std::string();
}

// "https://host/v1/" and "host" are one registry.
std::string bare_host(std::string_view key) {
  for (std::string_view scheme : {"https://", "http://"}) {
    if (key.starts_with(scheme)) key.remove_prefix(scheme.size());
  }
  return std::string(key.substr(0, key.find('/')));
}

Result<Credentials> read_entry(const json& entry) {
  Credentials out;
  if (!entry.is_object()) return fail(ErrorKind::kCorrupt, "an account that is no object");
  out.user = text_of(entry, "username");
  out.password = text_of(entry, "password");
  out.identity_token = text_of(entry, "identitytoken");
  out.registry_token = text_of(entry, "registrytoken");
  std::string auth = text_of(entry, "auth");
  if (auth.empty()) return out;
  auto plain = decode_base64(auth);
  auto colon = plain ? plain->find(':') : std::string::npos;
  if (colon == std::string::npos) return fail(ErrorKind::kCorrupt, "an \"auth\" that is malformed");
  out.user = plain->substr(0, colon);
  out.password = plain->substr(colon + 1);
  while (!out.password.empty() && out.password.back() == '\0') out.password.pop_back();
  return out;
}

const json* find_entry(const json& auths, const std::string& key) {
  auto exact = auths.find(key);
  if (exact != auths.end()) return &*exact;
  if (key.find('/') != key.npos) return nullptr;
  for (const auto& [name, entry] : auths.items()) {
    bool is_host = name.find('/') == name.npos || name.find("://") != name.npos;
    if (is_host && bare_host(name) == key) return &entry;
  }
  return nullptr;
}

bool is_helper_name(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  });
}

std::vector<std::string> whole_environment() {
  std::vector<std::string> out;
  for (char** entry = environ; *entry != nullptr; ++entry) out.emplace_back(*entry);
  return out;
}

Result<Credentials> ask_helper(const StoredLogin& login) {
  sys::UniqueFd question(memfd_create("key", MFD_CLOEXEC));
  if (!question.valid()) return fail_errno("make a file in memory");
  COCOON_TRY(sys::write_all(question.get(), login.key));
  if (lseek(question.get(), 0, SEEK_SET) != 0) return fail_errno("seek");
  sys::SpawnSpec spec;
  spec.program = "docker-credential-" + login.helper;
  spec.args = {"get"};
  spec.env = whole_environment();  // helpers reach session services by it
  spec.fds = {{question.get(), 0}};
  auto text = sys::run_program(std::move(spec), kHelperLimit);
  if (text) return parse_helper_answer(*text);
  const Error& error = text.error();
  // The protocol's one answer that means nothing (docker-credential-helpers, credentials/error.go).
  if (error.cause.find("credentials not found") != std::string::npos) return Credentials{};
  return pass(std::move(text).error(), fmt::format("ask credential helper {}", login.helper));
}

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

std::vector<fs::path> login_files() {
  std::vector<fs::path> files;
  auto add = [&](const std::string& dir, const char* rest) {
    if (!dir.empty()) files.push_back(fs::path(dir) / rest);
  };
  std::string home = environment("HOME");
  std::string named = environment("REGISTRY_AUTH_FILE");
  std::string docker = environment("DOCKER_CONFIG");
  if (!named.empty()) files.emplace_back(named);
  if (docker.empty()) {
    add(home, ".docker/config.json");
  } else {
    add(docker, "config.json");
  }
  add(environment("XDG_RUNTIME_DIR"), "containers/auth.json");
  add(fmt::format("/run/containers/{}", geteuid()), "auth.json");
  add(home, ".config/containers/auth.json");
  return files;
}

}  // namespace

std::vector<std::string> login_keys(std::string_view registry, std::string_view repository) {
  std::vector<std::string> keys;
  std::vector<std::string> hosts{std::string(registry)};
  if (registry == kDockerHub) hosts.emplace_back("docker.io");
  for (const std::string& host : hosts) {
    std::string_view path = repository;
    while (!path.empty()) {
      keys.push_back(fmt::format("{}/{}", host, path));
      auto slash = path.rfind('/');
      path = slash == path.npos ? std::string_view() : path.substr(0, slash);
    }
  }
  if (registry == kDockerHub) keys.emplace_back(kHubKey);
  keys.insert(keys.end(), hosts.begin(), hosts.end());
  return keys;
}

Result<std::optional<StoredLogin>> find_login(std::string_view text,
                                              const std::vector<std::string>& keys) {
  json document = json::parse(text, nullptr, false);
  if (!document.is_object()) return fail(ErrorKind::kCorrupt, "it is not a JSON object");
  auto part = [&](const char* name) -> const json& {
    static const json kNone = json::object();
    auto at = document.find(name);
    return at != document.end() && at->is_object() ? *at : kNone;
  };
  const json& helpers = part("credHelpers");
  const json& auths = part("auths");
  std::string store = text_of(document, "credsStore");
  for (const std::string& key : keys) {
    StoredLogin login;
    login.key = key;
    login.helper = text_of(helpers, key.c_str());
    const json* entry = find_entry(auths, key);
    // A store knows whole registries; Docker asks it whether they are listed or not.
    bool whole = key == kHubKey || key.find('/') == key.npos;
    if (login.helper.empty() && !store.empty() && (whole || entry != nullptr)) login.helper = store;
    if (!login.helper.empty()) {
      if (!is_helper_name(login.helper)) {
        return fail(ErrorKind::kCorrupt, "credential helper \"{}\"", login.helper);
      }
      return std::optional<StoredLogin>(std::move(login));
    }
    if (entry == nullptr) continue;
    login.credentials = COCOON_TRY(read_entry(*entry), "account for {}", key);
    if (!login.credentials.empty()) return std::optional<StoredLogin>(std::move(login));
  }
  return std::optional<StoredLogin>();
}

Result<Credentials> parse_helper_answer(std::string_view text) {
  json document = json::parse(text, nullptr, false);
  if (!document.is_object()) return fail(ErrorKind::kCorrupt, "its answer is no JSON object");
  Credentials out;
  std::string user = text_of(document, "Username");
  std::string secret = text_of(document, "Secret");
  if (user == "<token>") {
    out.identity_token = secret;
  } else {
    out.user = user;
    out.password = secret;
  }
  return out;
}

Result<Credentials> load_credentials(std::string_view registry, std::string_view repository) {
  auto keys = login_keys(registry, repository);
  for (const fs::path& file : login_files()) {
    auto text = sys::read_file(file, kMostBytes);
    if (!text && (text.error().saved_errno == ENOENT || text.error().saved_errno == ENOTDIR)) {
      continue;
    }
    if (!text) return pass(std::move(text).error());
    auto login = COCOON_TRY(find_login(*text, keys), "read {}", file.native());
    if (!login) continue;
    Credentials found = login->credentials;
    if (!login->helper.empty()) found = COCOON_TRY(ask_helper(*login), "{}", file.native());
    if (!found.empty()) return found;
  }
  return Credentials{};
}

}  // namespace cocoon::image
