// SPDX-License-Identifier: Apache-2.0
#include "image/catalog/reference.h"

#include <algorithm>

#include "base/text.h"

namespace cocoon::image {
namespace {

constexpr std::string_view kDigestPrefix = "sha256:";

bool is_lower_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

bool is_alnum(char c) { return is_lower_or_digit(c) || (c >= 'A' && c <= 'Z'); }

bool all_of(std::string_view text, bool (*rule)(char)) {
  return std::all_of(text.begin(), text.end(), rule);
}

bool is_tag(std::string_view text) {
  return !text.empty() && text.size() <= 128 &&
         all_of(text, [](char c) { return is_alnum(c) || c == '_' || c == '.' || c == '-'; });
}

bool is_repository(std::string_view text) {
  return text.size() >= 2 && text.size() <= 255 && all_of(text, [](char c) {
           return is_lower_or_digit(c) || c == '_' || c == '.' || c == '/' || c == '-';
         });
}

// host or host:port; brackets for IPv6.
bool is_registry(std::string_view text) {
  auto colon = text.rfind(':');
  std::string_view host = text.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return false;
  }
  if (host.empty() || !all_of(host, [](char c) {
        return is_alnum(c) || c == '.' || c == '-' || c == '_' || c == ':';
      })) {
    return false;
  }
  if (colon == std::string_view::npos) return true;
  auto port = parse_decimal(text.substr(colon + 1));
  return port && *port > 0 && *port <= 65535;
}

std::optional<Reference> parse_repository(std::string_view base) {
  Reference out;
  auto slash = base.find('/');
  std::string_view first = base.substr(0, slash);
  out.registry = kDockerHub;
  if (slash != std::string_view::npos && first.find_first_of(".:") != std::string_view::npos) {
    out.registry = first == "docker.io" ? kDockerHub : first;
    base.remove_prefix(slash + 1);
  }
  if (!is_repository(base) || !is_registry(out.registry)) return std::nullopt;
  out.repository = base;
  if (out.registry == kDockerHub && base.find('/') == std::string_view::npos) {
    out.repository = "library/" + out.repository;
  }
  if (!is_repository(out.repository)) return std::nullopt;  // too long by now
  return out;
}

std::optional<Reference> parse_tagged(std::string_view text) {
  auto colon = text.rfind(':');
  bool tagged = colon != std::string_view::npos && text.find('/', colon) == std::string_view::npos;
  std::string_view tag = tagged ? text.substr(colon + 1) : "latest";
  if (!is_tag(tag)) return std::nullopt;
  auto out = parse_repository(tagged ? text.substr(0, colon) : text);
  if (out) out->tag = tag;
  return out;
}

bool is_hex(std::string_view text) {
  return all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

}  // namespace

std::string Reference::canonical() const {
  return digest.empty() ? fmt::format("{}/{}:{}", registry, repository, tag)
                        : fmt::format("{}/{}@{}", registry, repository, digest);
}

std::string Reference::name() const {
  Reference shown = *this;
  if (registry == kDockerHub) shown.registry = "docker.io";
  return shown.canonical();
}

bool is_url(std::string_view reference) {
  return reference.starts_with("http://") || reference.starts_with("https://");
}

std::optional<Reference> parse_reference(std::string_view text) {
  auto at = text.find('@');
  if (at == std::string_view::npos) return parse_tagged(text);
  std::string_view digest = text.substr(at + 1);
  if (digest.substr(0, kDigestPrefix.size()) != kDigestPrefix ||
      !is_sha256_hex(digest.substr(kDigestPrefix.size()))) {
    return std::nullopt;
  }
  auto out = parse_tagged(text.substr(0, at));
  if (!out) return std::nullopt;
  out->tag.clear();
  out->digest = digest;
  return out;
}

std::string canonical_name(std::string_view name) {
  auto reference = parse_reference(name);
  return reference ? reference->canonical() : std::string(name);
}

Result<void> check_image_name(std::string_view name) {
  auto refuse = [&](std::string_view why) {
    return fail(ErrorKind::kInvalid, "invalid image name \"{}\": {}", name, why);
  };
  if (name.empty()) return refuse("it is empty");
  if (name.size() > 512) return refuse("longer than 512 characters");
  bool printable = all_of(name, [](char c) {
    return is_alnum(c) || std::string_view("._-/:@+").find(c) != std::string_view::npos;
  });
  if (!printable) return refuse("only letters, digits and . _ - / : + may stand in it");
  if (!is_alnum(name[0])) return refuse("it must start with a letter or digit");
  if (name.find("://") != std::string_view::npos) return refuse("it is a URL");
  if (name.find('@') != std::string_view::npos || name.substr(0, 7) == kDigestPrefix) {
    return refuse("a digest cannot be given to content");
  }
  if (name.size() >= 12 && is_hex(to_lower(name))) return refuse("it looks like a digest");
  return {};
}

std::optional<std::string> digest_digits(std::string_view text) {
  if (text.substr(0, kDigestPrefix.size()) == kDigestPrefix) {
    text.remove_prefix(kDigestPrefix.size());
  }
  std::string digits = to_lower(text);
  if (digits.size() < 12 || digits.size() > 64 || !is_hex(digits)) return std::nullopt;
  return digits;
}

}  // namespace cocoon::image
