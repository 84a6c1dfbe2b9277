// SPDX-License-Identifier: Apache-2.0
#include "cidata/fat_image.h"

#include <algorithm>
#include <string_view>

#include "cidata/fat_name.h"

namespace cocoon::cidata {
namespace {

constexpr std::size_t kSector = 512;
constexpr std::size_t kReserved = 1;  // the boot sector
constexpr std::size_t kFats = 2;
constexpr std::size_t kEntrySize = 32;
constexpr std::size_t kRootEntries = 128;
constexpr std::size_t kRootSectors = kRootEntries * kEntrySize / kSector;
// More than 4084 make a volume FAT16; programs disagree about the last of them (blkid 2.38 takes
// 4084 for FAT16, fsck.fat for FAT12), so a few are left out.
constexpr std::size_t kMaxClusters = 4080;
constexpr std::size_t kMaxSectorsPerCluster = 64;
constexpr std::size_t kFirstCluster = 2;
constexpr std::size_t kSectorsPerTrack = 32;  // mtools wants whole tracks
constexpr std::size_t kHeads = 64;
constexpr std::size_t kLabel = 11;
constexpr std::uint16_t kDate = 0x0021;  // 1980-01-01; the time is 0
constexpr unsigned kEndOfChain = 0xfff;
constexpr std::uint8_t kLabelAttribute = 0x08;
constexpr std::uint8_t kFileAttribute = 0x20;  // archive
constexpr std::int64_t kSizeUnit = static_cast<std::int64_t>(kSector * kSectorsPerTrack);
// The most whole tracks with no more than that of clusters of 32 KiB.
constexpr std::int64_t kMaxSize = 8163 * kSizeUnit;

struct Layout {
  std::size_t sectors = 0;
  std::size_t sectors_per_cluster = 0;
  std::size_t sectors_per_fat = 0;
  std::size_t clusters = 0;

  std::size_t cluster_bytes() const { return sectors_per_cluster * kSector; }
  std::size_t root_at() const { return (kReserved + kFats * sectors_per_fat) * kSector; }
  std::size_t data_at() const { return root_at() + kRootSectors * kSector; }
  std::size_t clusters_for(std::size_t bytes) const {
    return (bytes + cluster_bytes() - 1) / cluster_bytes();
  }
};

// A larger FAT leaves fewer clusters to describe, so growing it from 1 ends at the smallest.
Layout lay_out(std::size_t sectors, std::size_t sectors_per_cluster) {
  Layout layout{sectors, sectors_per_cluster, 0, 0};
  std::size_t needed = 1;
  while (needed > layout.sectors_per_fat) {
    layout.sectors_per_fat = needed;
    layout.clusters = (sectors - layout.data_at() / kSector) / sectors_per_cluster;
    std::size_t bytes = ((layout.clusters + kFirstCluster) * 3 + 1) / 2;
    needed = (bytes + kSector - 1) / kSector;
  }
  return layout;
}

Result<Layout> choose_layout(std::int64_t size) {
  if (size >= kMiB && size <= kMaxSize && size % kSizeUnit == 0) {
    for (std::size_t each = 1; each <= kMaxSectorsPerCluster; each *= 2) {
      Layout layout = lay_out(static_cast<std::size_t>(size) / kSector, each);
      if (layout.clusters <= kMaxClusters) return layout;
    }
  }
  return fail(ErrorKind::kInvalid, "{} bytes is no size for a FAT12 image", size);
}

void put(std::string& bytes, std::size_t at, std::string_view text) {
  bytes.replace(at, text.size(), text);
}

// Little-endian.
void put_number(std::string& bytes, std::size_t at, std::size_t width, std::size_t value) {
  for (std::size_t i = 0; i < width; ++i) bytes[at + i] = static_cast<char>(value >> (8 * i));
}

Result<std::string> padded_label(std::string label) {
  bool good = std::all_of(label.begin(), label.end(), [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == ' ' || c == '-' || c == '_';
  });
  if (!good || label.empty() || label.size() > kLabel || label.front() == ' ') {
    return fail(ErrorKind::kInvalid, "\"{}\" is no label for a FAT image", label);
  }
  label.resize(kLabel, ' ');
  return label;
}

void put_boot_sector(std::string& image, const Layout& layout, std::uint32_t serial,
                     std::string_view label) {
  bool small = layout.sectors <= 0xffff;
  put(image, 0,
      "\xeb\x3c\x90"
      "COCOON  ");
  put_number(image, 11, 2, kSector);
  put_number(image, 13, 1, layout.sectors_per_cluster);
  put_number(image, 14, 2, kReserved);
  put_number(image, 16, 1, kFats);
  put_number(image, 17, 2, kRootEntries);
  put_number(image, 19, 2, small ? layout.sectors : 0);
  put_number(image, 21, 1, 0xf8);  // fixed disk
  put_number(image, 22, 2, layout.sectors_per_fat);
  put_number(image, 24, 2, kSectorsPerTrack);
  put_number(image, 26, 2, kHeads);
  put_number(image, 32, 4, small ? 0 : layout.sectors);
  put_number(image, 36, 1, 0x80);
  put_number(image, 38, 1, 0x29);  // serial, label and type follow
  put_number(image, 39, 4, serial);
  put(image, 43, label);
  put(image, 54, "FAT12   ");
  put(image, 510, "\x55\xaa");
}

// Two 12-bit entries share three bytes.
void set_fat_entry(std::string& fat, std::size_t cluster, std::size_t value) {
  std::size_t at = cluster + cluster / 2;
  auto first = static_cast<unsigned char>(fat[at]);
  auto second = static_cast<unsigned char>(fat[at + 1]);
  if (cluster % 2 == 0) {
    put_number(fat, at, 2, value | (second & 0xf0U) << 8);
  } else {
    put_number(fat, at, 2, value << 4 | (first & 0x0fU));
  }
}

std::string directory_entry(std::string_view name, std::uint8_t attribute, std::size_t cluster,
                            std::size_t size) {
  std::string entry(kEntrySize, '\0');
  put(entry, 0, name);
  put_number(entry, 11, 1, attribute);
  for (std::size_t at : {16U, 18U, 24U}) put_number(entry, at, 2, kDate);
  put_number(entry, 26, 2, cluster);
  put_number(entry, 28, 4, size);
  return entry;
}

// Places the files one behind the other, each in one run of clusters.
class Placement {
 public:
  Placement(std::string& image, const Layout& layout, std::string_view label)
      : image_(image), layout_(layout), fat_(layout.sectors_per_fat * kSector, '\0') {
    set_fat_entry(fat_, 0, 0xff8);  // the medium byte again
    set_fat_entry(fat_, 1, kEndOfChain);
    directory_ = directory_entry(label, kLabelAttribute, 0, 0);
  }

