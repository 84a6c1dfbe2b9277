// SPDX-License-Identifier: Apache-2.0
// The record of a CNI attachment: what DEL needs when the network's configuration is long gone. One
// file per interface, in the form of libcni, so that the original finds ours and we find its
// (spec 05 §1.3). It is written before ADD, without a result: a file is there as long as there may
// be anything to delete.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "network/cni/conflist.h"
#include "network/cni/plugin.h"

namespace cocoon::network::cni {

struct Cached {
  Attachment attachment;
  std::string network;    // name of the list
  std::string config;     // its document
  nlohmann::json result;  // of ADD; null: ADD has not ended well
  int failed_deletes = 0;
};

std::string render_cache(const Cached& cached);
// kCorrupt: not a file of this form, or names in it that are none.
Result<Cached> parse_cache(std::string_view text);

// "<network>-<container>-<interface>"
std::string cache_name(const Cached& cached);

Result<void> write_cache(const Host& host, const Cached& cached);
Result<void> remove_cache(const Host& host, const Cached& cached);
// All attachments that are recorded; of one container, where that is not empty. A file that cannot
// be read is logged and left alone.
Result<std::vector<Cached>> list_cache(const Host& host, std::string_view container);

// Files of writes that were killed: their names hold the container's. To be looked at and removed
// under its lock.
Result<std::vector<std::string>> list_unfinished(const Host& host);
Result<void> remove_unfinished(const Host& host, std::string_view container);

}  // namespace cocoon::network::cni
