// SPDX-License-Identifier: Apache-2.0
#include "cidata/fat_image.h"

#include <gtest/gtest.h>

namespace cocoon::cidata {
namespace {

std::size_t number(const std::string& bytes, std::size_t at, std::size_t width) {
  std::size_t value = 0;
  for (std::size_t i = width; i-- > 0;)
    value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
  return value;
}

std::size_t fat_entry(const std::string& image, std::size_t cluster) {
  std::size_t pair = number(image, 512 + cluster + cluster / 2, 2);
  return cluster % 2 == 0 ? pair & 0xfff : pair >> 4;
}

FatVolume volume(std::int64_t size = kMiB) { return {"CIDATA", 0x1234abcd, size}; }

std::string render(const FatVolume& wanted, const std::vector<FatFile>& files) {
  auto image = render_fat_image(wanted, files);
  EXPECT_TRUE(image) << image.error().to_string();
  return image ? *image : std::string(static_cast<std::size_t>(wanted.size), '\0');
}

TEST(FatImage, HasTheBootSectorOfTheSpec) {
  std::string image = render(volume(), {});
  ASSERT_EQ(image.size(), 1024U * 1024U);
  EXPECT_EQ(image.substr(0, 11),
            "\xeb\x3c\x90"
            "COCOON  ");
  struct Field {
    std::size_t at, width, value;
  };
  const std::vector<Field> fields{
      {11, 2, 512},  {13, 1, 1},    {14, 2, 1},          {16, 1, 2},
      {17, 2, 128},  {19, 2, 2048}, {21, 1, 0xf8},       {22, 2, 6},
      {24, 2, 32},   {26, 2, 64},   {28, 4, 0},          {32, 4, 0},
      {36, 1, 0x80}, {38, 1, 0x29}, {39, 4, 0x1234abcd}, {510, 2, 0xaa55},
  };
  for (const Field& field : fields) {
    EXPECT_EQ(number(image, field.at, field.width), field.value) << "offset " << field.at;
  }
  EXPECT_EQ(image.substr(43, 19), "CIDATA     FAT12   ");
}

TEST(FatImage, PlacesFilesInNameOrder) {
  std::string image =
      render(volume(), {{"user-data", std::string(513, 'u')}, {"meta-data", "m"}, {"EMPTY", ""}});
  constexpr std::size_t kRoot = 13 * 512;
  constexpr std::size_t kData = 21 * 512;
  EXPECT_EQ(image.substr(kRoot, 12), "CIDATA     \x08");
  EXPECT_EQ(number(image, kRoot + 24, 2), 0x21U);  // 1980-01-01
  // EMPTY: no cluster. meta-data: one entry for its long name, cluster 2. user-data: 3 and 4.
  EXPECT_EQ(image.substr(kRoot + 32, 12), "EMPTY      \x20");
  EXPECT_EQ(number(image, kRoot + 32 + 26, 2), 0U);
  EXPECT_EQ(image.substr(kRoot + 96, 12), "META-D~1   \x20");
  EXPECT_EQ(number(image, kRoot + 96 + 26, 2), 2U);
  EXPECT_EQ(number(image, kRoot + 96 + 28, 4), 1U);
  EXPECT_EQ(image.substr(kRoot + 160, 12), "USER-D~2   \x20");
  EXPECT_EQ(number(image, kRoot + 160 + 26, 2), 3U);
  EXPECT_EQ(number(image, kRoot + 160 + 28, 4), 513U);
  EXPECT_EQ(image.substr(kData, 2), std::string("m\0", 2));
  EXPECT_EQ(image.substr(kData + 512, 514), std::string(513, 'u') + '\0');
  const std::vector<std::size_t> chains{0xff8, 0xfff, 0xfff, 4, 0xfff, 0};
  for (std::size_t i = 0; i < chains.size(); ++i) EXPECT_EQ(fat_entry(image, i), chains[i]) << i;
  EXPECT_EQ(image.substr(512, 6 * 512), image.substr(7 * 512, 6 * 512));  // the two FATs
}

TEST(FatImage, TakesExactlyWhatFits) {
  constexpr std::size_t kRoom = 2027 * 512;  // spec 05 §3.1
  std::string image = render(volume(), {{"A", std::string(kRoom, 'x')}});
  EXPECT_EQ(image.back(), 'x');
  EXPECT_EQ(fat_entry(image, 2028), 0xfffU);
  auto more = render_fat_image(volume(), {{"A", std::string(kRoom + 1, 'x')}});
  ASSERT_FALSE(more);
  EXPECT_EQ(more.error().kind, ErrorKind::kInvalid);
}

TEST(FatImage, StaysFat12AtEverySize) {
  struct Case {
    std::int64_t size;
    std::size_t sectors_per_cluster, sectors, large_sectors;
  };
  const std::vector<Case> cases{
      {kMiB, 1, 2048, 0},        {2 * kMiB, 1, 4096, 0},    {4 * kMiB, 2, 8192, 0},
      {31 * kMiB, 16, 63488, 0}, {32 * kMiB, 32, 0, 65536}, {127 * kMiB, 64, 0, 260096},
  };
  for (const Case& one : cases) {
    std::string image = render(volume(one.size), {});
    EXPECT_EQ(number(image, 13, 1), one.sectors_per_cluster) << one.size;
    EXPECT_EQ(number(image, 19, 2), one.sectors);
    EXPECT_EQ(number(image, 32, 4), one.large_sectors);
    std::size_t total = static_cast<std::size_t>(one.size) / 512;
    std::size_t clusters = (total - 1 - 2 * number(image, 22, 2) - 8) / one.sectors_per_cluster;
    EXPECT_LE(clusters, 4080U);
  }
}

TEST(FatImage, RefusesBadSizesAndLabels) {
  for (std::int64_t size : {std::int64_t{0}, kMiB - 512, kMiB + 512, 128 * kMiB, -kMiB}) {
    EXPECT_FALSE(render_fat_image(volume(size), {})) << size;
  }
  for (const char* label : {"", "cidata", "TWELVE-CHARS", " A", "A/B", "A\n"}) {
    auto image = render_fat_image({label, 0, kMiB}, {});
    ASSERT_FALSE(image) << label;
    EXPECT_EQ(image.error().kind, ErrorKind::kInvalid);
  }
}

TEST(FatImage, RefusesMoreEntriesThanTheRootDirectoryHas) {
  std::vector<FatFile> files;
  for (int i = 0; i < 127; ++i) files.push_back({fmt::format("F{}", i), "x"});
  EXPECT_TRUE(render_fat_image(volume(), files));
  files.push_back({"LAST", "x"});
  auto image = render_fat_image(volume(), files);
  ASSERT_FALSE(image);
  EXPECT_EQ(image.error().kind, ErrorKind::kInvalid);
}

TEST(FatImage, SizeFollowsTheFiles) {
  auto size_of = [](std::size_t bytes) {
    auto size = fat_size_for({{"A", std::string(bytes, 'x')}});
    return size ? *size : -1;
  };
  EXPECT_EQ(size_of(0), kMiB);
  EXPECT_EQ(size_of(2027 * 512), kMiB);
  EXPECT_EQ(size_of(2027 * 512 + 1), 2 * kMiB);
  EXPECT_EQ(size_of(5'000'000), 8 * kMiB);
  EXPECT_GT(size_of(120'000'000), 127 * kMiB);
  EXPECT_EQ(size_of(134'000'000), -1);
}

}  // namespace
}  // namespace cocoon::cidata
