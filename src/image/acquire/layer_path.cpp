// SPDX-License-Identifier: Apache-2.0
#include "image/acquire/layer_path.h"

#include "base/text.h"

namespace cocoon::image {
namespace {

constexpr std::size_t kLongestPath = 4096;
constexpr std::size_t kLongestName = 255;
constexpr std::string_view kWhiteoutPrefix = ".wh.";
constexpr std::string_view kAufsPrefix = ".wh..wh.";
constexpr std::string_view kOpaqueName = ".wh..wh..opq";

}  // namespace

Result<LayerPath> parse_layer_path(std::string_view path) {
  if (path.size() > kLongestPath) {
    return fail(ErrorKind::kCorrupt, "a path of {} bytes: {}…", path.size(), path.substr(0, 60));
  }
  if (path.find('\0') != std::string_view::npos)
    return fail(ErrorKind::kCorrupt, "a path with NUL");
  LayerPath out;
  for (std::string_view component : split(path, '/')) {
    if (component.empty() || component == ".") continue;
    if (component == "..") {
      return fail(ErrorKind::kCorrupt, "the path \"{}\" leads out with \"..\"", path);
    }
    if (component.size() > kLongestName) {
      return fail(ErrorKind::kCorrupt, "a name of {} bytes: {}…", component.size(),
                  component.substr(0, 60));
    }
    out.parent = out.full();
    out.name = component;
  }
  return out;
}

Result<MarkedPath> classify(LayerPath path) {
  for (std::string_view component : split(path.parent, '/')) {
    if (component.starts_with(kAufsPrefix)) return MarkedPath{Marker::kAufs, std::move(path)};
    if (component.starts_with(kWhiteoutPrefix)) {
      return fail(ErrorKind::kCorrupt, "\"{}\" is inside a whiteout", path.full());
    }
  }
  if (path.name == kOpaqueName) return MarkedPath{Marker::kOpaque, std::move(path)};
  if (path.name.starts_with(kAufsPrefix)) return MarkedPath{Marker::kAufs, std::move(path)};
  if (!path.name.starts_with(kWhiteoutPrefix)) return MarkedPath{Marker::kNone, std::move(path)};
  std::string hidden = path.name.substr(kWhiteoutPrefix.size());
  if (hidden.empty() || hidden == "." || hidden == "..") {
    return fail(ErrorKind::kCorrupt, "\"{}\" hides nothing that can exist", path.full());
  }
  path.name = std::move(hidden);
  return MarkedPath{Marker::kWhiteout, std::move(path)};
}

std::string plain_member_name(std::string_view path) {
  while (path.starts_with("./")) path.remove_prefix(2);
  while (path.ends_with('/')) path.remove_suffix(1);
  return std::string(path);
}

std::string linked_member(std::string_view link, std::string_view target) {
  if (target.starts_with('/')) return "";
  auto slash = link.rfind('/');
  std::vector<std::string_view> parts;
  if (slash != std::string_view::npos) parts = split(link.substr(0, slash), '/');
  for (std::string_view part : split(target, '/')) {
    if (part.empty() || part == ".") continue;
    if (part != "..") {
      parts.push_back(part);
    } else if (parts.empty()) {
      return "";
    } else {
      parts.pop_back();
    }
  }
  return fmt::format("{}", fmt::join(parts, "/"));
}

}  // namespace cocoon::image
