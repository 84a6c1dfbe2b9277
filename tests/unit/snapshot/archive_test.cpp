// SPDX-License-Identifier: Apache-2.0
// Files into an archive and out of it again.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include <gtest/gtest.h>

#include "snapshot/archive/archive_reader.h"
#include "snapshot/archive/archive_writer.h"
#include "snapshot/archive/member_digest.h"
#include "snapshot/archive/tar_header.h"
#include "snapshot/archive/unpack.h"

namespace cocoon::snapshot {
namespace {

class MemorySink : public ByteSink {
 public:
  Result<void> write(std::string_view bytes) override {
    bytes_ += bytes;
    return {};
  }
  Result<void> finish() override { return {}; }
  std::string bytes_;
};

class Archive : public testing::Test {
 protected:
  Archive() : dir_(*sys::TempDir::create("/var/tmp", "archive-test-")) {
    std::filesystem::create_directory(dir_.path() / "out");
  }

  // A file of that size with these pieces of data.
  sys::UniqueFd make(const std::string& name, std::int64_t size,
                     const std::vector<std::pair<std::int64_t, std::string>>& pieces) {
    auto fd = sys::open_file(dir_.path() / name, O_RDWR | O_CREAT | O_EXCL, 0600);
    EXPECT_TRUE(fd);
    EXPECT_EQ(ftruncate(fd->get(), size), 0);
    for (const auto& [at, bytes] : pieces) {
      EXPECT_EQ(pwrite(fd->get(), bytes.data(), bytes.size(), at),
                static_cast<ssize_t>(bytes.size()));
    }
    return std::move(*fd);
  }

