// SPDX-License-Identifier: Apache-2.0
// Requests: messages that are put together, and the texts and bytes of addresses in them.
#include <arpa/inet.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>

#include <netlink/msg.h>
#include <netlink/netlink.h>

#include "base/text.h"
#include "network/netlink.h"

namespace cocoon::network {
namespace {

constexpr std::size_t kMessageSize = 4096;

}  // namespace

std::string mac_text(std::string_view bytes) {
  if (bytes.size() != 6) return {};
  std::string out;
  for (char c : bytes) {
    out += fmt::format("{}{:02x}", out.empty() ? "" : ":", static_cast<unsigned char>(c));
  }
  return out;
}

std::optional<std::string> mac_bytes(std::string_view text) {
  std::string out;
  auto parts = split(text, ':');
  if (parts.size() != 6) return std::nullopt;
  for (std::string_view part : parts) {
    auto number = part.size() == 2 ? parse_integer("0x" + std::string(part)) : std::nullopt;
    if (!number) return std::nullopt;
    out += static_cast<char>(*number);
  }
  return out;
}

std::optional<Address> parse_address(std::string_view text) {
  auto slash = text.find('/');
  auto length =
      slash == std::string_view::npos ? std::nullopt : parse_decimal(text.substr(slash + 1));
  if (!length) return std::nullopt;
  Address address;
  std::string ip(text.substr(0, slash));
  address.family = ip.find(':') == std::string::npos ? AF_INET : AF_INET6;
  address.bytes.resize(address.family == AF_INET ? 4 : 16);
  if (inet_pton(address.family, ip.c_str(), address.bytes.data()) != 1) return std::nullopt;
  if (*length > address.bytes.size() * 8) return std::nullopt;
  address.prefix = static_cast<int>(*length);
  address.text = text;
  return address;
}

Request add_address(const Link& link, const Address& address) {
  ifaddrmsg info{};
  info.ifa_family = static_cast<unsigned char>(address.family);
  info.ifa_prefixlen = static_cast<unsigned char>(address.prefix);
  info.ifa_index = static_cast<unsigned>(link.index);
  Request request(fmt::format("give {} to {}", address.text, link.name), RTM_NEWADDR,
                  NLM_F_CREATE | NLM_F_REPLACE);
  request.body(&info, sizeof info).put(IFA_LOCAL, address.bytes.data(), address.bytes.size());
  request.put(IFA_ADDRESS, address.bytes.data(), address.bytes.size());
  return request;
}

Request::Request(std::string what, int type, int flags)
    : what_(std::move(what)), message_(nlmsg_alloc_size(kMessageSize)) {
  nlmsg_put(message_, NL_AUTO_PORT, NL_AUTO_SEQ, type, 0, NLM_F_REQUEST | flags);
}

Request::Request(Request&& other) noexcept
    : what_(std::move(other.what_)),
      message_(std::exchange(other.message_, nullptr)),
      open_(std::move(other.open_)),
      accepted_(std::move(other.accepted_)),
      accepts_all_(other.accepts_all_) {}

Request::~Request() {
  if (message_ != nullptr) nlmsg_free(message_);
}

Request& Request::body(const void* data, std::size_t size) {
  nlmsg_append(message_, const_cast<void*>(data), size, NLMSG_ALIGNTO);
  return *this;
}

Request& Request::put(int attribute, const void* data, std::size_t size) {
  nla_put(message_, attribute, static_cast<int>(size), data);
  return *this;
}

Request& Request::put_u8(int attribute, std::uint8_t value) {
  return put(attribute, &value, sizeof value);
}

Request& Request::put_u32(int attribute, std::uint32_t value) {
  return put(attribute, &value, sizeof value);
}

Request& Request::put_text(int attribute, std::string_view text) {
  std::string copy(text);
  return put(attribute, copy.c_str(), copy.size() + 1);
}

Request& Request::begin(int attribute) {
  open_.push_back(nla_nest_start(message_, attribute));
  return *this;
}

Request& Request::end() {
  nla_nest_end(message_, static_cast<nlattr*>(open_.back()));
  open_.pop_back();
  return *this;
}

Request& Request::accept(int error_number) {
  accepted_.push_back(error_number);
  return *this;
}

Request& Request::accept_all() {
  accepts_all_ = true;
  return *this;
}

}  // namespace cocoon::network
