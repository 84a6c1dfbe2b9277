// SPDX-License-Identifier: Apache-2.0
#include "network/netlink.h"

#include <arpa/inet.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_mirred.h>
#include <net/if.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <map>

#include <netlink/msg.h>
#include <netlink/netlink.h>

namespace cocoon::network {
namespace {

constexpr int kAnswerSeconds = 10;
constexpr int kDumpTries = 5;

Failure nl_failure(int code, std::string_view what) {
  return fail(ErrorKind::kSystem, "{}: {}", what, nl_geterror(code));
}

std::string text_of(const nlattr* attribute) {
  if (attribute == nullptr) return {};
  const char* data = static_cast<const char*>(nla_data(attribute));
  auto size = static_cast<std::size_t>(nla_len(attribute));
  return {data, strnlen(data, size)};
}

std::string bytes_of(const nlattr* attribute) {
  if (attribute == nullptr) return {};
  return {static_cast<const char*>(nla_data(attribute)),
          static_cast<std::size_t>(nla_len(attribute))};
}

std::uint32_t number_of(const nlattr* attribute) {
  return attribute == nullptr || nla_len(attribute) < 4 ? 0 : nla_get_u32(attribute);
}

// A message as bytes, with its body and attributes.
class View {
 public:
  explicit View(const std::string& bytes)
      : header_(const_cast<nlmsghdr*>(reinterpret_cast<const nlmsghdr*>(bytes.data()))) {}
  template <class T>
  const T* body() const {
    return nlmsg_datalen(header_) < static_cast<int>(sizeof(T))
               ? nullptr
               : static_cast<T*>(nlmsg_data(header_));
  }
  const nlattr* find(std::size_t body, int type) const {
    return nlmsg_find_attr(header_, static_cast<int>(body), type);
  }
  int type() const { return header_->nlmsg_type; }

