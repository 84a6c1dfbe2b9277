// SPDX-License-Identifier: Apache-2.0
#include "network/cni/result.h"

#include <algorithm>

#include "base/text.h"
#include "model/untrusted_json.h"
#include "network/cni/conflist.h"

namespace cocoon::network::cni {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxEntries = 256;

// "address/len" taken apart.
struct Cidr {
  std::string ip;
  int prefix = 0;
  bool is_v4 = false;
};

Result<Cidr> parse_cidr(std::string_view text) {
  auto slash = std::min(text.find('/'), text.size());
  Cidr cidr;
  cidr.ip = text.substr(0, slash);
  cidr.is_v4 = model::is_ipv4(cidr.ip);
  constexpr std::uint64_t kNone = 1000;
  std::uint64_t length =
      slash == text.size() ? kNone : parse_decimal(text.substr(slash + 1)).value_or(kNone);
  bool good = (cidr.is_v4 || model::is_ipv6(cidr.ip)) && length <= (cidr.is_v4 ? 32U : 128U);
  if (!good) return fail(ErrorKind::kCorrupt, "\"{}\" is no address", escape_controls(text));
  cidr.prefix = static_cast<int>(length);
  return cidr;
}

// A text member of an object; empty when absent.
Result<std::string> text_of(const json& object, const char* key) {
  if (!object.is_object()) return fail(ErrorKind::kCorrupt, "an entry is no object");
  auto value = object.find(key);
  if (value == object.end() || value->is_null()) return std::string();
  if (!value->is_string()) return fail(ErrorKind::kCorrupt, "{} is no text", key);
  return value->get<std::string>();
}

Result<std::vector<json>> list_of(const json& object, const char* key) {
  auto value = object.find(key);
  if (value == object.end() || value->is_null()) return std::vector<json>();
  if (!value->is_array() || value->size() > kMaxEntries) {
    return fail(ErrorKind::kCorrupt, "{} is no list of at most {}", key, kMaxEntries);
  }
  return value->get<std::vector<json>>();
}

Result<void> add_address(const std::string& address, const std::string& gateway, AddResult& out) {
  Cidr cidr = COCOON_TRY(parse_cidr(address));
  out.addresses.push_back(address);
  if (!cidr.is_v4 || out.address) return {};
  if (!gateway.empty() && !model::is_ipv4(gateway)) {
    return fail(ErrorKind::kCorrupt, "\"{}\" is no gateway", escape_controls(gateway));
  }
  if (cidr.prefix == 0) return fail(ErrorKind::kCorrupt, "\"{}\" has no network", address);
  out.address = model::NicAddress{cidr.ip, gateway, cidr.prefix};
  return {};
}

Result<void> add_routes(const std::vector<json>& routes, AddResult& out) {
  for (const json& entry : routes) {
    std::string destination = COCOON_TRY(text_of(entry, "dst"));
    std::string gateway = COCOON_TRY(text_of(entry, "gw"));
    Cidr cidr = COCOON_TRY(parse_cidr(destination));
    if (!cidr.is_v4) continue;
    if (!gateway.empty() && !model::is_ipv4(gateway)) {
      return fail(ErrorKind::kCorrupt, "\"{}\" is no gateway", escape_controls(gateway));
    }
    if (cidr.prefix > 0) {
      out.routes.push_back({destination, gateway});
    } else if (out.address && out.address->gateway.empty()) {
      out.address->gateway = gateway;
    }
  }
  return {};
}

Result<void> add_dns(const json& object, AddResult& out) {
  auto dns = object.find("dns");
  if (dns == object.end() || !dns->is_object()) return {};
  for (const json& server : COCOON_TRY(list_of(*dns, "nameservers"))) {
    bool good = server.is_string() && (model::is_ipv4(server.get<std::string>()) ||
                                       model::is_ipv6(server.get<std::string>()));
    if (!good) return fail(ErrorKind::kCorrupt, "a name server is no IP address");
    out.dns.push_back(server.get<std::string>());
  }
  return {};
}

// Versions 0.1 and 0.2 have one address of each family.
Result<void> read_old(const json& result, AddResult& out) {
  for (const char* family : {"ip4", "ip6"}) {
    auto entry = result.find(family);
    if (entry == result.end()) continue;
    std::string address = COCOON_TRY(text_of(*entry, "ip"));
    std::string gateway = COCOON_TRY(text_of(*entry, "gateway"));
    COCOON_TRY(add_address(address, gateway, out));
    auto routes = COCOON_TRY(list_of(*entry, "routes"));
    COCOON_TRY(add_routes(routes, out));
  }
  return {};
}

Result<void> read_new(const json& result, AddResult& out) {
  for (const json& entry : COCOON_TRY(list_of(result, "ips"))) {
    std::string address = COCOON_TRY(text_of(entry, "address"));
    std::string gateway = COCOON_TRY(text_of(entry, "gateway"));
    COCOON_TRY(add_address(address, gateway, out));
  }
  auto routes = COCOON_TRY(list_of(result, "routes"));
  return add_routes(routes, out);
}

}  // namespace

Result<json> parse_result(std::string_view output, const std::string& config_version) {
  auto parsed = model::parse_untrusted_json(output);
  json result = parsed ? std::move(*parsed) : json();
  if (!result.is_object()) {
    return fail(ErrorKind::kCorrupt, "its output is no JSON object: \"{}\"",
                escape_controls(output.substr(0, 80)));
  }
  auto version = result.find("cniVersion");
  if (version == result.end() || *version == "") {
    result["cniVersion"] = config_version;
  } else if (!version->is_string()) {
    return fail(ErrorKind::kCorrupt, "its result's cniVersion is no text");
  }
  return result;
}

Result<AddResult> read_result(const json& result) {
  AddResult out;
  std::string version = COCOON_TRY(text_of(result, "cniVersion"));
  if (compare_versions(version, "0.3.0") < 0) {
    COCOON_TRY(read_old(result, out), "result");
  } else {
    COCOON_TRY(read_new(result, out), "result");
  }
  COCOON_TRY(add_dns(result, out), "result");
  if (!out.address && !out.addresses.empty()) {
    return fail(ErrorKind::kUnsupported,
                "the network gives out IPv6 addresses only ({}); guests need an IPv4 one, or no "
                "IPAM at all (DHCP)",
                out.addresses.front());
  }
  return out;
}

std::string describe_failure(std::string_view output, std::string_view errors,
                             std::string_view status) {
  auto parsed = model::parse_untrusted_json(output);
  json object = parsed ? std::move(*parsed) : json();
  if (object.is_object() && object.contains("msg") && object["msg"].is_string()) {
    std::string text = object["msg"];
    if (object.contains("details") && object["details"].is_string() && object["details"] != "") {
      text += "; " + object["details"].get<std::string>();
    }
    return text;
  }
  std::string tail = last_lines(trim(errors.empty() ? output : errors), 5);
  return tail.empty() ? std::string(status) : fmt::format("{}: {}", status, tail);
}

}  // namespace cocoon::network::cni
