// SPDX-License-Identifier: Apache-2.0
#include "network/cni/runtime.h"

#include "base/text.h"

namespace cocoon::network::cni {
namespace {

using nlohmann::json;

constexpr std::string_view kFirstWithCheck = "0.4.0";  // and with prevResult for DEL

Result<void> check_attachment_names(const Conflist& list, const Attachment& attachment) {
  if (!is_cni_name(attachment.container) || !is_if_name(attachment.if_name)) {
    return fail(ErrorKind::kInvalid, "container \"{}\", interface \"{}\"", attachment.container,
                attachment.if_name);
  }
  for (const auto& [capability, value] : attachment.capability_args.items()) {
    if (list.has_capability(capability)) continue;
    return fail(ErrorKind::kUnsupported, "network \"{}\" has no plugin with the capability {}",
                list.name, capability);
  }
  return {};
}

}  // namespace

Result<AddResult> add_attachment(const Host& host, const Conflist& list,
                                 const Attachment& attachment) {
  COCOON_TRY(check_attachment_names(list, attachment));
  Cached cached{attachment, list.name, list.bytes, nullptr, 0};
  COCOON_TRY(write_cache(host, cached));
  json previous = nullptr;
  for (const json& plugin : list.plugins) {
    std::string output = COCOON_TRY(run_plugin("ADD", host, list, plugin, attachment, previous));
    previous = COCOON_TRY(parse_result(output, list.version), "CNI plugin {}",
                          plugin.at("type").get<std::string>());
  }
  AddResult result = COCOON_TRY(read_result(previous), "network \"{}\"", list.name);
  cached.result = std::move(previous);
  COCOON_TRY(write_cache(host, cached));
  return result;
}

Result<void> check_attachment(const Host& host, const Cached& cached) {
  Conflist list = COCOON_TRY(parse_conflist(cached.config), "network \"{}\"", cached.network);
  bool can = !list.disable_check && compare_versions(list.version, kFirstWithCheck) >= 0;
  if (!can || cached.result.is_null()) {
    return fail(ErrorKind::kUnsupported, "network \"{}\" cannot be checked", cached.network);
  }
  for (const json& plugin : list.plugins) {
    COCOON_TRY(run_plugin("CHECK", host, list, plugin, cached.attachment, cached.result));
  }
  return {};
}

Result<void> delete_attachment(const Host& host, const Cached& cached) {
  Conflist list = COCOON_TRY(parse_conflist(cached.config), "network \"{}\"", cached.network);
  bool shows_result = compare_versions(list.version, kFirstWithCheck) >= 0;
  const json previous = shows_result ? cached.result : json(nullptr);
  for (auto plugin = list.plugins.rbegin(); plugin != list.plugins.rend(); ++plugin) {
    COCOON_TRY(run_plugin("DEL", host, list, *plugin, cached.attachment, previous));
  }
  return remove_cache(host, cached);
}

Result<void> count_failed_delete(const Host& host, const Cached& cached) {
  Cached failed = cached;
  ++failed.failed_deletes;
  return write_cache(host, failed);
}

}  // namespace cocoon::network::cni