 private:
  nlmsghdr* header_;
};

const nlattr* nested(const nlattr* parent, int type) {
  if (parent == nullptr) return nullptr;
  return nla_find(static_cast<nlattr*>(nla_data(parent)), nla_len(parent), type);
}

std::optional<Link> read_link(const std::string& bytes) {
  View view(bytes);
  const auto* info = view.body<ifinfomsg>();
  if (view.type() != RTM_NEWLINK || info == nullptr) return std::nullopt;
  auto find = [&](int type) { return view.find(sizeof(ifinfomsg), type); };
  Link link;
  link.index = info->ifi_index;
  link.up = (info->ifi_flags & IFF_UP) != 0;
  link.name = text_of(find(IFLA_IFNAME));
  link.alias = text_of(find(IFLA_IFALIAS));
  link.mac = mac_text(bytes_of(find(IFLA_ADDRESS)));
  link.mtu = static_cast<int>(number_of(find(IFLA_MTU)));
  link.master = static_cast<int>(number_of(find(IFLA_MASTER)));
  link.kind = text_of(nested(find(IFLA_LINKINFO), IFLA_INFO_KIND));
  return link;
}

std::optional<Address> read_address(const std::string& bytes) {
  View view(bytes);
  const auto* info = view.body<ifaddrmsg>();
  if (view.type() != RTM_NEWADDR || info == nullptr) return std::nullopt;
  Address address;
  address.index = static_cast<int>(info->ifa_index);
  address.family = info->ifa_family;
  address.prefix = info->ifa_prefixlen;
  address.scope = info->ifa_scope;
  const nlattr* local = view.find(sizeof(ifaddrmsg), IFA_LOCAL);
  address.bytes = bytes_of(local != nullptr ? local : view.find(sizeof(ifaddrmsg), IFA_ADDRESS));
  std::size_t wanted = address.family == AF_INET ? 4 : 16;
  if (address.bytes.size() != wanted) return std::nullopt;
  char text[INET6_ADDRSTRLEN] = {};
  inet_ntop(address.family, address.bytes.data(), text, sizeof text);
  address.text = fmt::format("{}/{}", text, address.prefix);
  return address;
}

// The answer to one request: 0 or an errno, and the kernel's own words.
struct Answer {
  int error_number = 0;
  std::string words;
};

Answer read_answer(const nlmsghdr* header) {
  Answer answer;
  const auto* error = static_cast<const nlmsgerr*>(nlmsg_data(header));
  answer.error_number = -error->error;
  if ((header->nlmsg_flags & NLM_F_ACK_TLVS) == 0) return answer;
  // The words follow the header of our own message, or all of it where the answer is not capped.
  int skip = static_cast<int>(sizeof(nlmsgerr));
  if ((header->nlmsg_flags & NLM_F_CAPPED) == 0) {
    skip += static_cast<int>(error->msg.nlmsg_len - sizeof(nlmsghdr));
  }
  int left = nlmsg_datalen(header) - skip;
  if (left <= 0) return answer;
  auto* first =
      reinterpret_cast<nlattr*>(static_cast<char*>(nlmsg_data(header)) + NLMSG_ALIGN(skip));
  answer.words = text_of(nla_find(first, left, NLMSGERR_ATTR_MSG));
  return answer;
}

// Calls `take` with each message that arrives in one datagram.
template <class Take>
Result<void> receive(nl_sock* socket, std::string_view what, Take take) {
  sockaddr_nl from{};
  unsigned char* buffer = nullptr;
  int size = nl_recv(socket, &from, &buffer, nullptr);
  if (size == 0) return fail(ErrorKind::kSystem, "{}: the kernel closed the socket", what);
  if (size < 0) return nl_failure(size, what);
  std::unique_ptr<unsigned char, decltype(&free)> owner(buffer, &free);
  int left = size;
  for (auto* header = reinterpret_cast<nlmsghdr*>(buffer); nlmsg_ok(header, left);
       header = nlmsg_next(header, &left)) {
    take(header);
  }
  return {};
}

Request link_request(std::string what, int flags, std::string_view name) {
  ifinfomsg info{};
  Request request(std::move(what), RTM_GETLINK, flags);
  request.body(&info, sizeof info).put_u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
  if (!name.empty()) request.put_text(IFLA_IFNAME, name);
  return request;
}

// The device that a mirred action sends to; 0: it does something else.
int mirred_target(const nlattr* action) {
  if (text_of(nested(action, TCA_ACT_KIND)) != "mirred") return 0;
  const nlattr* parameters = nested(nested(action, TCA_ACT_OPTIONS), TCA_MIRRED_PARMS);
  if (parameters == nullptr || nla_len(parameters) < static_cast<int>(sizeof(tc_mirred))) return 0;
  tc_mirred mirred{};
  std::memcpy(&mirred, nla_data(parameters), sizeof mirred);
  return mirred.eaction == TCA_EGRESS_REDIR ? static_cast<int>(mirred.ifindex) : 0;
}

int filter_target(const std::string& bytes) {
  View view(bytes);
  if (view.type() != RTM_NEWTFILTER || view.body<tcmsg>() == nullptr) return 0;
  std::string kind = text_of(view.find(sizeof(tcmsg), TCA_KIND));
  const nlattr* options = view.find(sizeof(tcmsg), TCA_OPTIONS);
  int attribute =
      kind == "u32" ? static_cast<int>(TCA_U32_ACT) : static_cast<int>(TCA_MATCHALL_ACT);
  if (kind != "u32" && kind != "matchall") return 0;
  return mirred_target(nested(nested(options, attribute), 1));
}

}  // namespace

Result<Netlink> Netlink::open() {
  nl_sock* socket = nl_socket_alloc();
  if (socket == nullptr) return fail(ErrorKind::kSystem, "netlink: out of memory");
  Netlink out(socket);
  int code = nl_connect(socket, NETLINK_ROUTE);
  if (code < 0) return nl_failure(code, "open netlink");
  nl_socket_set_buffer_size(socket, 1 << 20, 1 << 20);
  nl_socket_set_msg_buf_size(socket, 1 << 16);
  int on = 1;
  int fd = nl_socket_get_fd(socket);
  // Old kernels do without words; a kernel that does not answer must not hang us.
  (void)setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on);
  (void)setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);
  timeval limit{kAnswerSeconds, 0};
  (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  return out;
}

Netlink::Netlink(Netlink&& other) noexcept : socket_(std::exchange(other.socket_, nullptr)) {}

Netlink::~Netlink() {
  if (socket_ != nullptr) nl_socket_free(socket_);
}

