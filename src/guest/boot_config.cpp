// SPDX-License-Identifier: Apache-2.0
#include "guest/boot_config.h"

#include <arpa/inet.h>

#include <algorithm>
#include <initializer_list>

#include <nlohmann/json.hpp>

namespace cocoon::guest {
namespace {

using Json = nlohmann::json;

constexpr const char* kWhat = "boot.json";
constexpr std::size_t kMaxLayers = 500;  // overlayfs: OVL_MAX_STACK
constexpr std::size_t kMaxMounts = 128;
constexpr std::size_t kMaxDns = 16;
constexpr std::size_t kMaxNics = 64;
constexpr std::size_t kMaxRoutes = 256;
constexpr unsigned kMaxMtu = 65535;
constexpr std::size_t kMaxStrings = 4096;           // arguments, environment entries
constexpr std::size_t kMaxString = 128 * 1024 - 1;  // the kernel's MAX_ARG_STRLEN
constexpr std::size_t kMaxPath = 4095;
constexpr std::size_t kMaxName = 64;  // host name (HOST_NAME_MAX), serial, id, kernel version
constexpr unsigned kMaxDiskIndex = 9999;

constexpr std::string_view kNameBytes =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-+~";

bool only(std::string_view text, std::string_view allowed) {
  return text.find_first_not_of(allowed) == std::string_view::npos;
}

bool is_hex(std::string_view text) { return only(text, "0123456789abcdefABCDEF"); }

/// Serial, id, version: one path component, nothing a mount option or a console would mind.
bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= kMaxName && only(text, kNameBytes) && text != "." &&
         text != "..";
}

bool is_fstype(std::string_view text) {
  return !text.empty() && text.size() <= 16 && only(text, "abcdefghijklmnopqrstuvwxyz0123456789");
}

bool is_address(std::string_view text) {
  const std::size_t zone = text.find('%');  // fe80::1%eth0
  return !text.empty() && text.size() <= kMaxName &&
         only(text.substr(0, zone), "0123456789abcdefABCDEF.:") &&
         (zone == std::string_view::npos || is_name(text.substr(zone + 1)));
}

bool is_mac(std::string_view text) {
  if (text.size() != 17) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (i % 3 == 2 ? text[i] != ':' : !only(text.substr(i, 1), "0123456789abcdef")) return false;
  }
  return true;
}

/// One JSON object with the place it has in the file, for messages. Getters note the keys that
/// they have seen; finish() refuses the others.
class Object {
 public:
  static Result<Object> open(const Json& value, std::string where) {
    if (!value.is_object()) return fail(kWhat, where + ": expected an object");
    return Object(value, std::move(where));
  }

  Result<const Json*> get(const char* key) {
    const Json* value = find(key);
    if (value == nullptr) return fail(kWhat, place(key) + ": missing");
    return value;
  }

  const Json* find(const char* key) {
    seen_.emplace_back(key);
    const auto found = value_->find(key);
    return found == value_->end() ? nullptr : &*found;
  }

  Result<std::string> text(const char* key, std::size_t limit) {
    const Json* value = COCOON_GUEST_TRY(get(key));
    return text_of(*value, place(key), limit);
  }

  Result<std::string> text_or_empty(const char* key, std::size_t limit) {
    const Json* value = find(key);
    if (value == nullptr) return std::string();
    return text_of(*value, place(key), limit);
  }

  Result<std::string> checked(const char* key, bool (*good)(std::string_view)) {
    std::string value = COCOON_GUEST_TRY(text(key, kMaxPath));
    if (!good(value)) return fail(kWhat, place(key) + ": not usable");
    return value;
  }

  Result<unsigned> number(const char* key, unsigned max) {
    const Json* value = COCOON_GUEST_TRY(get(key));
    const auto* stored = value->get_ptr<const Json::number_unsigned_t*>();
    if (stored == nullptr || *stored > max)
      return fail(kWhat, place(key) + ": expected a number from 0 to " + std::to_string(max));
    return static_cast<unsigned>(*stored);
  }

