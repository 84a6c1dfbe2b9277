// SPDX-License-Identifier: Apache-2.0
#include "network/cni/cache.h"

#include "base/base64.h"
#include "base/log.h"
#include "base/text.h"
#include "model/json_fields.h"
#include "sys/fault.h"
#include "sys/files.h"

namespace cocoon::network::cni {
namespace {

using nlohmann::json;

constexpr const char* kKind = "cniCacheV1";
const std::string kUnfinished = ".tmp-";  // before the name of a file that is being written
constexpr std::size_t kMaxFile = std::size_t{4} << 20;

Result<std::vector<std::pair<std::string, std::string>>> read_args(const json* list) {
  std::vector<std::pair<std::string, std::string>> args;
  if (list == nullptr) return args;
  if (!list->is_array()) return fail(ErrorKind::kCorrupt, "cniArgs is no list");
  for (const json& pair : *list) {
    bool good = pair.is_array() && pair.size() == 2 && pair[0].is_string() && pair[1].is_string();
    if (!good) return fail(ErrorKind::kCorrupt, "cniArgs holds no pairs");
    args.emplace_back(pair[0].get<std::string>(), pair[1].get<std::string>());
  }
  return args;
}

std::filesystem::path cache_path(const Host& host, const Cached& cached) {
  return host.cache_dir / cache_name(cached);
}

}  // namespace

std::string render_cache(const Cached& cached) {
  json out = {{"kind", kKind},
              {"containerId", cached.attachment.container},
              {"config", encode_base64(cached.config)},
              {"ifName", cached.attachment.if_name},
              {"networkName", cached.network},
              {"netns", cached.attachment.netns}};
  for (const auto& [key, value] : cached.attachment.args) {
    out["cniArgs"].push_back(json::array({key, value}));
  }
  if (!cached.attachment.capability_args.empty()) {
    out["capabilityArgs"] = cached.attachment.capability_args;
  }
  if (!cached.result.is_null()) out["result"] = cached.result;
  if (cached.failed_deletes > 0) out["failedDeletes"] = cached.failed_deletes;
  return out.dump();
}

Result<Cached> parse_cache(std::string_view text) {
  json in = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (in.is_discarded()) return fail(ErrorKind::kCorrupt, "not JSON");
  Cached cached;
  std::string kind;
  std::string config;
  model::Fields fields(in, "attachment");
  fields.get("kind", kind);
  fields.get("containerId", cached.attachment.container);
  fields.get("config", config);
  fields.get("ifName", cached.attachment.if_name);
  fields.get("networkName", cached.network);
  fields.get("netns", cached.attachment.netns);
  fields.get("failedDeletes", cached.failed_deletes);
  COCOON_TRY(fields.check());
  auto bytes = decode_base64(config);
  if (kind != kKind || !bytes) return fail(ErrorKind::kCorrupt, "not an attachment");
  bool named = is_cni_name(cached.network) && is_cni_name(cached.attachment.container) &&
               is_if_name(cached.attachment.if_name);
  if (!named) return fail(ErrorKind::kCorrupt, "an attachment without usable names");
  cached.config = std::move(*bytes);
  cached.attachment.args = COCOON_TRY(read_args(fields.find("cniArgs")));
  if (const json* able = fields.find("capabilityArgs"); able != nullptr && able->is_object()) {
    cached.attachment.capability_args = *able;
  }
  if (const json* result = fields.find("result"); result != nullptr && result->is_object()) {
    cached.result = *result;
  }
  return cached;
}

std::string cache_name(const Cached& cached) {
  return fmt::format("{}-{}-{}", cached.network, cached.attachment.container,
                     cached.attachment.if_name);
}

// Whole or not at all for whoever looks, but without waiting for the disk: what a power loss takes,
// it takes with the namespace. The temporary file's name says whose it is.
Result<void> write_cache(const Host& host, const Cached& cached) {
  COCOON_TRY(sys::make_dirs(host.cache_dir, 0700));
  std::filesystem::path temp = host.cache_dir / (kUnfinished + cache_name(cached));
  {
    constexpr int kFlags = O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW;
    sys::UniqueFd fd = COCOON_TRY(sys::open_file(temp, kFlags, 0600));
    COCOON_TRY(sys::write_all(fd.get(), render_cache(cached)), "write {}", temp.native());
  }
  sys::side_effect("write attachment");
  COCOON_TRY(sys::rename_path(temp, cache_path(host, cached)));
  sys::side_effect("record attachment");
  return {};
}

Result<std::vector<std::string>> list_unfinished(const Host& host) {
  std::vector<std::string> names;
  for (std::string& name : COCOON_TRY(sys::list_dir(host.cache_dir))) {
    if (name.starts_with(kUnfinished)) names.push_back(std::move(name));
  }
  return names;
}

Result<void> remove_unfinished(const Host& host, std::string_view container) {
  for (const std::string& name : COCOON_TRY(list_unfinished(host))) {
    if (name.find(container) == std::string::npos) continue;
    COCOON_TRY(sys::remove_file(host.cache_dir / name));
  }
  return {};
}

Result<void> remove_cache(const Host& host, const Cached& cached) {
  return sys::remove_file(cache_path(host, cached));
}

Result<std::vector<Cached>> list_cache(const Host& host, std::string_view container) {
  std::vector<Cached> found;
  for (const std::string& name : COCOON_TRY(sys::list_dir(host.cache_dir))) {
    // Cheap before the file is read: the container's ID is in the name.
    if (!container.empty() && name.find(container) == std::string::npos) continue;
    auto text = sys::read_file(host.cache_dir / name, kMaxFile);
    auto cached = text ? parse_cache(*text) : Result<Cached>(pass(text.error()));
    if (!cached || cache_name(*cached) != name) {
      if (!name.starts_with(kUnfinished))
        log_warn("ignoring {}: not the record of a CNI attachment", name);
      continue;
    }
    if (container.empty() || cached->attachment.container == container) {
      found.push_back(std::move(*cached));
    }
  }
  return found;
}

}  // namespace cocoon::network::cni
