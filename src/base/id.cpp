// SPDX-License-Identifier: Apache-2.0
#include "base/id.h"

#include <sys/random.h>

#include <algorithm>
#include <cerrno>

#include "base/text.h"

namespace cocoon {
namespace {

Result<std::string> random_bytes(std::size_t count) {
  std::string bytes(count, '\0');
  std::size_t done = 0;
  while (done < count) {
    ssize_t got = getrandom(bytes.data() + done, count - done, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno("getrandom");
    done += static_cast<std::size_t>(got);
  }
  return bytes;
}

}  // namespace

Result<std::string> generate_id() {
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  std::string id = COCOON_TRY(random_bytes(kIdLength), "generate an ID");
  // 5 of each byte's 8 bits: uniform over the 32 letters.
  for (char& c : id) c = kAlphabet[static_cast<unsigned char>(c) & 31U];
  return id;
}

bool is_id(std::string_view text) {
  return text.size() == kIdLength && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'A' && c <= 'Z') || (c >= '2' && c <= '7');
         });
}

Result<std::string> random_hex(std::size_t bytes) {
  return to_hex(COCOON_TRY(random_bytes(bytes), "make a random number"));
}

}  // namespace cocoon