  Result<unsigned> number_or_zero(const char* key, unsigned max) {
    if (find(key) == nullptr) return 0U;
    return number(key, max);
  }

  /// An absent flag is false.
  Result<bool> flag(const char* key) {
    const Json* value = find(key);
    if (value == nullptr) return false;
    if (!value->is_boolean()) return fail(kWhat, place(key) + ": expected true or false");
    return value->get<bool>();
  }

  /// An absent array is empty.
  Result<const Json*> array(const char* key, std::size_t limit) {
    static const Json empty = Json::array();
    const Json* value = find(key);
    if (value == nullptr) return &empty;
    if (!value->is_array() || value->size() > limit)
      return fail(kWhat, place(key) + ": expected an array of at most " + std::to_string(limit));
    return value;
  }

  Result<std::vector<std::string>> texts(const char* key, std::size_t limit) {
    std::vector<std::string> all;
    const Json* values = COCOON_GUEST_TRY(array(key, limit));
    for (const Json& value : *values)
      all.push_back(COCOON_GUEST_TRY(text_of(value, place(key), kMaxString)));
    return all;
  }

  Result<void> finish() const {
    for (auto item = value_->begin(); item != value_->end(); ++item) {
      if (std::find(seen_.begin(), seen_.end(), item.key()) == seen_.end())
        return fail(kWhat, place(item.key()) + ": unknown key (written by a newer cocoon?)");
    }
    return {};
  }

  std::string place(const std::string& key) const {
    return where_.empty() ? key : where_ + "." + key;
  }

 private:
  Object(const Json& value, std::string where) : value_(&value), where_(std::move(where)) {}

  static Result<std::string> text_of(const Json& value, const std::string& where,
                                     std::size_t limit) {
    const auto* stored = value.get_ptr<const std::string*>();
    if (stored == nullptr) return fail(kWhat, where + ": expected text");
    if (stored->size() > limit) return fail(kWhat, where + ": too long");
    if (stored->find('\0') != std::string::npos) return fail(kWhat, where + ": holds a NUL");
    return *stored;
  }

  const Json* value_;
  std::string where_;
  std::vector<std::string> seen_;
};

std::string item_name(const char* array, std::size_t index) {
  return std::string(array) + "[" + std::to_string(index) + "]";
}

Result<DiskRef> read_disk(Object& object) {
  DiskRef disk;
  disk.serial = COCOON_GUEST_TRY(object.checked("serial", is_name));
  disk.index = COCOON_GUEST_TRY(object.number("index", kMaxDiskIndex));
  return disk;
}

Result<std::vector<DiskRef>> read_layers(Object& root) {
  std::vector<DiskRef> layers;
  const Json* values = COCOON_GUEST_TRY(root.array("layers", kMaxLayers));
  if (values->empty()) return fail(kWhat, "layers: at least one is needed");
  for (const Json& value : *values) {
    Object object = COCOON_GUEST_TRY(Object::open(value, item_name("layers", layers.size())));
    layers.push_back(COCOON_GUEST_TRY(read_disk(object)));
    COCOON_GUEST_TRY(object.finish());
  }
  return layers;
}

Result<CowDisk> read_cow(Object& root) {
  const Json* value = COCOON_GUEST_TRY(root.get("cow"));
  Object object = COCOON_GUEST_TRY(Object::open(*value, "cow"));
  CowDisk cow;
  cow.disk = COCOON_GUEST_TRY(read_disk(object));
  cow.fstype = COCOON_GUEST_TRY(object.checked("fstype", is_fstype));
  COCOON_GUEST_TRY(object.finish());
  return cow;
}

