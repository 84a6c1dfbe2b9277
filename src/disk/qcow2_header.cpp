// SPDX-License-Identifier: Apache-2.0
#include "disk/qcow2_header.h"

#include <algorithm>

#include "base/units.h"

namespace cocoon::disk {
namespace {

constexpr std::size_t kLengthOfV2 = 72;
constexpr std::size_t kLeastLengthOfV3 = 104;
constexpr std::uint64_t kDirty = 1;
constexpr std::uint64_t kCorruptBit = 2;
constexpr std::uint64_t kExternalData = 4;
constexpr std::uint64_t kCompressionType = 8;
constexpr std::uint64_t kExtensionEnd = 0;
constexpr std::uint64_t kBackingFormat = 0xE2792ACA;
constexpr std::uint64_t kDataFileName = 0x44415441;
constexpr std::uint64_t kEncryptionHeader = 0x0537be77;

// Big-endian fields at fixed places. Past the end reads as 0; the lengths are checked first.
class Fields {
 public:
  explicit Fields(std::string_view bytes) : bytes_(bytes) {}
  std::uint64_t u32(std::size_t at) const { return number(at, 4); }
  std::uint64_t u64(std::size_t at) const { return number(at, 8); }
  std::string_view text(std::size_t at, std::uint64_t length) const {
    return at < bytes_.size() ? bytes_.substr(at, length) : std::string_view();
  }
  std::size_t size() const { return bytes_.size(); }