  Result<void> add(const FatFile& file, const FatName& name) {
    std::size_t count = layout_.clusters_for(file.content.size());
    if (count > layout_.clusters - used_) {
      return fail(ErrorKind::kInvalid, "{}: {} bytes do not fit into a FAT image of {}", file.name,
                  file.content.size(), bytes_size(static_cast<std::int64_t>(image_.size())));
    }
    std::size_t first = kFirstCluster + used_;
    for (std::size_t i = 0; i < count; ++i) {
      set_fat_entry(fat_, first + i, i + 1 == count ? kEndOfChain : first + i + 1);
    }
    put(image_, layout_.data_at() + used_ * layout_.cluster_bytes(), file.content);
    used_ += count;
    directory_ += long_name_entries(name);
    directory_ += directory_entry(name.short_name, kFileAttribute, count == 0 ? 0 : first,
                                  file.content.size());
    return {};
  }

  Result<void> finish() {
    if (directory_.size() > kRootEntries * kEntrySize) {
      return fail(ErrorKind::kInvalid, "the root directory of a FAT image holds {} entries, not {}",
                  kRootEntries, directory_.size() / kEntrySize);
    }
    for (std::size_t i = 0; i < kFats; ++i)
      put(image_, kSector * kReserved + i * fat_.size(), fat_);
    put(image_, layout_.root_at(), directory_);
    return {};
  }

 private:
  std::string& image_;
  const Layout& layout_;
  std::string fat_;
  std::string directory_;
  std::size_t used_ = 0;  // clusters
};

}  // namespace

Result<std::string> render_fat_image(const FatVolume& volume, std::vector<FatFile> files) {
  Layout layout = COCOON_TRY(choose_layout(volume.size));
  std::string label = COCOON_TRY(padded_label(volume.label));
  std::sort(files.begin(), files.end(),
            [](const FatFile& a, const FatFile& b) { return a.name < b.name; });
  std::vector<std::string> plain_names;
  plain_names.reserve(files.size());
  for (const FatFile& file : files) plain_names.push_back(file.name);
  std::vector<FatName> names = COCOON_TRY(fat_names(plain_names));

  std::string image(static_cast<std::size_t>(volume.size), '\0');
  put_boot_sector(image, layout, volume.serial, label);
  Placement placement(image, layout, label);
  for (std::size_t i = 0; i < files.size(); ++i) COCOON_TRY(placement.add(files[i], names[i]));
  COCOON_TRY(placement.finish());
  return image;
}

Result<std::int64_t> fat_size_for(const std::vector<FatFile>& files) {
  for (std::int64_t size = kMiB; size < 2 * kMaxSize; size *= 2) {
    std::int64_t tried = std::min(size, kMaxSize);
    Layout layout = COCOON_TRY(choose_layout(tried));
    std::size_t needed = 0;
    for (const FatFile& file : files) needed += layout.clusters_for(file.content.size());
    if (needed <= layout.clusters) return tried;
  }
  return fail(ErrorKind::kInvalid, "the files are larger than a FAT12 image can be ({})",
              bytes_size(kMaxSize));
}

}  // namespace cocoon::cidata
