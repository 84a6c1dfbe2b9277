// SPDX-License-Identifier: Apache-2.0
// The header of a qcow2 image from a stranger, checked by our own eyes before any program opens the
// file: what a header can name (a backing file, an external data file) qemu-img opens with its own
// rights (spec 06 §7, run). Format: QEMU's docs/interop/qcow2.txt. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace cocoon::disk {

inline constexpr std::string_view kQcow2Magic = "QFI\xfb";
// How much of the file check_qcow2 wants to see: more than any header with its extensions needs.
inline constexpr std::size_t kQcow2HeadBytes = std::size_t{64} << 10;
// The largest virtual disk that is taken: a header can claim any size for a small file.
inline constexpr std::int64_t kMaxVirtualBytes = std::int64_t{2} << 40;

struct Qcow2Info {
  int version = 0;                // 2 or 3
  std::int64_t virtual_size = 0;  // bytes
};

// Looks at the first bytes of the file (kQcow2HeadBytes of it, or all of a shorter one). kCorrupt:
// no header that can be; kUnsupported: a backing file, an external data file, encryption, internal
// snapshots, unknown incompatible features, an image that was not closed, more than
// kMaxVirtualBytes.
Result<Qcow2Info> check_qcow2(std::string_view head);

// The same for the overlay of a VM that came from elsewhere: its backing file is the raw file
// `backing`, by exactly that name, and nothing else is named. An overlay that was not closed is
// taken: it was saved while its guest ran.
Result<Qcow2Info> check_overlay(std::string_view head, std::string_view backing);

// The file below an overlay, as the overlay names it.
struct Backing {
  std::string name;
  std::string format;  // "raw", "qcow2"
};

// What a header that was not checked yet names as its backing file: anything. Empty: nothing.
std::string backing_name(std::string_view head);

// The head of an overlay on `from`, with `to` in its place; nothing else of it changes. Everything
// that check_overlay refuses is refused, and a head without the format or the room. `head`: as
// check_qcow2.
Result<std::string> with_backing(std::string_view head, const Backing& from, const Backing& to);

}  // namespace cocoon::disk
