// SPDX-License-Identifier: Apache-2.0
#include "agent_wire/base64.h"

#include <array>
#include <cstdint>

namespace cocoon::agent_wire {
namespace {

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::uint8_t kBad = 0xff;

constexpr std::array<std::uint8_t, 256> make_values() {
  std::array<std::uint8_t, 256> values{};
  for (auto& value : values) value = kBad;
  for (std::size_t i = 0; i < kAlphabet.size(); ++i)
    values[static_cast<unsigned char>(kAlphabet[i])] = static_cast<std::uint8_t>(i);
  return values;
}

constexpr std::array<std::uint8_t, 256> kValues = make_values();

std::uint32_t byte_at(std::string_view text, std::size_t at) {
  return static_cast<unsigned char>(text[at]);
}

std::uint32_t value_at(std::string_view text, std::size_t at) {
  return kValues[static_cast<unsigned char>(text[at])];
}

// The last group, of which one or two characters may be padding.
bool append_last(std::string& out, std::string_view group) {
  const std::uint32_t a = value_at(group, 0);
  const std::uint32_t b = value_at(group, 1);
  if (((a | b) & 0xc0) != 0) return false;
  out += static_cast<char>(a << 2 | b >> 4);
  if (group[2] == '=') return group[3] == '=' && (b & 0x0f) == 0;
  const std::uint32_t c = value_at(group, 2);
  if (c == kBad) return false;
  out += static_cast<char>(b << 4 | c >> 2);
  if (group[3] == '=') return (c & 0x03) == 0;
  const std::uint32_t d = value_at(group, 3);
  if (d == kBad) return false;
  out += static_cast<char>(c << 6 | d);
  return true;
}

}  // namespace

void append_base64(std::string& out, std::string_view bytes) {
  const std::size_t start = out.size();
  out.resize(start + (bytes.size() + 2) / 3 * 4, '=');
  // Bare pointers in the two loops: this is where an emulated guest spends its time.
  char* to = out.data() + start;
  const auto* in = reinterpret_cast<const unsigned char*>(bytes.data());
  const char* alphabet = kAlphabet.data();
  std::size_t at = 0;
  for (; at + 3 <= bytes.size(); at += 3, in += 3, to += 4) {
    const std::uint32_t group = static_cast<std::uint32_t>(in[0] << 16 | in[1] << 8 | in[2]);
    to[0] = alphabet[group >> 18];
    to[1] = alphabet[group >> 12 & 0x3f];
    to[2] = alphabet[group >> 6 & 0x3f];
    to[3] = alphabet[group & 0x3f];
  }
  if (at == bytes.size()) return;
  const bool two = bytes.size() - at == 2;
  const std::uint32_t group = byte_at(bytes, at) << 16 | (two ? byte_at(bytes, at + 1) << 8 : 0);
  to[0] = kAlphabet[group >> 18];
  to[1] = kAlphabet[group >> 12 & 0x3f];
  if (two) to[2] = kAlphabet[group >> 6 & 0x3f];
}

bool append_decoded(std::string& out, std::string_view text) {
  if (text.size() % 4 != 0) return false;
  if (text.empty()) return true;
  const std::size_t whole = text.size() - 4;
  const std::size_t start = out.size();
  out.resize(start + whole / 4 * 3);
  char* to = out.data() + start;
  const auto* in = reinterpret_cast<const unsigned char*>(text.data());
  const std::uint8_t* values = kValues.data();
  for (std::size_t at = 0; at < whole; at += 4, in += 4, to += 3) {
    const std::uint32_t a = values[in[0]];
    const std::uint32_t b = values[in[1]];
    const std::uint32_t c = values[in[2]];
    const std::uint32_t d = values[in[3]];
    if (((a | b | c | d) & 0xc0) != 0) return false;
    to[0] = static_cast<char>(a << 2 | b >> 4);
    to[1] = static_cast<char>(b << 4 | c >> 2);
    to[2] = static_cast<char>(c << 6 | d);
  }
  return append_last(out, text.substr(whole));
}

}  // namespace cocoon::agent_wire