Result<void> Netlink::run(std::vector<Request> requests) {
  std::string bytes;
  std::map<std::uint32_t, const Request*> waiting;
  for (Request& request : requests) {
    nlmsg_hdr(request.message_)->nlmsg_flags |= NLM_F_ACK;
    nl_complete_msg(socket_, request.message_);
    const nlmsghdr* header = nlmsg_hdr(request.message_);
    bytes.append(reinterpret_cast<const char*>(header), header->nlmsg_len);
    bytes.resize(NLMSG_ALIGN(bytes.size()));
    waiting.emplace(header->nlmsg_seq, &request);
  }
  if (bytes.empty()) return {};
  int sent = nl_sendto(socket_, bytes.data(), bytes.size());
  if (sent < 0) return nl_failure(sent, "netlink");
  Result<void> outcome;
  while (!waiting.empty()) {
    COCOON_TRY(receive(socket_, waiting.begin()->second->what_, [&](const nlmsghdr* header) {
      auto found = waiting.find(header->nlmsg_seq);
      if (header->nlmsg_type != NLMSG_ERROR || found == waiting.end()) return;
      const Request& request = *found->second;
      waiting.erase(found);
      Answer answer = read_answer(header);
      bool accepted =
          answer.error_number == 0 || request.accepts_all_ ||
          std::count(request.accepted_.begin(), request.accepted_.end(), answer.error_number) != 0;
      if (accepted || !outcome) return;
      outcome = fail_errno(answer.error_number, request.what_);
      if (!answer.words.empty()) outcome.error().cause += " (" + answer.words + ")";
    }));
  }
  return outcome;
}

Result<std::vector<std::string>> Netlink::dump(Request request) {
  nl_complete_msg(socket_, request.message_);
  nlmsghdr* sent = nlmsg_hdr(request.message_);
  for (int tries = 1;; ++tries) {
    int code = nl_sendto(socket_, sent, sent->nlmsg_len);
    if (code < 0) return nl_failure(code, request.what_);
    std::vector<std::string> messages;
    bool done = false;
    bool changed = false;
    Result<void> outcome;
    while (!done) {
      COCOON_TRY(receive(socket_, request.what_, [&](const nlmsghdr* header) {
        if (header->nlmsg_seq != sent->nlmsg_seq) return;
        changed |= (header->nlmsg_flags & NLM_F_DUMP_INTR) != 0;
        bool single = (sent->nlmsg_flags & NLM_F_DUMP) != NLM_F_DUMP;
        if (header->nlmsg_type == NLMSG_ERROR) {
          Answer answer = read_answer(header);
          if (answer.error_number != 0) outcome = fail_errno(answer.error_number, request.what_);
        } else if (header->nlmsg_type != NLMSG_DONE) {
          messages.emplace_back(reinterpret_cast<const char*>(header), header->nlmsg_len);
        }
        done = single || header->nlmsg_type == NLMSG_ERROR || header->nlmsg_type == NLMSG_DONE;
      }));
    }
    if (!outcome) return pass(std::move(outcome).error());
    if (!changed || tries == kDumpTries) return messages;
    ++sent->nlmsg_seq;
  }
}

Result<std::optional<Link>> Netlink::find_link(std::string_view name) {
  auto messages = dump(link_request(fmt::format("look for device {}", name), 0, name));
  if (!messages) {
    if (messages.error().saved_errno == ENODEV) return std::optional<Link>();
    return pass(std::move(messages).error());
  }
  return messages->empty() ? std::nullopt : read_link(messages->front());
}

Result<Link> Netlink::link(std::string_view name) {
  auto found = COCOON_TRY(find_link(name));
  if (!found) return fail(ErrorKind::kNotFound, "there is no device {}", name);
  return std::move(*found);
}

Result<std::vector<Link>> Netlink::links() {
  std::vector<Link> out;
  for (const std::string& bytes : COCOON_TRY(dump(link_request("list devices", NLM_F_DUMP, "")))) {
    if (auto link = read_link(bytes)) out.push_back(std::move(*link));
  }
  return out;
}

Result<std::vector<Address>> Netlink::addresses(int index) {
  ifaddrmsg info{};
  Request request("list addresses", RTM_GETADDR, NLM_F_DUMP);
  request.body(&info, sizeof info);
  std::vector<Address> out;
  for (const std::string& bytes : COCOON_TRY(dump(std::move(request)))) {
    auto address = read_address(bytes);
    if (address && address->index == index) out.push_back(std::move(*address));
  }
  return out;
}

Result<int> Netlink::redirects(int index, int target) {
  tcmsg info{};
  info.tcm_ifindex = index;
  info.tcm_parent = TC_H_MAKE(TC_H_INGRESS, 0);
  Request request("list filters", RTM_GETTFILTER, NLM_F_DUMP);
  request.body(&info, sizeof info);
  int count = 0;
  for (const std::string& bytes : COCOON_TRY(dump(std::move(request)))) {
    if (filter_target(bytes) == target) ++count;
  }
  return count;
}

}  // namespace cocoon::network
