// SPDX-License-Identifier: Apache-2.0
#include "image/acquire/kernel_unpack.h"

#include <algorithm>
#include <array>

#include "image/acquire/little_endian.h"

namespace cocoon::image {
namespace {

using std::literals::operator""sv;

struct Magic {
  std::string_view bytes;
  Compression compression;
};

// What the kernel's build writes (scripts/Makefile.lib). LZO has no library that libarchive uses
// without a program of its own.
constexpr std::array kMagics{Magic{"\x1f\x8b"sv, Compression::kGzip},
                             Magic{"\x28\xb5\x2f\xfd"sv, Compression::kZstd},
                             Magic{"\xfd"
                                   "7zXZ\0"sv,
                                   Compression::kXz},
                             Magic{"\x5d\0\0"sv, Compression::kLzma},
                             Magic{"BZh"sv, Compression::kBzip2},
                             Magic{"\x02\x21\x4c\x18"sv, Compression::kLz4}};

Result<Compression> payload_compression(std::string_view payload) {
  for (const Magic& magic : kMagics) {
    if (payload.starts_with(magic.bytes)) return magic.compression;
  }
  // The payload may also be the kernel itself (CONFIG_KERNEL_UNCOMPRESSED).
  if (payload.starts_with("\x7f"
                          "ELF"sv)) {
    return Compression::kNone;
  }
  return fail(ErrorKind::kUnsupported,
              "the kernel's compression is none of gzip, zstd, xz, lzma, bzip2 and lz4");
}

// Segment `at` of the program header table: does a segment to be loaded lie in the file?
bool is_sane_segment(std::string_view bytes, std::size_t at, bool& loads) {
  constexpr std::uint64_t kLoad = 1;
  if (little_endian(bytes, at, 4) != kLoad) return true;
  loads = true;
  std::uint64_t offset = little_endian(bytes, at + 8, 8);
  std::uint64_t file_size = little_endian(bytes, at + 32, 8);
  return offset <= bytes.size() && file_size <= bytes.size() - offset;
}

}  // namespace

Result<KernelPayload> find_kernel_payload(std::string_view bzimage) {
  constexpr std::size_t kSetupSectors = 0x1f1;
  constexpr std::size_t kMagicAt = 0x202;
  constexpr std::size_t kProtocol = 0x206;
  constexpr std::size_t kPayloadOffset = 0x248;
  constexpr std::size_t kPayloadLength = 0x24c;
  constexpr std::size_t kHeaderEnd = 0x250;
  constexpr std::uint64_t kFirstWithPayload = 0x208;
  if (bzimage.size() < kHeaderEnd || bzimage.substr(kMagicAt, 4) != "HdrS") {
    return fail(ErrorKind::kInvalid, "no bzImage");
  }
  if (little_endian(bzimage, kProtocol, 2) < kFirstWithPayload) {
    return fail(ErrorKind::kInvalid, "the bzImage does not say where its kernel lies");
  }
  std::uint64_t sectors = little_endian(bzimage, kSetupSectors, 1);
  // boot.rst: "if the setup_sects field contains 0, the real value is 4"; the boot sector is extra.
  std::uint64_t start = ((sectors == 0 ? 4 : sectors) + 1) * 512;
  std::uint64_t offset = start + little_endian(bzimage, kPayloadOffset, 4);
  std::uint64_t length = little_endian(bzimage, kPayloadLength, 4);
  constexpr std::uint64_t kSizeField = 4;  // the unpacked size ends every payload
  bool inside = offset <= bzimage.size() && length <= bzimage.size() - offset;
  if (!inside || length <= kSizeField) {
    return fail(ErrorKind::kCorrupt, "the kernel's payload lies outside of the file");
  }
  KernelPayload payload;
  payload.bytes = bzimage.substr(offset, length);
  payload.compression = COCOON_TRY(payload_compression(payload.bytes));
  payload.unpacked_size = static_cast<std::uint32_t>(
      little_endian(payload.bytes, payload.bytes.size() - kSizeField, kSizeField));
  // gzip's own trailer is that field; the others have it appended.
  if (payload.compression == Compression::kNone) {
    payload.unpacked_size = static_cast<std::uint32_t>(payload.bytes.size());
  } else if (payload.compression != Compression::kGzip) {
    payload.bytes.remove_suffix(kSizeField);
  }
  return payload;
}

Result<void> check_vmlinux(std::string_view bytes) {
  constexpr std::size_t kHeader = 64;
  constexpr std::string_view kIdent =
      "\x7f"
      "ELF\x02\x01\x01"sv;  // 64-bit, little-endian, version 1
  constexpr std::uint64_t kX86 = 62;
  constexpr std::size_t kSegment = 56;
  auto bad = [](const char* why) {
    return fail(ErrorKind::kInvalid, "no x86-64 ELF kernel: {}", why);
  };
  if (bytes.size() < kHeader || !bytes.starts_with(kIdent)) return bad("another kind of file");
  if (little_endian(bytes, 18, 2) != kX86) return bad("another machine");
  std::uint64_t table = little_endian(bytes, 32, 8);
  std::uint64_t entry_size = little_endian(bytes, 54, 2);
  std::uint64_t count = little_endian(bytes, 56, 2);
  bool fits =
      entry_size == kSegment && table <= bytes.size() && count * kSegment <= bytes.size() - table;
  if (!fits || count == 0) return bad("no table of segments");
  bool loads = false;
  for (std::uint64_t i = 0; i < count; ++i) {
    if (!is_sane_segment(bytes, table + i * kSegment, loads)) return bad("a segment is cut off");
  }
  return loads ? Result<void>() : bad("nothing to load");
}

Result<std::string> unpack_kernel(std::string_view bzimage, std::size_t limit) {
  KernelPayload payload = COCOON_TRY(find_kernel_payload(bzimage));
  if (payload.unpacked_size > limit) {
    return fail(ErrorKind::kCorrupt, "the kernel would unpack to {} bytes; {} is the limit",
                payload.unpacked_size, limit);
  }
  SourcePtr source =
      COCOON_TRY(decompress_as(std::make_unique<MemorySource>(std::string(payload.bytes)),
                               payload.compression),
                 "unpack the kernel");
  std::string kernel =
      COCOON_TRY(read_all(*source, payload.unpacked_size, "the kernel"), "unpack the kernel");
  if (kernel.size() != payload.unpacked_size) {
    return fail(ErrorKind::kCorrupt, "the kernel unpacks to {} bytes, not to {} as it says",
                kernel.size(), payload.unpacked_size);
  }
  COCOON_TRY(check_vmlinux(kernel), "unpack the kernel");
  return kernel;
}

}  // namespace cocoon::image
