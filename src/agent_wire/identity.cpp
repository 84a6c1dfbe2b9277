// SPDX-License-Identifier: Apache-2.0
#include "agent_wire/identity.h"

#include "agent_wire/base64.h"
#include "agent_wire/frame.h"

namespace cocoon::agent_wire {
namespace {

constexpr std::size_t kMaxItems = 256;

// Reads an array of objects, each by `read(reader, key, item)`.
template <class Item, class Read>
bool read_objects(JsonReader& reader, std::vector<Item>& items, const Read& read_key) {
  if (!reader.enter_array()) return false;
  std::string key;
  while (reader.next_item()) {
    if (items.size() >= kMaxItems || !reader.enter_object()) return false;
    items.emplace_back();
    while (reader.next_key(key))
      if (!read_key(reader, key, items.back())) return false;
  }
  return !reader.failed();
}

bool read_route(JsonReader& reader, std::string_view key, IdentityRoute& route) {
  if (key == "to") return reader.read(route.to);
  if (key == "via") return reader.read(route.via);
  return reader.skip();
}

bool read_nic(JsonReader& reader, std::string_view key, IdentityNic& nic) {
  if (key == "index") return reader.read(nic.index);
  if (key == "find_mac") return reader.read(nic.find_mac);
  if (key == "mac") return reader.read(nic.mac);
  if (key == "mtu") return reader.read(nic.mtu);
  if (key == "set_addresses") return reader.read(nic.set_addresses);
  if (key == "addresses") return reader.read(nic.addresses, kMaxItems);
  if (key == "routes") return read_objects(reader, nic.routes, read_route);
  if (key == "renew_dhcp") return reader.read(nic.renew_dhcp);
  return reader.skip();
}

bool read_mount(JsonReader& reader, std::string_view key, IdentityMount& mount) {
  if (key == "serial") return reader.read(mount.serial);
  if (key == "index") return reader.read(mount.index);
  if (key == "fstype") return reader.read(mount.fstype);
  if (key == "path") return reader.read(mount.path);
  if (key == "unmount") return reader.read(mount.unmount);
  return reader.skip();
}

bool read_value(JsonReader& reader, std::string_view key, Identity& identity) {
  if (key == "time_ns") return reader.read(identity.time_ns);
  if (key == "entropy") {
    std::string text;
    return reader.read(text) && append_decoded(identity.entropy, text);
  }
  if (key == "hostname") return reader.read(identity.hostname);
  if (key == "machine_id") return reader.read(identity.machine_id);
  if (key == "nics") return read_objects(reader, identity.nics, read_nic);
  if (key == "dns") return reader.read(identity.dns, kMaxItems);
  if (key == "search") return reader.read(identity.search, kMaxItems);
  if (key == "mounts") return read_objects(reader, identity.mounts, read_mount);
  return reader.skip();
}

template <class Item, class Write>
void write_objects(std::string& out, ObjectWriter& object, std::string_view key,
                   const std::vector<Item>& items, const Write& write) {
  if (items.empty()) return;
  object.key(key);
  out += '[';
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (i > 0) out += ',';
    ObjectWriter inner(out);
    write(inner, items[i]);
    inner.finish();
  }
  out += ']';
}

}  // namespace

bool parse_identity(std::string_view line, Identity& identity) {
  identity = Identity();
  JsonReader reader(line);
  if (!reader.enter_object()) return false;
  std::string key;
  while (reader.next_key(key))
    if (!read_value(reader, key, identity)) return false;
  return reader.at_end();
}

std::string render_identity(const Identity& identity) {
  std::string out;
  ObjectWriter object(out);
  object.text("type", type::kIdentity);
  object.number("time_ns", identity.time_ns);
  object.bytes("entropy", identity.entropy);
  object.text("hostname", identity.hostname);
  object.text("machine_id", identity.machine_id);
  write_objects(out, object, "nics", identity.nics, [&out](ObjectWriter& w, const IdentityNic& n) {
    w.number("index", n.index);
    w.text("find_mac", n.find_mac);
    w.text("mac", n.mac);
    w.number("mtu", n.mtu);
    w.flag("set_addresses", n.set_addresses);
    w.texts("addresses", n.addresses);
    write_objects(out, w, "routes", n.routes, [](ObjectWriter& inner, const IdentityRoute& r) {
      inner.text("to", r.to);
      inner.text("via", r.via);
    });
    w.flag("renew_dhcp", n.renew_dhcp);
  });
  object.texts("dns", identity.dns);
  object.texts("search", identity.search);
  write_objects(out, object, "mounts", identity.mounts,
                [](ObjectWriter& w, const IdentityMount& m) {
                  w.text("serial", m.serial);
                  w.number("index", m.index);
                  w.text("fstype", m.fstype);
                  w.text("path", m.path);
                  w.flag("unmount", m.unmount);
                });
  object.finish();
  out += '\n';
  return out;
}

}  // namespace cocoon::agent_wire
