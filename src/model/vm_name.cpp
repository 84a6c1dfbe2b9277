// SPDX-License-Identifier: Apache-2.0
#include "model/vm_name.h"

#include <algorithm>

#include "base/text.h"

namespace cocoon::model {
namespace {

constexpr std::size_t kMaxName = 63;

bool all_of_set(std::string_view text, std::string_view extra) {
  return std::all_of(text.begin(), text.end(), [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           extra.find(c) != std::string_view::npos;
  });
}

bool is_tag(std::string_view tag) {
  return !tag.empty() && tag.size() <= 128 && all_of_set(to_lower(tag), "_.-");
}

// The repository of a reference without its registry; empty when it does not parse.
std::string repository_of(std::string_view base) {
  auto slash = base.find('/');
  std::string_view first = base.substr(0, slash);
  if (slash != std::string_view::npos && first.find_first_of(".:") != std::string_view::npos) {
    base = base.substr(slash + 1);
  }
  if (base.size() < 2 || base.size() > 255 || !all_of_set(base, "_./-")) return {};
  return std::string(base);
}

std::string dashed(std::string_view text, std::string_view separators) {
  std::string out(text);
  for (char& c : out) {
    if (separators.find(c) != std::string_view::npos) c = '-';
  }
  return out;
}

std::string named(std::string repository, std::string_view tag) {
  if (repository.rfind("library/", 0) == 0) repository.erase(0, 8);
  std::string name = "cocoon-" + dashed(repository, "/");
  if (!tag.empty() && tag != "latest") name += "-" + std::string(tag);
  return name;
}

}  // namespace

std::string default_vm_name(std::string_view image) {
  std::string name;
  auto colon = image.rfind(':');
  bool has_tag = colon != std::string_view::npos &&
                 image.substr(colon + 1).find('/') == std::string_view::npos;
  std::string_view tag = has_tag ? image.substr(colon + 1) : std::string_view();
  std::string repository = repository_of(has_tag ? image.substr(0, colon) : image);
  auto at = image.find('@');
  if (!repository.empty() && (!has_tag || is_tag(tag))) {
    name = named(repository, tag);
  } else if (at != std::string_view::npos && image.substr(at + 1, 7) == "sha256:" &&
             is_sha256_hex(image.substr(at + 8))) {
    std::string_view base = image.substr(0, at);
    auto tag_at = base.rfind(':');
    if (tag_at != std::string_view::npos && base.find('/', tag_at) == std::string_view::npos) {
      base = base.substr(0, tag_at);
    }
    repository = repository_of(base);
    if (!repository.empty()) name = named(repository, "");
  }
  if (name.empty()) name = "cocoon-" + dashed(image, "/:");
  return name.substr(0, kMaxName);
}

}  // namespace cocoon::model
