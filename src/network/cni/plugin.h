// SPDX-License-Identifier: Apache-2.0
// One run of one CNI plugin program (CNI specification, section 2; spec 05 §1.3).
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/error.h"
#include "network/cni/conflist.h"

namespace cocoon::network::cni {

// How plugins are run on this host.
struct Host {
  std::filesystem::path conf_dir;
  std::vector<std::string> plugin_dirs;  // searched in this order; CNI_PATH
  std::filesystem::path cache_dir;       // attachments that exist (cache.h)
  Milliseconds limit{60'000};            // one plugin's run
  int lock_fd = -1;                      // the VM's lock, which plugins hold while they run
};

// One interface of one VM.
struct Attachment {
  std::string container;                                      // the VM's ID
  std::string netns;                                          // path of its namespace
  std::string if_name;                                        // eth0
  std::vector<std::pair<std::string, std::string>> args;      // CNI_ARGS
  nlohmann::json capability_args = nlohmann::json::object();  // by capability
};

// The plugin's environment: `parent` (K=V) with the CNI_ variables in place of its own. Pure.
std::vector<std::string> plugin_environment(const std::vector<std::string>& parent,
                                            std::string_view command, const Host& host,
                                            const Attachment& attachment);

// What the plugin reads from stdin: its configuration with name, cniVersion, runtimeConfig for the
// capabilities that it has, and prevResult unless that is null. Pure.
nlohmann::json plugin_input(const Conflist& list, const nlohmann::json& plugin,
                            const Attachment& attachment, const nlohmann::json& previous);

// Runs `command` (ADD, CHECK, DEL). Returns what it printed. kNotFound: no such program in the
// directories; kTimeout: it did not end in time and was killed with all its children; kSystem with
// the plugin's own words: it failed.
Result<std::string> run_plugin(std::string_view command, const Host& host, const Conflist& list,
                               const nlohmann::json& plugin, const Attachment& attachment,
                               const nlohmann::json& previous);

// Where plugins are looked for: the configured directory, then the usual ones.
std::vector<std::string> plugin_dirs(const std::string& configured);

// Where the program of a plugin type lies; nullopt when nowhere.
std::optional<std::string> find_plugin(const Host& host, const std::string& type);

}  // namespace cocoon::network::cni
