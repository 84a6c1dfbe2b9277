// SPDX-License-Identifier: Apache-2.0
// CNI network configuration lists: which there are, what they say, which one is meant (CNI
// specification 0.4 to 1.1, "Network configuration format"; spec 05 §1.2 and n3, n4).
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace cocoon::network::cni {

struct Conflist {
  std::string name;
  std::string version;                  // cniVersion to speak; "0.1.0" when the file says none
  bool disable_check = false;           // CHECK must not be called
  std::vector<nlohmann::json> plugins;  // objects, each with "type"; at least one
  std::string bytes;                    // the document it was parsed from
  std::string file;                     // where it came from; for messages

  // Does any plugin ask for this capability ("portMappings")?
  bool has_capability(std::string_view name) const;
};

// Reads one document: a list, or a single plugin's configuration, which is a list of one. kInvalid
// with the reason. Pure.
Result<Conflist> parse_conflist(std::string_view text);

// What a directory holds, in the order of file names. A file that cannot be read or parsed is not a
// network, and does not hide the others.
struct Networks {
  std::vector<Conflist> lists;
  std::vector<std::string> problems;  // "<file>: <why>"
};
Result<Networks> find_networks(const std::filesystem::path& directory);

// The list that is meant: by name, or the first one when `name` is empty. kNotFound names what
// there is and what is wrong with the rest; kConflict: two files have this name.
Result<Conflist> choose_network(const Networks& networks, std::string_view name,
                                const std::filesystem::path& directory);

// Names of networks, containers: ^[a-zA-Z0-9][a-zA-Z0-9_.-]*$
bool is_cni_name(std::string_view text);
// Names of interfaces: such a name of at most 15 characters.
bool is_if_name(std::string_view text);

// -1, 0, 1: "0.4.0" against "1.0.0". Text that is no version is older than any.
int compare_versions(std::string_view a, std::string_view b);

// What `doctor --fix` writes on a host without a network: a bridge with addresses of its own,
// masqueraded, with port publishing.
std::string default_conflist();
inline constexpr const char* kDefaultConflistFile = "10-cocoon.conflist";

}  // namespace cocoon::network::cni