  std::string text_of(const std::string& name) const {
    std::ifstream in(dir_.path() / "out" / name, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  std::string digest_of(const std::string& name, bool pages) const {
    auto fd = sys::open_file(dir_.path() / name, O_RDONLY);
    EXPECT_TRUE(fd);
    std::vector<DigestJob> jobs{{fd->get(), name, pages}};
    EXPECT_TRUE(take_digests(jobs));
    return jobs[0].digest;
  }

  Result<Unpacked> unpack(const std::string& bytes) {
    image::MemorySource source(bytes);
    return unpack_archive(source, dir_.path() / "out");
  }

  sys::TempDir dir_;
};

TEST_F(Archive, AnotherHead) {
  std::string page(4096, 'x');
  auto fd = make("disk", 1 << 20, {{0, page}, {65536, page}});
  MemorySink sink;
  ArchiveWriter writer(sink);
  ASSERT_TRUE(writer.add_text("snapshot.json", "{}", 1));
  ASSERT_TRUE(writer.add_file("disk", fd.get(), "another head"));
  ASSERT_TRUE(writer.finish());
  auto unpacked = unpack(sink.bytes_);
  ASSERT_TRUE(unpacked) << unpacked.error().to_string();
  std::string expected(1 << 20, '\0');
  expected.replace(0, page.size(), page);
  expected.replace(65536, page.size(), page);
  expected.replace(0, 12, "another head");
  EXPECT_EQ(text_of("disk"), expected);
}

TEST_F(Archive, RoundTrip) {
  std::string page(4096, 'x');
  struct Case {
    const char* name;
    std::int64_t size;
    std::vector<std::pair<std::int64_t, std::string>> pieces;
  };
  const std::vector<Case> cases{
      {"empty", 0, {}},
      {"one-byte", 1, {{0, "a"}}},
      {"one-zero", 1, {}},
      {"dense", 128 << 10, {{0, std::string(128 << 10, 'd')}}},
      {"hole", 1 << 20, {}},
      {"one-segment", 1 << 20, {{8192, page}}},
      {"segments", 1 << 20, {{0, page}, {65536, page}, {(1 << 20) - 10, "the end!!!"}}},
      {"odd", 12345, {{5000, "odd"}}},
      {"zeroes", 3 * 4096, {{0, std::string(3 * 4096, '\0')}}},
      {"partial", 4096 + 17, {{0, page}, {4096, std::string(17, '\0')}}},
  };
  MemorySink sink;
  ArchiveWriter writer(sink);
  ASSERT_TRUE(writer.add_text("snapshot.json", "{}", 1));
  for (const Case& one : cases) {
    auto fd = make(one.name, one.size, one.pieces);
    ASSERT_TRUE(writer.add_file(one.name, fd.get())) << one.name;
  }
  ASSERT_TRUE(writer.finish());
  EXPECT_EQ(sink.bytes_.size() % kTarBlock, 0U);
  auto unpacked = unpack(sink.bytes_);
  ASSERT_TRUE(unpacked) << unpacked.error().to_string();
  EXPECT_EQ(unpacked->envelope, "{}");
  EXPECT_EQ(unpacked->files.size(), cases.size());
  for (const Case& one : cases) {
    std::string expected(static_cast<std::size_t>(one.size), '\0');
    for (const auto& [at, bytes] : one.pieces) {
      expected.replace(static_cast<std::size_t>(at), bytes.size(), bytes);
    }
    EXPECT_EQ(text_of(one.name), expected) << one.name;
    EXPECT_EQ(unpacked->files[one.name].size, one.size);
    // The digest that the reader took on its way is that of the file that was written, and of the
    // same content without a hole.
    PageDigest dense;
    dense.update(0, expected);
    EXPECT_EQ(unpacked->files[one.name].pages, dense.finish(one.size)) << one.name;
    EXPECT_EQ(digest_of(one.name, true), unpacked->files[one.name].pages) << one.name;
    EXPECT_EQ(digest_of(one.name, false), image::sha256_hex(expected)) << one.name;
  }
  struct stat info {};
  ASSERT_EQ(stat((dir_.path() / "out" / "zeroes").c_str(), &info), 0);
  EXPECT_EQ(info.st_blocks, 0);  // zeroes became a hole
  EXPECT_EQ(info.st_mode & 07777, 0600U);
}

TEST_F(Archive, PageDigestIsWhatItsHeaderSays) {
  std::string data(4096, '\0');
  data.replace(10, 4, "data");
  std::string expected =
      std::string("\0\0\x10\0\0\0\0\0", 8) + data + std::string("\x05\0\x30\0\0\0\0\0", 8);
  auto file = make("f", (3 << 20) + 5, {{(1 << 20) + 10, "data"}});
  EXPECT_EQ(digest_of("f", true), image::sha256_hex(expected));
  // In pieces of any size.
  PageDigest pieces;
  pieces.update((1 << 20) + 10, "da");
  pieces.update((1 << 20) + 12, "t");
  pieces.update((1 << 20) + 13, std::string("a") + std::string(10000, '\0'));
  EXPECT_EQ(pieces.finish((3 << 20) + 5), image::sha256_hex(expected));
  // Place and size count.
  PageDigest elsewhere;
  elsewhere.update(0, data);
  EXPECT_NE(elsewhere.finish((3 << 20) + 5), image::sha256_hex(expected));
}

// What the original's reader looks at (spec 04 §11.2, §11.3).
TEST_F(Archive, HeadersAreTheOriginals) {
  MemorySink sink;
  ArchiveWriter writer(sink);
  auto fd = make("cow.raw", 1 << 20, {{8192, std::string(4096, 'x')}});
  ASSERT_TRUE(writer.add_file("cow.raw", fd.get()));
  const std::string& bytes = sink.bytes_;
  EXPECT_EQ(bytes.substr(0, 20), "PaxHeaders.0/cow.raw");
  EXPECT_EQ(bytes[156], 'x');
  EXPECT_EQ(bytes.substr(512, 73),
            "43 COCOON.sparse.map=[{\"o\":8192,\"l\":4096}]\n30 COCOON.sparse.size=1048576\n");
}

TEST(TarHeader, LengthsOfPaxRecordsCountThemselves) {
  EXPECT_EQ(pax_record("a", "b"), "6 a=b\n");
  EXPECT_EQ(pax_record("ab", "1234"), "11 ab=1234\n");
  EXPECT_EQ(pax_record("a", "1234"), "9 a=1234\n");
  std::string long_one = pax_record("k", std::string(200, 'v'));
  EXPECT_EQ(long_one.size(), 207U);
  auto records = parse_pax(pax_record("a", "b") + long_one);
  ASSERT_TRUE(records);
  EXPECT_EQ((*records)[1].second.size(), 200U);
}

TEST(TarHeader, FilesFrom8GiBHaveTheirSizeInARecord) {
  TarFile file;
  file.name = "mem";
  file.size = (std::int64_t{1} << 33) - 1;
  EXPECT_EQ(render_header(file).size(), kTarBlock);
  file.size = std::int64_t{1} << 33;
  std::string big = render_header(file);
  ASSERT_EQ(big.size(), 3 * kTarBlock);
  EXPECT_EQ(big.substr(kTarBlock, 19), "19 size=8589934592\n");
  EXPECT_EQ(big.substr(2 * kTarBlock + 124, 12), std::string("00000000000\0", 12));
}

TEST(TarHeader, Numbers) {
  EXPECT_EQ(parse_number(std::string_view("0000644\0", 8)), 0644);
  EXPECT_EQ(parse_number("    644 "), 0644);
  EXPECT_EQ(parse_number(std::string_view("\0\0\0\0", 4)), 0);
  EXPECT_EQ(parse_number("        "), 0);
  EXPECT_EQ(parse_number(std::string_view("\x80\0\0\0\0\0\0\x02\0\0\0\0", 12)),
            std::int64_t{1} << 33);
  EXPECT_FALSE(parse_number("0000689\0"));
  EXPECT_FALSE(parse_number("64 4    "));
  EXPECT_FALSE(parse_number("-644    "));
  EXPECT_FALSE(parse_number(std::string_view("\xff\xff\xff\xff\xff\xff\xff\xff", 8)));
  EXPECT_FALSE(
      parse_number(std::string_view("\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 12)));
}

TEST(TarHeader, ExtendedHeadersThatAreDamaged) {
  for (std::string_view bad : {"5 a=b\n", "7 a=b\n", "x a=b\n", "6 a=b", "06 ab\n", "6 a b\n",
                               "5 =b\n", " a=b\n", "99999999999999999999 a=b\n", "6", "0 \n"}) {
    EXPECT_FALSE(parse_pax(bad)) << bad;
  }
  EXPECT_TRUE(parse_pax(""));
}

}  // namespace
}  // namespace cocoon::snapshot
