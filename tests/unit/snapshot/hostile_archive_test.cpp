// SPDX-License-Identifier: Apache-2.0
// Every rule of spec 04 §11.9, and the headers of other writers that have to be understood.
#include <sys/stat.h>

#include <fstream>

#include <gtest/gtest.h>

#include "snapshot/archive/documents.h"
#include "snapshot/archive/tar_header.h"
#include "snapshot/archive/unpack.h"
#include "unit/snapshot/tar_sample.h"

namespace cocoon::snapshot {
namespace {

class Hostile : public testing::Test {
 protected:
  Hostile() : dir_(*sys::TempDir::create("/var/tmp", "hostile-archive-")) {
    std::filesystem::create_directory(out());
  }
  std::filesystem::path out() const { return dir_.path() / "out"; }

  Result<Unpacked> unpack(const std::string& bytes) {
    image::MemorySource source(bytes);
    auto unpacked = unpack_archive(source, out());
    // Nothing beside the directory, whatever it was.
    std::size_t beside = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(dir_.path())) {
      ++beside;
    }
    EXPECT_EQ(beside, 1U);
    return unpacked;
  }

  void expect_refused(const std::string& bytes, std::string_view says) {
    auto unpacked = unpack(bytes);
    ASSERT_FALSE(unpacked) << says;
    EXPECT_EQ(unpacked.error().kind, ErrorKind::kCorrupt);
    EXPECT_NE(unpacked.error().to_string().find(says), std::string::npos)
        << unpacked.error().to_string();
    std::filesystem::remove_all(out());
    std::filesystem::create_directory(out());
  }