 private:
  std::uint64_t number(std::size_t at, std::size_t width) const {
    std::uint64_t value = 0;
    for (std::size_t i = at; i < at + width && i < bytes_.size(); ++i) {
      value = value << 8 | static_cast<unsigned char>(bytes_[i]);
    }
    return value;
  }
  std::string_view bytes_;
};

Failure corrupt(std::string_view what) {
  return fail(ErrorKind::kCorrupt, "qcow2 header: {}", what);
}
Failure refused(std::string_view what) {
  return fail(ErrorKind::kUnsupported, "qcow2 image {}", what);
}

// What a header may say besides what every image says.
struct Allowed {
  std::string_view backing = {};    // the name of the backing file; empty: there must be none
  std::string_view format = "raw";  // of that file
  bool dirty = false;
};

Result<void> check_features(std::uint64_t features, const Allowed& allowed) {
  if ((features & kExternalData) != 0) return refused("with an external data file");
  if ((features & kCorruptBit) != 0) return refused("that is marked as corrupt");
  if ((features & kDirty) != 0 && !allowed.dirty) {
    return refused("that was not closed; run qemu-img check -r all");
  }
  if ((features & ~(kCompressionType | kDirty)) != 0) {
    return refused(fmt::format("with unknown incompatible features {:#x}", features));
  }
  return {};
}

// The extensions lie between the header and the end of the first cluster.
Result<void> check_extensions(const Fields& head, std::size_t at, std::size_t end,
                              const Allowed& allowed) {
  while (at + 8 <= end) {
    if (at + 8 > head.size()) return corrupt("extensions that do not end");
    std::uint64_t type = head.u32(at);
    std::uint64_t length = head.u32(at + 4);
    if (type == kExtensionEnd) return {};
    if (type == kBackingFormat &&
        (allowed.backing.empty() || head.text(at + 8, length) != allowed.format)) {
      return refused("with the format of a backing file");
    }
    if (type == kDataFileName) return refused("with the name of a data file");
    if (type == kEncryptionHeader) return refused("that is encrypted");
    if (length > end - at - 8) return corrupt("an extension that leaves the first cluster");
    at += 8 + (static_cast<std::size_t>(length) + 7) / 8 * 8;
  }
  return {};
}

Result<void> check_backing(const Fields& head, const Allowed& allowed) {
  std::uint64_t at = head.u64(8);
  std::uint64_t length = head.u32(16);
  if (allowed.backing.empty()) {
    if (at != 0 || length != 0) return refused("with a backing file");
    return {};
  }
  if (at < head.size() && head.text(static_cast<std::size_t>(at), length) == allowed.backing) {
    return {};
  }
  return refused(fmt::format("whose backing file is not {}", allowed.backing));
}

// The fields that both versions have.
Result<Qcow2Info> check_common(const Fields& head, const Allowed& allowed) {
  Qcow2Info info;
  info.version = static_cast<int>(head.u32(4));
  if (head.u32(4) != 2 && head.u32(4) != 3) {
    return corrupt(fmt::format("version {}", head.u32(4)));
  }
  COCOON_TRY(check_backing(head, allowed));
  if (head.u32(20) < 9 || head.u32(20) > 21) {
    return corrupt(fmt::format("clusters of 2^{} bytes", head.u32(20)));
  }
  std::uint64_t size = head.u64(24);
  if (size == 0) return corrupt("a disk of 0 bytes");
  if (size > static_cast<std::uint64_t>(kMaxVirtualBytes)) {
    return refused(
        fmt::format("of {} bytes; at most {} are taken", size, bytes_size(kMaxVirtualBytes)));
  }
  info.virtual_size = static_cast<std::int64_t>(size);
  if (head.u32(32) != 0) return refused("that is encrypted");
  if (head.u32(60) != 0) return refused("with internal snapshots");
  return info;
}

Result<Qcow2Info> check(std::string_view head, const Allowed& allowed) {
  if (!head.starts_with(kQcow2Magic)) return corrupt("not there");
  Fields fields(head);
  if (head.size() < kLengthOfV2) return corrupt("cut off");
  Qcow2Info info = COCOON_TRY(check_common(fields, allowed));
  std::size_t length = kLengthOfV2;
  std::size_t cluster = std::size_t{1} << fields.u32(20);
  if (info.version == 3) {
    if (head.size() < kLeastLengthOfV3) return corrupt("cut off");
    COCOON_TRY(check_features(fields.u64(72), allowed));
    std::uint64_t said = fields.u32(100);
    if (said < kLeastLengthOfV3 || said % 8 != 0 || said > cluster) {
      return corrupt(fmt::format("a length of {}", said));
    }
    length = static_cast<std::size_t>(said);
  }
  COCOON_TRY(check_extensions(fields, length, cluster, allowed));
  return info;
}

// Where the extension with the format of the backing file begins, and where all of them end. The
// header is checked.
struct ExtensionPlaces {
  std::size_t format = 0;  // 0: there is none
  std::size_t end = 0;
};

ExtensionPlaces find_extensions(const Fields& head) {
  ExtensionPlaces places;
  std::size_t at = head.u32(4) == 3 ? static_cast<std::size_t>(head.u32(100)) : kLengthOfV2;
  while (at + 8 <= head.size() && head.u32(at) != kExtensionEnd) {
    if (head.u32(at) == kBackingFormat) places.format = at;
    at += 8 + (static_cast<std::size_t>(head.u32(at + 4)) + 7) / 8 * 8;
  }
  places.end = at + 8;
  return places;
}

void put_u32(std::string& bytes, std::size_t at, std::size_t value) {
  for (std::size_t i = 0; i < 4; ++i) {
    bytes[at + i] = static_cast<char>(value >> (8 * (3 - i)) & 0xFF);
  }
}

}  // namespace

std::string backing_name(std::string_view head) {
  if (!head.starts_with(kQcow2Magic)) return {};
  Fields fields(head);
  std::uint64_t at = fields.u64(8);
  if (at == 0 || at >= head.size()) return {};
  return std::string(fields.text(static_cast<std::size_t>(at), fields.u32(16)));
}

Result<std::string> with_backing(std::string_view head, const Backing& from, const Backing& to) {
  COCOON_TRY(check(head, {.backing = from.name, .format = from.format, .dirty = true}));
  Fields fields(head);
  constexpr std::size_t kFormatBytes = 8;  // an extension's content is filled up to as many
  ExtensionPlaces places = find_extensions(fields);
  if (places.format == 0) return refused("without the format of its backing file");
  auto at = static_cast<std::size_t>(fields.u64(8));
  std::size_t end = at + std::max(from.name.size(), to.name.size());
  std::size_t room = std::min(head.size(), std::size_t{1} << fields.u32(20));
  std::string_view behind = fields.text(at + from.name.size(), end - at - from.name.size());
  if (at < places.end || end > room || behind.find_first_not_of('\0') != behind.npos) {
    return refused("without room for the name of another backing file");
  }
  if (from.format.size() > kFormatBytes || to.format.size() > kFormatBytes) {
    return fail(ErrorKind::kInternal, "formats \"{}\" and \"{}\"", from.format, to.format);
  }
  std::string out(head);
  put_u32(out, 16, to.name.size());
  put_u32(out, places.format + 4, to.format.size());
  std::string format = to.format;
  format.resize(kFormatBytes, '\0');
  out.replace(places.format + 8, kFormatBytes, format);
  std::string name = to.name;
  name.resize(end - at, '\0');
  out.replace(at, name.size(), name);
  return out;
}

Result<Qcow2Info> check_qcow2(std::string_view head) { return check(head, {}); }

Result<Qcow2Info> check_overlay(std::string_view head, std::string_view backing) {
  if (backing.empty()) return fail(ErrorKind::kInternal, "an overlay without a backing file");
  return check(head, {.backing = backing, .dirty = true});
}

}  // namespace cocoon::disk
