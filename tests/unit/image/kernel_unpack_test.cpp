// SPDX-License-Identifier: Apache-2.0
#include "image/acquire/kernel_unpack.h"

#include <archive.h>
#include <archive_entry.h>

#include <cstdlib>
#include <filesystem>

#include <gtest/gtest.h>

#include "sys/files.h"
#include "unit/image/sample_kernel.h"

namespace cocoon::image {
namespace {

namespace fs = std::filesystem;
using test::bzimage;
using test::put;
using test::vmlinux;

std::string with_size(std::string packed, std::size_t size) {
  packed.resize(packed.size() + 4);
  put(packed, packed.size() - 4, size, 4);
  return packed;
}

std::string pack(const std::string& bytes, int (*filter)(archive*)) {
  archive* writer = archive_write_new();
  archive_write_set_format_raw(writer);
  EXPECT_EQ(filter(writer), ARCHIVE_OK);
  archive_write_set_bytes_in_last_block(writer, 1);
  std::string out(bytes.size() + 65536, '\0');
  std::size_t used = 0;
  EXPECT_EQ(archive_write_open_memory(writer, out.data(), out.size(), &used), ARCHIVE_OK);
  archive_entry* entry = archive_entry_new();
  archive_entry_set_filetype(entry, AE_IFREG);
  EXPECT_EQ(archive_write_header(writer, entry), ARCHIVE_OK);
  EXPECT_EQ(archive_write_data(writer, bytes.data(), bytes.size()),
            static_cast<la_ssize_t>(bytes.size()));
  archive_entry_free(entry);
  EXPECT_EQ(archive_write_close(writer), ARCHIVE_OK);
  archive_write_free(writer);
  out.resize(used);
  return out;
}

// lz4's legacy frame, which `lz4 -l` writes and the kernel's build uses: blocks of up to 8 MiB,
// here of literals only.
std::string pack_lz4(std::string_view bytes) {
  std::string block(1, '\xf0');
  std::size_t rest = bytes.size() - 15;
  for (; rest >= 255; rest -= 255) block += '\xff';
  block += static_cast<char>(rest);
  block += bytes;
  std::string out("\x02\x21\x4c\x18");
  out.resize(8);
  put(out, 4, block.size(), 4);
  return out + block;
}

struct Packer {
  const char* name;
  Compression compression;
  int (*filter)(archive*);
};

std::string payload(const Packer& packer, const std::string& kernel) {
  if (packer.compression == Compression::kNone) return kernel;
  if (packer.compression == Compression::kLz4) return with_size(pack_lz4(kernel), kernel.size());
  std::string packed = pack(kernel, packer.filter);
  return packer.compression == Compression::kGzip ? packed : with_size(packed, kernel.size());
}

class KernelPacked : public testing::TestWithParam<Packer> {};

TEST_P(KernelPacked, ComesOutAsItWas) {
  std::string kernel = vmlinux();
  std::string image = bzimage(payload(GetParam(), kernel));
  auto found = find_kernel_payload(image);
  ASSERT_TRUE(found) << found.error().to_string();
  EXPECT_EQ(found->compression, GetParam().compression);
  auto out = unpack_kernel(image);
  ASSERT_TRUE(out) << out.error().to_string();
  EXPECT_TRUE(*out == kernel);
}

TEST_P(KernelPacked, CutOffAnywhereIsAnError) {
  std::string whole = payload(GetParam(), vmlinux());
  for (std::size_t keep : {whole.size() / 2, whole.size() - 5, std::size_t{7}}) {
    // The last four bytes still say the true size.
    std::string cut = whole.substr(0, keep - 4) + whole.substr(whole.size() - 4);
    EXPECT_FALSE(unpack_kernel(bzimage(cut))) << keep;
  }
}

TEST_P(KernelPacked, SizeMustBeAsItSays) {
  if (GetParam().compression == Compression::kNone) return;  // an unpacked one says no size
  std::string whole = payload(GetParam(), vmlinux());
  for (std::size_t size : {std::size_t{100}, std::size_t{99'999}, std::size_t{100'001}}) {
    put(whole, whole.size() - 4, size, 4);
    auto out = unpack_kernel(bzimage(whole));
    ASSERT_FALSE(out) << size;
    EXPECT_EQ(out.error().kind, ErrorKind::kCorrupt);
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, KernelPacked,
    testing::Values(Packer{"none", Compression::kNone, nullptr},
                    Packer{"gzip", Compression::kGzip, archive_write_add_filter_gzip},
                    Packer{"zstd", Compression::kZstd, archive_write_add_filter_zstd},
                    Packer{"xz", Compression::kXz, archive_write_add_filter_xz},
                    Packer{"lzma", Compression::kLzma, archive_write_add_filter_lzma},
                    Packer{"bzip2", Compression::kBzip2, archive_write_add_filter_bzip2},
                    Packer{"lz4", Compression::kLz4, nullptr}),
    [](const auto& p) { return std::string(p.param.name); });

TEST(KernelUnpack, BombIsStoppedAtTheSizeItSays) {
  std::string zeros = pack(std::string(64 << 20, '\0'), archive_write_add_filter_zstd);
  auto out = unpack_kernel(bzimage(with_size(zeros, 1 << 20)));
  ASSERT_FALSE(out);
  EXPECT_EQ(out.error().kind, ErrorKind::kCorrupt);
  EXPECT_NE(out.error().to_string().find("more than 1048576 bytes"), std::string::npos);
  out = unpack_kernel(bzimage(with_size(zeros, 64 << 20)), 1 << 20);
  ASSERT_FALSE(out);
  EXPECT_NE(out.error().to_string().find("1048576 is the limit"), std::string::npos);
}

TEST(KernelUnpack, PayloadMustLieInTheFile) {
  std::string image = bzimage(payload({"", Compression::kNone, nullptr}, vmlinux()));
  for (std::uint64_t offset : {std::uint64_t{0xffffffff}, std::uint64_t{101'000}}) {
    std::string bad = image;
    put(bad, 0x248, offset, 4);
    EXPECT_EQ(unpack_kernel(bad).error().kind, ErrorKind::kCorrupt);
  }
  for (std::uint64_t length : {std::uint64_t{0}, std::uint64_t{4}, std::uint64_t{0xffffffff}}) {
    std::string bad = image;
    put(bad, 0x24c, length, 4);
    EXPECT_EQ(unpack_kernel(bad).error().kind, ErrorKind::kCorrupt);
  }
  put(image, 0x206, 0x207, 2);
  EXPECT_EQ(unpack_kernel(image).error().kind, ErrorKind::kInvalid);
  EXPECT_EQ(unpack_kernel("HdrS").error().kind, ErrorKind::kInvalid);
}

TEST(KernelUnpack, UnknownCompressionIsNamed) {
  auto out = unpack_kernel(bzimage("\x89LZO and so on"));
  ASSERT_FALSE(out);
  EXPECT_EQ(out.error().kind, ErrorKind::kUnsupported);
}

TEST(KernelUnpack, ZeroSectorsMeanFour) {
  std::string image = bzimage(vmlinux(), 4);
  image[0x1f1] = 0;
  EXPECT_TRUE(unpack_kernel(image));
}

TEST(Vmlinux, OnlyWholePrograms) {
  EXPECT_TRUE(check_vmlinux(vmlinux()));
  auto broken = [](std::size_t at, std::uint64_t value, std::size_t size) {
    std::string bytes = vmlinux();
    put(bytes, at, value, size);
    return !check_vmlinux(bytes);
  };
  EXPECT_TRUE(broken(4, 1, 1)) << "32 bits";
  EXPECT_TRUE(broken(18, 183, 2)) << "arm64";
  EXPECT_TRUE(broken(32, 99'990, 8)) << "table at the end";
  EXPECT_TRUE(broken(32, ~std::uint64_t{0}, 8)) << "table out of the file";
  EXPECT_TRUE(broken(54, 32, 2)) << "entries of another size";
  EXPECT_TRUE(broken(56, 0, 2)) << "no entries";
  EXPECT_TRUE(broken(56, 0xffff, 2)) << "too many entries";
  EXPECT_TRUE(broken(64, 2, 4)) << "nothing to load";
  EXPECT_TRUE(broken(64 + 8, 99'999, 8)) << "a segment cut off";
  EXPECT_TRUE(broken(64 + 8, ~std::uint64_t{0}, 8)) << "a segment out of the file";
  EXPECT_FALSE(check_vmlinux(vmlinux().substr(0, 63)));
}

// Debian's cloud kernel, as scripts/test-assets fetches it.
TEST(KernelUnpack, RealKernel) {
  const char* cache = std::getenv("COCOON_CACHE");
  fs::path boot =
      fs::path(cache == nullptr ? "/var/cache/cocoon-dev" : cache) / "assets/kernel/boot";
  std::error_code error;
  for (const auto& file : fs::directory_iterator(boot, error)) {
    if (!file.path().filename().native().starts_with("vmlinuz-")) continue;
    auto bytes = sys::read_file(file.path(), std::size_t{64} << 20);
    ASSERT_TRUE(bytes);
    EXPECT_EQ(find_kernel_payload(*bytes)->compression, Compression::kLz4);
    auto out = unpack_kernel(*bytes);
    ASSERT_TRUE(out) << out.error().to_string();
    EXPECT_GT(out->size(), 2 * bytes->size());
    EXPECT_NE(out->find("Linux version 6."), std::string::npos);
    return;
  }
  GTEST_SKIP() << "no kernel in " << boot.native() << "; scripts/test-assets fetches it";
}

}  // namespace
}  // namespace cocoon::image
