// SPDX-License-Identifier: Apache-2.0
#include "snapshot/archive/documents.h"

#include <array>

#include "model/json_fields.h"
#include "model/untrusted_json.h"

namespace cocoon::snapshot {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr int kVersion = 1;
constexpr const char* kFormKey = "form";
constexpr const char* kOriginalForm = "original";

// The keys of `config` in the original's order (spec 04 §1.3).
constexpr std::array kConfigKeys{
    "cpu",        "memory",       "storage",    "queue_size",  "disk_queue_size",
    "image",      "image_digest", "image_type", "network",     "no_direct_io",
    "windows",    "id",           "name",       "description", "image_blob_ids",
    "hypervisor", "nics"};

constexpr std::array kHomes{std::pair{SharedSource::Home::kBlob, "blob"},
                            std::pair{SharedSource::Home::kKernel, "kernel"},
                            std::pair{SharedSource::Home::kFirmware, "firmware"}};

json shared_json(const SharedSource& source) {
  json out = json::object();
  for (const auto& [home, name] : kHomes) {
    if (home == source.home) out["home"] = name;
  }
  if (!source.id.empty()) out["id"] = source.id;
  if (!source.kind.empty()) out["kind"] = source.kind;
  if (!source.file.empty()) out["file"] = source.file;
  return out;
}

Result<SharedSource> parse_shared(const json& in) {
  SharedSource source;
  std::string wanted;
  model::Fields fields(in, "shared");
  fields.get("home", wanted);
  fields.get("id", source.id);
  fields.get("kind", source.kind);
  fields.get("file", source.file);
  COCOON_TRY(fields.check());
  for (const auto& [home, name] : kHomes) {
    if (wanted != name) continue;
    source.home = home;
    return source;
  }
  return fail(ErrorKind::kCorrupt, "a shared member of the unknown kind \"{}\"", wanted);
}

std::string text_of(const json& object, const char* key) {
  auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

template <class Json>
std::string dump(const Json& document, int indent) {
  return document.dump(indent, ' ', false, Json::error_handler_t::replace);
}

std::string envelope_of(const json& all) {
  ordered_json config = ordered_json::object();
  for (const char* key : kConfigKeys) {
    if (auto found = all.find(key); found != all.end()) config[key] = *found;
  }
  ordered_json document = {{"config", std::move(config)}, {"version", kVersion}};
  return dump(document, 2) + "\n";
}

}  // namespace

std::string render_envelope(const model::Snapshot& snapshot) {
  return envelope_of(model::to_public_json(snapshot, -1));
}

std::string render_envelope(const model::Snapshot& snapshot, const json& blob_ids) {
  json all = model::to_public_json(snapshot, -1);
  all["image_blob_ids"] = blob_ids;
  return envelope_of(all);
}

Result<Envelope> parse_envelope(std::string_view text) {
  json document = COCOON_TRY(parse_document(text, kEnvelopeFile));
  auto version = document.find("version");
  if (version == document.end() || *version != kVersion) {
    return fail(ErrorKind::kUnsupported, "unsupported snapshot archive version {}",
                version == document.end() ? "(none)" : dump(*version, -1));
  }
  auto config = document.find("config");
  if (config == document.end() || !config->is_object()) {
    return fail(ErrorKind::kCorrupt, "{} has no config", kEnvelopeFile);
  }
  return Envelope{text_of(*config, "name"), text_of(*config, "description"), *config};
}

namespace {

json sidecar_json(const Sidecar& sidecar) {
  json out = model::to_stored_json(sidecar.snapshot);
  json shared = json::object();
  for (const auto& [name, source] : sidecar.shared) shared[name] = shared_json(source);
  out["shared"] = std::move(shared);
  if (sidecar.kernel_object) out["kernel_object"] = model::to_stored_json(*sidecar.kernel_object);
  if (sidecar.original_form) out[kFormKey] = kOriginalForm;
  return out;
}

}  // namespace

std::string render_sidecar(const Sidecar& sidecar) { return dump(sidecar_json(sidecar), -1); }

std::string render_sidecar(const Sidecar& sidecar, const json& more) {
  json out = sidecar_json(sidecar);
  out.update(more);
  return dump(out, -1);
}

bool is_own_sidecar(const json& document) { return document.contains("format"); }

Result<Sidecar> parse_sidecar(const json& document) {
  Sidecar out;
  out.snapshot = COCOON_TRY(model::parse_snapshot(document), "{}", kSidecarFile);
  if (auto shared = document.find("shared"); shared != document.end()) {
    if (!shared->is_object()) return fail(ErrorKind::kCorrupt, "shared is no object");
    for (const auto& [name, source] : shared->items()) {
      out.shared[name] = COCOON_TRY(parse_shared(source), "{}", name);
    }
  }
  if (auto kernel = document.find("kernel_object"); kernel != document.end()) {
    out.kernel_object = COCOON_TRY(model::parse_kernel(*kernel), "kernel object");
  }
  std::string form;
  model::Fields fields(document, kSidecarFile);
  fields.get(kFormKey, form);
  COCOON_TRY(fields.check());
  if (!form.empty() && form != kOriginalForm) {
    return fail(ErrorKind::kUnsupported, "{} is of the unknown form \"{}\"", kSidecarFile, form);
  }
  out.original_form = !form.empty();
  return out;
}

Result<json> parse_document(std::string_view text, std::string_view what) {
  if (text.size() > kMaxDocument) return fail(ErrorKind::kCorrupt, "{} is too large", what);
  json document = COCOON_TRY(model::parse_untrusted_json(text), "{}", what);
  if (!document.is_object()) return fail(ErrorKind::kCorrupt, "{} is no JSON object", what);
  return document;
}

}  // namespace cocoon::snapshot
