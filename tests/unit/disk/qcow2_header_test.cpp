// SPDX-License-Identifier: Apache-2.0
#include "disk/qcow2_header.h"

#include <functional>
#include <string>

#include <gtest/gtest.h>

namespace cocoon::disk {
namespace {

constexpr std::uint64_t kGiB = std::uint64_t{1} << 30;

void put(std::string& bytes, std::size_t at, std::uint64_t value, std::size_t width) {
  if (bytes.size() < at + width) bytes.resize(at + width, '\0');
  for (std::size_t i = 0; i < width; ++i) {
    bytes[at + i] = static_cast<char>(value >> (8 * (width - 1 - i)));
  }
}

// A header as qemu-img writes it, with clusters of 64 KiB.
std::string header(int version) {
  std::string bytes("QFI\xfb", 4);
  bytes.resize(512, '\0');
  put(bytes, 4, static_cast<std::uint64_t>(version), 4);
  put(bytes, 20, 16, 4);
  put(bytes, 24, 3 * kGiB, 8);
  if (version == 3) put(bytes, 100, 104, 4);
  return bytes;
}

TEST(CheckQcow2, TakesBothVersions) {
  for (int version : {2, 3}) {
    auto info = check_qcow2(header(version));
    ASSERT_TRUE(info) << info.error().to_string();
    EXPECT_EQ(info->version, version);
    EXPECT_EQ(info->virtual_size, static_cast<std::int64_t>(3 * kGiB));
  }
}

TEST(CheckQcow2, TakesHarmlessExtensions) {
  std::string bytes = header(3);
  put(bytes, 104, 0x6803f857, 4);  // feature names
  put(bytes, 108, 5, 4);           // padded to 8
  put(bytes, 120, 0x12345678, 4);  // unknown
  put(bytes, 124, 0, 4);
  EXPECT_TRUE(check_qcow2(bytes));
  put(bytes, 72, 8, 8);  // a compression type is said
  EXPECT_TRUE(check_qcow2(bytes));
}

struct Bad {
  const char* what;
  int version;
  std::function<void(std::string&)> change;
  ErrorKind kind;
  const char* says;
};

TEST(CheckQcow2, RefusesWhatNamesOtherFilesOrIsBroken) {
  auto set = [](std::size_t at, std::uint64_t value, std::size_t width) {
    return [=](std::string& bytes) { put(bytes, at, value, width); };
  };
  auto extension = [](std::uint64_t type, std::uint64_t length) {
    return [=](std::string& bytes) {
      put(bytes, 104, type, 4);
      put(bytes, 108, length, 4);
    };
  };
  const Bad all[] = {
      {"backing offset", 2, set(8, 512, 8), ErrorKind::kUnsupported, "with a backing file"},
      {"backing offset", 3, set(8, 512, 8), ErrorKind::kUnsupported, "with a backing file"},
      {"backing size", 3, set(16, 9, 4), ErrorKind::kUnsupported, "with a backing file"},
      {"version 1", 2, set(4, 1, 4), ErrorKind::kCorrupt, "version 1"},
      {"version 4", 2, set(4, 4, 4), ErrorKind::kCorrupt, "version 4"},
      {"small clusters", 3, set(20, 8, 4), ErrorKind::kCorrupt, "clusters of 2^8"},
      {"huge clusters", 3, set(20, 64, 4), ErrorKind::kCorrupt, "clusters of 2^64"},
      {"no size", 3, set(24, 0, 8), ErrorKind::kCorrupt, "0 bytes"},
      {"1 PiB", 3, set(24, std::uint64_t{1} << 50, 8), ErrorKind::kUnsupported, "at most 2TiB"},
      {"negative size", 3, set(24, ~std::uint64_t{0}, 8), ErrorKind::kUnsupported, "at most"},
      {"encrypted", 2, set(32, 1, 4), ErrorKind::kUnsupported, "encrypted"},
      {"luks", 3, set(32, 2, 4), ErrorKind::kUnsupported, "encrypted"},
      {"snapshots", 3, set(60, 1, 4), ErrorKind::kUnsupported, "internal snapshots"},
      {"external data", 3, set(72, 4, 8), ErrorKind::kUnsupported, "external data file"},
      {"dirty", 3, set(72, 1, 8), ErrorKind::kUnsupported, "not closed"},
      {"corrupt bit", 3, set(72, 2, 8), ErrorKind::kUnsupported, "marked as corrupt"},
      {"unknown feature", 3, set(72, std::uint64_t{1} << 40, 8), ErrorKind::kUnsupported,
       "unknown incompatible features"},
      {"short header", 3, set(100, 72, 4), ErrorKind::kCorrupt, "a length of 72"},
      {"odd header", 3, set(100, 105, 4), ErrorKind::kCorrupt, "a length of 105"},
      {"long header", 3, set(100, 0x80000000, 4), ErrorKind::kCorrupt, "a length of"},
      {"backing format", 3, extension(0xE2792ACA, 3), ErrorKind::kUnsupported, "backing file"},
      {"data file name", 3, extension(0x44415441, 8), ErrorKind::kUnsupported, "data file"},
      {"LUKS header", 3, extension(0x0537be77, 16), ErrorKind::kUnsupported, "encrypted"},
      {"endless extension", 3, extension(0x1, 0xffffffff), ErrorKind::kCorrupt, "leaves"},
  };
  for (const Bad& bad : all) {
    std::string bytes = header(bad.version);
    bad.change(bytes);
    auto info = check_qcow2(bytes);
    ASSERT_FALSE(info) << bad.what;
    EXPECT_EQ(info.error().kind, bad.kind) << bad.what;
    EXPECT_NE(info.error().to_string().find(bad.says), std::string::npos)
        << bad.what << ": " << info.error().to_string();
  }
}

TEST(CheckQcow2, FindsAForbiddenExtensionBehindOthers) {
  std::string bytes = header(3);
  put(bytes, 104, 0x6803f857, 4);
  put(bytes, 108, 48, 4);
  put(bytes, 160, 0x44415441, 4);
  put(bytes, 164, 4, 4);
  EXPECT_FALSE(check_qcow2(bytes));
}

TEST(CheckQcow2, NeverTrustsAShortFile) {
  std::string bytes = header(3);
  put(bytes, 104, 0x6803f857, 4);
  put(bytes, 108, 8, 4);
  bytes.resize(112);
  EXPECT_FALSE(check_qcow2(bytes));  // the list of extensions does not end
  for (std::size_t size = 0; size < 104; ++size) {
    EXPECT_FALSE(check_qcow2(header(3).substr(0, size))) << size;
  }
  EXPECT_FALSE(check_qcow2("not a qcow2 image at all"));
}

// What qemu-img makes with `-b base.raw -F raw`.
std::string overlay(const std::string& backing, const std::string& format) {
  std::string bytes = header(3);
  put(bytes, 104, 0xE2792ACA, 4);
  put(bytes, 108, format.size(), 4);
  bytes.replace(112, format.size(), format);
  put(bytes, 8, 256, 8);
  put(bytes, 16, backing.size(), 4);
  bytes.replace(256, backing.size(), backing);
  return bytes;
}

TEST(CheckOverlay, TakesItsOwnBaseOnly) {
  EXPECT_TRUE(check_overlay(overlay("base.raw", "raw"), "base.raw"));
  std::string open = overlay("base.raw", "raw");
  put(open, 72, 1, 8);  // saved while its guest ran
  EXPECT_TRUE(check_overlay(open, "base.raw"));
  EXPECT_FALSE(check_qcow2(overlay("base.raw", "raw")));
  for (const char* other : {"/etc/shadow", "base.ra", "base.raw2", "json:{}", "../base.raw", ""}) {
    EXPECT_FALSE(check_overlay(overlay(other, "raw"), "base.raw")) << other;
  }
  EXPECT_FALSE(check_overlay(overlay("base.raw", "qcow2"), "base.raw"));
  EXPECT_FALSE(check_overlay(header(3), "base.raw"));  // a disk without a base is another disk
  std::string outside = overlay("base.raw", "raw");
  put(outside, 8, std::uint64_t{1} << 40, 8);
  EXPECT_FALSE(check_overlay(outside, "base.raw"));
  std::string external = overlay("base.raw", "raw");
  put(external, 72, 4, 8);
  EXPECT_FALSE(check_overlay(external, "base.raw"));
}

TEST(WithBacking, OneNameForAnotherAndBack) {
  const Backing theirs{"/var/lib/cocoon/cloudimg/blobs/" + std::string(64, 'a') + ".qcow2",
                       "qcow2"};
  const Backing ours{"base.raw", "raw"};
  std::string before = overlay(theirs.name, theirs.format);
  put(before, 72, 1, 8);  // saved while its guest ran
  EXPECT_EQ(backing_name(before), theirs.name);
  auto made = with_backing(before, theirs, ours);
  ASSERT_TRUE(made) << made.error().to_string();
  EXPECT_TRUE(check_overlay(*made, "base.raw"));
  EXPECT_EQ(made->size(), before.size());
  auto back = with_backing(*made, ours, theirs);
  ASSERT_TRUE(back) << back.error().to_string();
  EXPECT_EQ(*back, before);
}

TEST(WithBacking, RefusesWhatItCannotRewrite) {
  const Backing theirs{"/x/base.qcow2", "qcow2"};
  const Backing ours{"base.raw", "raw"};
  std::string good = overlay(theirs.name, theirs.format);
  ASSERT_TRUE(with_backing(good, theirs, ours));
  EXPECT_FALSE(with_backing(good, {"/x/other.qcow2", "qcow2"}, ours));
  EXPECT_FALSE(with_backing(good, {theirs.name, "raw"}, ours));
  EXPECT_FALSE(with_backing(header(3), theirs, ours));
  EXPECT_FALSE(with_backing("", theirs, ours));
  EXPECT_EQ(backing_name(header(3)), "");
  EXPECT_EQ(backing_name("text"), "");
  // no format: a program would have to guess it
  std::string bare = good;
  put(bare, 104, 0, 8);
  EXPECT_FALSE(with_backing(bare, theirs, ours));
  // the name in the middle of the extensions
  std::string inside = good;
  put(inside, 8, 104, 8);
  EXPECT_FALSE(with_backing(inside, theirs, ours));
  // a longer name where something follows
  std::string full = overlay("base.raw", "raw");
  full[256 + 8] = 'x';
  EXPECT_FALSE(with_backing(full, ours, theirs));
  // twice the format, of which one would stay
  std::string twice = good;
  twice.replace(120, 16, twice.substr(104, 16));
  auto made = with_backing(twice, theirs, ours);
  EXPECT_TRUE(!made || !check_overlay(*made, "base.raw"));
}

}  // namespace
}  // namespace cocoon::disk
