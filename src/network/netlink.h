// SPDX-License-Identifier: Apache-2.0
// Links, addresses and traffic control through rtnetlink. A session belongs to the network
// namespace that the opening thread was in. Changes are made in batches: one message to the kernel
// with all of them, then all answers (spec 05 §1.8).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

struct nl_msg;
struct nl_sock;

namespace cocoon::network {

struct Link {
  int index = 0;
  std::string name;
  std::string kind;   // "veth", "tun", "bridge"; empty for hardware
  std::string alias;  // ifalias
  std::string mac;    // lower-case
  int mtu = 0;
  int master = 0;  // index of its bridge; 0: none
  bool up = false;
};

struct Address {
  int index = 0;  // of the link
  int family = 0;
  int prefix = 0;
  int scope = 0;
  std::string bytes;  // 4 or 16
  std::string text;   // "10.0.0.1/16"
};

// One change, as a message that is not sent yet. Failure with `accepted` is success: the change had
// been made before, or does not matter.
class Request {
 public:
  Request(std::string what, int type, int flags);
  Request(Request&& other) noexcept;
  Request& operator=(Request&&) = delete;
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;
  ~Request();

  Request& body(const void* data, std::size_t size);
  Request& put(int attribute, const void* data, std::size_t size);
  Request& put_u8(int attribute, std::uint8_t value);
  Request& put_u32(int attribute, std::uint32_t value);
  Request& put_text(int attribute, std::string_view text);  // with its NUL
  // Attributes put until end() lie within this one.
  Request& begin(int attribute);
  Request& end();
  Request& accept(int error_number);
  Request& accept_all();

 private:
  friend class Netlink;
  std::string what_;
  nl_msg* message_;
  std::vector<void*> open_;
  std::vector<int> accepted_;
  bool accepts_all_ = false;
};

class Netlink {
 public:
  static Result<Netlink> open();
  Netlink(Netlink&& other) noexcept;
  Netlink& operator=(Netlink&&) = delete;
  Netlink(const Netlink&) = delete;
  Netlink& operator=(const Netlink&) = delete;
  ~Netlink();

  Result<std::optional<Link>> find_link(std::string_view name);
  // kNotFound when there is none.
  Result<Link> link(std::string_view name);
  Result<std::vector<Link>> links();
  Result<std::vector<Address>> addresses(int index);
  // Traffic control filters at a link's ingress: how many send packets on to `target`.
  Result<int> redirects(int index, int target);

  // Sends all and waits for all answers. The kernel does them in order and goes on after a failure;
  // the first failure that is not accepted is returned, with the kernel's own words.
  Result<void> run(std::vector<Request> requests);

 private:
  explicit Netlink(nl_sock* socket) : socket_(socket) {}
  Result<std::vector<std::string>> dump(Request request);
  nl_sock* socket_ = nullptr;
};

// "0a:58:0a:58:00:0c" and its six bytes.
std::string mac_text(std::string_view bytes);
std::optional<std::string> mac_bytes(std::string_view text);
// Puts an address on a link; one that is there already is fine.
Request add_address(const Link& link, const Address& address);
// "10.0.0.1/16" as an address of a link; nullopt when it is none.
std::optional<Address> parse_address(std::string_view text);

}  // namespace cocoon::network