Result<std::optional<ModulesDisk>> read_modules(Object& root) {
  const Json* value = root.find("modules");
  if (value == nullptr) return std::optional<ModulesDisk>();
  Object object = COCOON_GUEST_TRY(Object::open(*value, "modules"));
  ModulesDisk modules;
  modules.disk = COCOON_GUEST_TRY(read_disk(object));
  modules.version = COCOON_GUEST_TRY(object.checked("version", is_name));
  COCOON_GUEST_TRY(object.finish());
  return std::optional(std::move(modules));
}

Result<std::vector<DataMount>> read_mounts(Object& root) {
  std::vector<DataMount> mounts;
  const Json* values = COCOON_GUEST_TRY(root.array("mounts", kMaxMounts));
  for (const Json& value : *values) {
    Object object = COCOON_GUEST_TRY(Object::open(value, item_name("mounts", mounts.size())));
    DataMount mount;
    mount.disk = COCOON_GUEST_TRY(read_disk(object));
    mount.fstype = COCOON_GUEST_TRY(object.checked("fstype", is_fstype));
    mount.path = COCOON_GUEST_TRY(object.text("mount", kMaxPath));
    if (!mount.path.starts_with('/'))
      return fail(kWhat, object.place("mount") + ": expected an absolute path");
    COCOON_GUEST_TRY(object.finish());
    mounts.push_back(std::move(mount));
  }
  return mounts;
}

Result<std::string> read_ipv4(Object& object, const char* key) {
  std::string value = COCOON_GUEST_TRY(object.text_or_empty(key, kMaxName));
  in_addr parsed{};
  if (!value.empty() && ::inet_pton(AF_INET, value.c_str(), &parsed) != 1)
    return fail(kWhat, object.place(key) + ": expected an IPv4 address");
  return value;
}

Result<NicRoute> read_route(Object& object) {
  NicRoute route;
  route.address = COCOON_GUEST_TRY(read_ipv4(object, "address"));
  route.prefix = COCOON_GUEST_TRY(object.number("prefix", 32));
  route.gateway = COCOON_GUEST_TRY(read_ipv4(object, "gateway"));
  COCOON_GUEST_TRY(object.finish());
  if (route.address.empty()) return fail(kWhat, object.place("address") + ": missing");
  return route;
}

Result<Nic> read_nic(Object& object) {
  Nic nic;
  nic.mac = COCOON_GUEST_TRY(object.checked("mac", is_mac));
  nic.address = COCOON_GUEST_TRY(read_ipv4(object, "address"));
  nic.gateway = COCOON_GUEST_TRY(read_ipv4(object, "gateway"));
  nic.prefix = COCOON_GUEST_TRY(object.number_or_zero("prefix", 32));
  nic.mtu = COCOON_GUEST_TRY(object.number_or_zero("mtu", kMaxMtu));
  if (nic.address.empty() != (nic.prefix == 0))
    return fail(kWhat, object.place("prefix") + ": belongs to an address");
  const Json* routes = COCOON_GUEST_TRY(object.array("routes", kMaxRoutes));
  for (const Json& value : *routes) {
    Object route =
        COCOON_GUEST_TRY(Object::open(value, object.place(item_name("routes", nic.routes.size()))));
    nic.routes.push_back(COCOON_GUEST_TRY(read_route(route)));
  }
  COCOON_GUEST_TRY(object.finish());
  return nic;
}

Result<std::vector<Nic>> read_nics(Object& root) {
  std::vector<Nic> nics;
  const Json* values = COCOON_GUEST_TRY(root.array("nics", kMaxNics));
  for (const Json& value : *values) {
    Object object = COCOON_GUEST_TRY(Object::open(value, item_name("nics", nics.size())));
    nics.push_back(COCOON_GUEST_TRY(read_nic(object)));
  }
  return nics;
}

Result<std::vector<std::string>> read_dns(Object& root) {
  std::vector<std::string> dns = COCOON_GUEST_TRY(root.texts("dns", kMaxDns));
  if (!std::all_of(dns.begin(), dns.end(), is_address))
    return fail(kWhat, "dns: expected IP addresses");
  return dns;
}

