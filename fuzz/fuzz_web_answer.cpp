// SPDX-License-Identifier: Apache-2.0
// What registries and web servers say beside documents: headers, tokens, errors, lists of
// checksums, URLs to go on to; and the files of `docker login`.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "base/text.h"
#include "image/acquire/remote/credentials.h"
#include "image/acquire/remote/headers.h"
#include "image/acquire/remote/http_transfer.h"

namespace {

void require(bool holds) {
  if (!holds) abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace cocoon::image;
  std::string text(reinterpret_cast<const char*>(data), size);
  for (const Challenge& challenge : parse_challenges(text)) require(!challenge.scheme.empty());
  if (auto range = parse_content_range(text)) {
    require(range->first >= 0 && range->first <= range->last);
    require(range->total == -1 || range->last < range->total);
  }
  if (auto length = parse_content_length(text)) require(*length >= 0);
  if (auto seconds = parse_retry_after(text)) require(*seconds >= 0);
  if (auto token = parse_token(text)) require(token->find_first_of(" \r\n") == std::string::npos);
  registry_error_text(text);
  auto sum = find_checksum(text, "disk.img");
  if (sum && *sum) require(cocoon::is_sha256_hex(**sum));
  if (auto login = find_login(text, login_keys("localhost:5000", "team/app"))) {
    if (*login) require((*login)->helper.find('/') == std::string::npos);
  }
  (void)parse_helper_answer(text);
  if (auto target = resolve_location("https://example.org/v2/a", text)) {
    if (auto url = parse_url(*target)) {
      require(url->scheme == "http" || url->scheme == "https");
      require(!url->host.empty() && url->clean.find('#') == std::string::npos);
    }
  }
  return 0;
}
