// SPDX-License-Identifier: Apache-2.0
#include "cidata/ssh_keys.h"

#include <algorithm>
#include <array>

#include "base/text.h"

namespace cocoon::cidata {
namespace {

bool begins_with(std::string_view text, std::string_view start) {
  return text.substr(0, start.size()) == start;
}

bool is_key_type(std::string_view word) {
  constexpr std::array<std::string_view, 3> kStarts{"ssh-", "ecdsa-", "sk-"};
  return std::any_of(kStarts.begin(), kStarts.end(),
                     [&](std::string_view start) { return begins_with(word, start); });
}

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) {
    auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && c != '\t') || byte == 0x7f;
  });
}

}  // namespace

bool is_public_key(std::string_view line) {
  if (has_control(line)) return false;
  std::string_view previous;
  for (std::string_view word : split(line, ' ')) {
    word = trim(word);
    if (word.empty()) continue;
    if (is_key_type(previous) && begins_with(word, "AAAA")) return true;
    previous = word;
  }
  return false;
}

Result<std::vector<std::string>> parse_ssh_keys(std::string_view text) {
  std::vector<std::string> keys;
  int number = 0;
  for (std::string_view line : split(text, '\n')) {
    ++number;
    line = trim(line);
    if (line.empty() || line[0] == '#') continue;
    if (line.find("PRIVATE KEY") != std::string_view::npos) {
      return fail(ErrorKind::kInvalid,
                  "line {}: this is a private key; give the public one (FILE.pub)", number);
    }
    if (!is_public_key(line)) {
      return fail(ErrorKind::kInvalid, "line {}: not an SSH public key", number);
    }
    keys.emplace_back(line);
  }
  if (keys.empty()) return fail(ErrorKind::kInvalid, "holds no SSH public key");
  return keys;
}

}  // namespace cocoon::cidata