  std::string text_of(const std::string& name) const {
    std::ifstream in(out() / name, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  sys::TempDir dir_;
};

std::string sparse(std::string_view map, std::string_view size) {
  return pax_record(kSparseMapKey, map) + pax_record(kSparseSizeKey, size);
}

TEST_F(Hostile, NamesThatLeadOutStayInside) {
  TarSample tar;
  tar.file("../../../etc/passwd", "x").file("/abs", "y").file("./dir/plain", "z");
  auto unpacked = unpack(tar.ended());
  ASSERT_TRUE(unpacked) << unpacked.error().to_string();
  EXPECT_EQ(text_of("passwd"), "x");
  EXPECT_EQ(text_of("abs"), "y");
  EXPECT_EQ(text_of("plain"), "z");
}

TEST_F(Hostile, NamesThatAreNone) {
  for (const char* name : {"..", ".", "a/..", "a/.", ".hidden", "a/.hidden", "sp ace", "new\nline",
                           "sem;icolon", "umlaut\xc3\xa4", "back\\slash", ".."}) {
    expect_refused(TarSample().file(name, "x").ended(), "no name of a snapshot's file");
  }
  expect_refused(TarSample().pax(pax_record("path", std::string(256, 'n'))).file("x", "x").ended(),
                 "no name of a snapshot's file");
  expect_refused(TarSample().pax(pax_record("path", std::string("a\0b", 3))).file("x", "x").ended(),
                 "no name of a snapshot's file");
}

TEST_F(Hostile, TheSameNameTwice) {
  expect_refused(TarSample().file("cow.raw", "a").file("cow.raw", "b").ended(), "there twice");
  expect_refused(TarSample().file("cow.raw", "a").file("x/cow.raw", "b").ended(), "there twice");
  expect_refused(TarSample().file("cocoon.json", "{}").file("cocoon.json", "{}").ended(),
                 "there twice");
  expect_refused(TarSample().file("cocoon.json", "").ended(), "empty");
}

TEST_F(Hostile, WhatIsNoRegularFileIsLeftOut) {
  TarSample tar;
  for (char type : {'1', '2', '3', '4', '5', '6'}) {
    // A size means nothing here: the next header follows at once.
    tar.header(fmt::format("thing{}", type), type, 4096);
    tar.patch(157, "/etc/passwd");
  }
  tar.header("unknown", 'Z', 3).content("abc").file("dir/", "").file("good", "g");
  auto unpacked = unpack(tar.ended());
  ASSERT_TRUE(unpacked) << unpacked.error().to_string();
  EXPECT_EQ(unpacked->files.size(), 1U);
  EXPECT_EQ(unpacked->skipped.size(), 8U);
  EXPECT_EQ(text_of("good"), "g");
}

TEST_F(Hostile, ALinkInTheWayIsNotFollowed) {
  std::filesystem::create_symlink(dir_.path() / "elsewhere", out() / "cow.raw");
  auto unpacked = unpack(TarSample().file("cow.raw", "x").ended());
  EXPECT_FALSE(unpacked);
  EXPECT_FALSE(std::filesystem::exists(dir_.path() / "elsewhere"));
}

TEST_F(Hostile, ModeAndOwnerOfTheHeaderMeanNothing) {
  TarSample tar;
  tar.header("cow.raw", '0', 1).patch(100, "0006777").patch(108, "0001750").content("x");
  ASSERT_TRUE(unpack(tar.ended()));
  struct stat info {};
  ASSERT_EQ(stat((out() / "cow.raw").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600U);
  EXPECT_EQ(info.st_uid, geteuid());
}

TEST_F(Hostile, SparseMapsThatLie) {
  struct Case {
    const char* map;
    const char* size;
    const char* says;
  };
  for (const Case& bad : {
           Case{"[{\"o\":0,\"l\":2}]", "100", "speaks of"},
           Case{"[{\"o\":0,\"l\":4}]", "3", "out of order"},
           Case{"[{\"o\":-1,\"l\":4}]", "100", "out of order"},
           Case{"[{\"o\":4,\"l\":2},{\"o\":0,\"l\":2}]", "100", "out of order"},
           Case{"[{\"o\":0,\"l\":3},{\"o\":2,\"l\":1}]", "100", "out of order"},
           Case{"[{\"o\":9223372036854775807,\"l\":4}]", "100", "out of order"},
           Case{"[{\"o\":0,\"l\":4}]", "-1", "no size"},
           Case{"[{\"o\":0,\"l\":4}]", "9223372036854775808", "no size"},
           Case{"[{\"o\":0,\"l\":4}]", "x", "no size"},
           Case{"[{\"o\":0,\"l\":4}]", "", "no size"},
           Case{"{", "100", "no JSON"},
           Case{"[{\"o\":0,\"l\":4}]", "99999999999999999", "above the limit"},
       }) {
    expect_refused(TarSample().pax(sparse(bad.map, bad.size)).file("cow.raw", "data").ended(),
                   bad.says);
  }
  expect_refused(TarSample().pax(pax_record(kSparseMapKey, "null")).file("cow.raw", "").ended(),
                 "without a size");
}

TEST_F(Hostile, AllHoleFiles) {
  for (const char* map : {"null", "[]"}) {
    auto unpacked =
        unpack(TarSample().pax(sparse(map, "1099511627776")).file("cow.raw", "").ended());
    ASSERT_TRUE(unpacked || unpacked.error().kind == ErrorKind::kSystem);  // EFBIG where that is
    std::filesystem::remove(out() / "cow.raw");
  }
}

TEST_F(Hostile, SizesAndCounts) {
  // A size that no file system here has room for, and one that is negative.
  TarSample huge;
  huge.header("cow.raw", '0', 0)
      .patch(124, std::string_view("\x80\0\0\0\x00\x00\x0f\0\0\0\0\0", 12));
  auto unpacked = unpack(huge.ended());
  ASSERT_FALSE(unpacked);
  TarSample negative;
  negative.header("cow.raw", '0', 0).patch(124, std::string(12, '\xff'));
  expect_refused(negative.ended(), "negative");
  TarSample many;
  for (int i = 0; i < 257; ++i) many.file(fmt::format("f{}", i), "");
  expect_refused(many.ended(), "more than 256 entries");
  TarSample links;
  for (int i = 0; i < 257; ++i) links.header("l", '2', 0);
  expect_refused(links.ended(), "more than 256 entries");
  TarSample headers;
  for (int i = 0; i < 20; ++i) headers.pax(pax_record("path", "x"));
  expect_refused(headers.ended(), "headers without a file");
  TarSample long_pax;
  long_pax.pax(pax_record("x", std::string(kMaxPaxBytes, 'y'))).file("f", "");
  expect_refused(long_pax.ended(), "extended header");
  expect_refused(TarSample().header("x", 'L', 1 << 20).ended(), "extended header");
  expect_refused(TarSample().file("cocoon.json", std::string(kMaxDocument + 1, ' ')).ended(),
                 "too large");
}

TEST_F(Hostile, Truncation) {
  std::string whole = TarSample().file("cow.raw", std::string(1000, 'x')).ended();
  ASSERT_TRUE(unpack(whole));
  std::filesystem::remove(out() / "cow.raw");
  for (std::size_t size : {0UL, 1UL, 511UL, 512UL, 900UL, 1024UL, 1536UL, 1537UL, 2048UL, 2559UL}) {
    expect_refused(whole.substr(0, size), "truncated");
  }
}

TEST_F(Hostile, BehindTheEnd) {
  std::string whole = TarSample().file("cow.raw", "x").ended();
  // GNU tar fills up to 10 KiB.
  ASSERT_TRUE(unpack(whole + std::string(8192, '\0')));
  std::filesystem::remove(out() / "cow.raw");
  expect_refused(whole + "x", "behind the end");
  expect_refused(whole + std::string(700, '\0') + "x", "behind the end");
  expect_refused(whole + TarSample().file("more", "x").ended(), "behind the end");
  expect_refused(whole + std::string(8 << 20, '\0'), "does not end");
  // One block of zeroes alone is none.
  std::string middle = TarSample().file("cow.raw", "x").bytes() + std::string(512, '\0') +
                       TarSample().file("more", "x").ended();
  expect_refused(middle, "behind the end");
}

TEST_F(Hostile, NotEvenTar) {
  expect_refused(std::string(5000, 'g'), "no tar archive");
  std::string damaged = TarSample().file("cow.raw", "x").ended();
  damaged[3] ^= 1;
  expect_refused(damaged, "checksum");
}

// --- what others write ---

TEST_F(Hostile, GnuLongNames) {
  std::string name(120, 'n');
  TarSample tar;
  tar.header("././@LongLink", 'L', 121).content(name + std::string(1, '\0')).file("short", "x");
  ASSERT_TRUE(unpack(tar.ended()));
  EXPECT_EQ(text_of(name), "x");
}

TEST_F(Hostile, OldHeadersWithoutMagicOrType) {
  TarSample tar;
  tar.header("old", '\0', 1).patch(257, std::string(8, '\0')).content("x");
  ASSERT_TRUE(unpack(tar.ended()));
  EXPECT_EQ(text_of("old"), "x");
}

TEST_F(Hostile, SizesInPaxAndBase256) {
  TarSample tar;
  tar.pax(pax_record("size", "3")).header("a", '0', 0).content("abc");
  tar.header("b", '0', 0).patch(124, std::string_view("\x80\0\0\0\0\0\0\0\0\0\0\x02", 12));
  tar.content("xy");
  ASSERT_TRUE(unpack(tar.ended()));
  EXPECT_EQ(text_of("a"), "abc");
  EXPECT_EQ(text_of("b"), "xy");
}

const std::string kExpected =
    std::string("AA") + std::string(8, '\0') + "BB" + std::string(3, '\0');

TEST_F(Hostile, GnuSparseInPax) {
  std::string common =
      pax_record("GNU.sparse.size", "15") + pax_record("GNU.sparse.numblocks", "2");
  TarSample tar;
  tar.pax(common + pax_record("GNU.sparse.offset", "0") + pax_record("GNU.sparse.numbytes", "2") +
          pax_record("GNU.sparse.offset", "10") + pax_record("GNU.sparse.numbytes", "2"));
  tar.file("v00", "AABB");
  tar.pax(common + pax_record("GNU.sparse.map", "0,2,10,2") + pax_record("GNU.sparse.name", "v01"));
  tar.file("GNUSparseFile.1/v01", "AABB");
  tar.pax(pax_record("GNU.sparse.major", "1") + pax_record("GNU.sparse.minor", "0") +
          pax_record("GNU.sparse.name", "v10") + pax_record("GNU.sparse.realsize", "15"));
  std::string map = "2\n0\n2\n10\n2\n";
  map.resize(512, '\0');
  tar.file("GNUSparseFile.1/v10", map + "AABB");
  auto unpacked = unpack(tar.ended());
  ASSERT_TRUE(unpacked) << unpacked.error().to_string();
  EXPECT_EQ(text_of("v00"), kExpected);
  EXPECT_EQ(text_of("v01"), kExpected);
  EXPECT_EQ(text_of("v10"), kExpected);
  EXPECT_EQ(unpacked->files["v10"].pages, unpacked->files["v00"].pages);
}

TEST_F(Hostile, OldGnuSparse) {
  TarSample tar;
  tar.header("s", 'S', 4).patch(257, std::string_view("ustar  \0", 8));
  tar.patch(386, "00000000000").patch(398, "00000000002");
  tar.patch(410, "00000000012").patch(422, "00000000002");
  tar.patch(483, "00000000017").content("AABB");
  // The map goes on in another block.
  TarSample more;
  more.header("t", 'S', 4).patch(257, std::string_view("ustar  \0", 8));
  more.patch(386, "00000000000")
      .patch(398, "00000000002")
      .patch(482, "\1")
      .patch(483, "00000000017");
  std::string block = std::string("00000000012\0", 12) + std::string("00000000002\0", 12);
  block.resize(512, '\0');
  more.content(block + "AABB");
  auto unpacked = unpack(tar.bytes() + more.ended());
  ASSERT_TRUE(unpacked) << unpacked.error().to_string();
  EXPECT_EQ(text_of("s"), kExpected);
  EXPECT_EQ(text_of("t"), kExpected);
}

TEST_F(Hostile, GnuMapsThatLie) {
  std::string head = pax_record("GNU.sparse.major", "1") + pax_record("GNU.sparse.realsize", "15");
  for (const char* map : {"", "2\n0\n2\n", "x\n", "99999999\n", "1\n0\n-2\n", "1\n0\n99\n"}) {
    std::string block = map;
    block.resize(512, '\0');
    expect_refused(TarSample().pax(head).file("s", block + "AABB").ended(), "");
  }
  expect_refused(TarSample().pax(head).file("s", "1").ended(), "sparse map");
  expect_refused(
      TarSample()
          .pax(pax_record("GNU.sparse.size", "15") + pax_record("GNU.sparse.map", "0,4,5"))
          .file("s", "AABB")
          .ended(),
      "sparse map");
}

}  // namespace
}  // namespace cocoon::snapshot
