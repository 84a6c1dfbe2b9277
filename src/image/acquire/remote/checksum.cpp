// SPDX-License-Identifier: Apache-2.0
#include "image/acquire/remote/checksum.h"

#include "base/text.h"
#include "image/acquire/remote/headers.h"
#include "image/catalog/reference.h"

namespace cocoon::image {
namespace {

constexpr std::string_view kPrefix = "sha256:";
constexpr std::size_t kMostListBytes = 4 << 20;

}  // namespace

std::string checksum_digits(const std::string& wanted) {
  if (!wanted.starts_with(kPrefix)) return "";
  std::string digits = to_lower(wanted.substr(kPrefix.size()));
  return is_sha256_hex(digits) ? digits : "";
}

Result<void> check_checksum(const std::string& wanted) {
  if (is_url(wanted) || !checksum_digits(wanted).empty()) return {};
  return fail(ErrorKind::kInvalid,
              "invalid checksum \"{}\": wanted sha256:HEX or the URL of a list of checksums",
              wanted);
}

Result<std::string> resolve_checksum(WebClient& web, const std::string& wanted,
                                     const std::string& url) {
  COCOON_TRY(check_checksum(wanted));
  if (!is_url(wanted)) return checksum_digits(wanted);
  WebUrl file = COCOON_TRY(parse_url(url));
  WebUrl list = COCOON_TRY(parse_url(wanted));
  std::string name = file.path.substr(file.path.rfind('/') + 1);
  HttpRequest request;
  request.url = list.clean;
  request.authorization = basic_authorization(list);
  std::string text;
  Attempt attempt = web.get_text(request, true, kMostListBytes, text);
  if (attempt.error) return pass(std::move(*attempt.error), "checksums " + list.clean);
  auto digest = COCOON_TRY(find_checksum(text, name), "checksums {}", list.clean);
  if (!digest) return fail(ErrorKind::kNotFound, "checksums {}: no \"{}\" in it", list.clean, name);
  return *digest;
}

}  // namespace cocoon::image
