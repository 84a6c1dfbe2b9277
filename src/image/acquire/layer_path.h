// SPDX-License-Identifier: Apache-2.0
// The names in layers: what is a legal path, and what is a marker and no file (spec 02 §13.3,
// §13.4). Pure.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace cocoon::image {

struct LayerPath {
  std::string parent;  // "usr/lib"; empty: the root directory
  std::string name;    // "libc.so"; empty: the path is the root directory itself
  std::string full() const { return parent.empty() ? name : parent + "/" + name; }
};

// Splits a path of a layer. Leading slashes, empty and "." components fall away. kCorrupt for ".."
// anywhere, for components over 255 bytes and paths over 4096.
Result<LayerPath> parse_layer_path(std::string_view path);

enum class Marker {
  kNone,      // a real object
  kWhiteout,  // ".wh.<name>": hides `name` of the layers below
  kOpaque,    // ".wh..wh..opq": hides everything of the layers below in its directory
  kAufs,      // aufs' own bookkeeping: to be dropped
};

struct MarkedPath {
  Marker marker = Marker::kNone;
  LayerPath path;  // for a whiteout its name is the hidden one
};

// Classifies a path. kCorrupt for a whiteout of nothing, of "." or "..", and for something inside a
// whiteout.
Result<MarkedPath> classify(LayerPath path);

// The name of a member in an outer archive as documents inside refer to it: without leading "./".
std::string plain_member_name(std::string_view path);

// Where a symbolic link among the members leads ("../<id>/layer.tar" seen from "<id2>/layer.tar");
// empty when it leads out of the archive.
std::string linked_member(std::string_view link, std::string_view target);

}  // namespace cocoon::image