Result<RunMode> read_mode(Object& object) {
  const std::string mode = COCOON_GUEST_TRY(object.text("mode", kMaxName));
  if (mode == "exec") return RunMode::kExec;
  if (mode == "init") return RunMode::kInit;
  return fail(kWhat, "run.mode: expected \"exec\" or \"init\"");
}

Result<RunSpec> read_run(Object& root) {
  const Json* value = COCOON_GUEST_TRY(root.get("run"));
  Object object = COCOON_GUEST_TRY(Object::open(*value, "run"));
  RunSpec run;
  run.mode = COCOON_GUEST_TRY(read_mode(object));
  run.argv = COCOON_GUEST_TRY(object.texts("argv", kMaxStrings));
  run.env = COCOON_GUEST_TRY(object.texts("env", kMaxStrings));
  run.workdir = COCOON_GUEST_TRY(object.text_or_empty("workdir", kMaxPath));
  run.user = COCOON_GUEST_TRY(object.text_or_empty("user", 256));
  run.attach = COCOON_GUEST_TRY(object.flag("attach"));
  COCOON_GUEST_TRY(object.finish());
  if (run.mode == RunMode::kExec && run.argv.empty())
    return fail(kWhat, "run.argv: nothing to run");
  for (const std::string& entry : run.env) {
    if (entry.find('=') == std::string::npos || entry.starts_with('='))
      return fail(kWhat, "run.env: expected KEY=VALUE");
  }
  return run;
}

Result<EndAction> read_end(Object& root) {
  const std::string end = COCOON_GUEST_TRY(root.text("end", kMaxName));
  if (end == "poweroff") return EndAction::kPowerOff;
  if (end == "reboot") return EndAction::kReboot;
  return fail(kWhat, "end: expected \"poweroff\" or \"reboot\"");
}

Result<std::string> read_nonce(Object& root) {
  std::string nonce = COCOON_GUEST_TRY(root.text("nonce", 128));
  if (nonce.empty() || !is_hex(nonce)) return fail(kWhat, "nonce: expected hex digits");
  return nonce;
}

Json parse_json(std::string_view text) {
  return Json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
}

}  // namespace

Result<BootConfig> parse_boot_config(std::string_view text) {
  if (text.size() > kBootConfigLimit) return fail(kWhat, "too large");
  const Json json = parse_json(text);
  if (json.is_discarded()) return fail(kWhat, "not JSON");
  Object root = COCOON_GUEST_TRY(Object::open(json, ""));
  if (COCOON_GUEST_TRY(root.number("version", kMaxDiskIndex)) != 1)
    return fail(kWhat, "version: only 1 is known");

  BootConfig config;
  config.ending.nonce = COCOON_GUEST_TRY(read_nonce(root));
  config.ending.action = COCOON_GUEST_TRY(read_end(root));
  config.id = COCOON_GUEST_TRY(root.checked("id", is_name));
  config.hostname = COCOON_GUEST_TRY(root.text("hostname", kMaxName));
  if (!only(config.hostname, kNameBytes)) return fail(kWhat, "hostname: not usable");
  config.layers = COCOON_GUEST_TRY(read_layers(root));
  config.cow = COCOON_GUEST_TRY(read_cow(root));
  config.modules = COCOON_GUEST_TRY(read_modules(root));
  config.mounts = COCOON_GUEST_TRY(read_mounts(root));
  config.dns = COCOON_GUEST_TRY(read_dns(root));
  config.nics = COCOON_GUEST_TRY(read_nics(root));
  config.run = COCOON_GUEST_TRY(read_run(root));
  COCOON_GUEST_TRY(root.finish());
  return config;
}

Ending find_ending(std::string_view text) {
  Ending ending;
  const Json json = parse_json(text);
  if (!json.is_object()) return ending;
  Object root = *Object::open(json, "");
  if (auto nonce = read_nonce(root)) ending.nonce = *std::move(nonce);
  if (const auto action = read_end(root)) ending.action = *action;
  return ending;
}

}  // namespace cocoon::guest
