// SPDX-License-Identifier: Apache-2.0
// Renders a FAT12 volume with files in its root directory (Microsoft's FAT specification 1.03;
// field values of spec 05 §3.1). Pure and deterministic: every time stamp is 1980-01-01 00:00, the
// earliest that FAT knows, and the volume serial is given (spec 05 §8 c8).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/units.h"

namespace cocoon::cidata {

struct FatFile {
  std::string name;  // rules: fat_names()
  std::string content;
};

struct FatVolume {
  std::string label;         // 1 to 11 of A–Z, 0–9, space, - and _
  std::uint32_t serial = 0;  // as blkid's UUID: high half, dash, low half
  std::int64_t size = kMiB;  // bytes, a multiple of 16 KiB from 1 MiB to about 127 MiB
};

// The volume's bytes, exactly `size` of them. Below 2 MiB a cluster is one sector (512 bytes); for
// larger volumes clusters grow up to 32 KiB, so that there are never more than FAT12 allows and one
// format serves every size. Root directory: 128 entries. kInvalid for a bad size, label or name,
// and when the files do not fit.
Result<std::string> render_fat_image(const FatVolume& volume, std::vector<FatFile> files);

// The smallest of 1, 2, 4, … 64 MiB and the largest possible size that holds the files. kInvalid
// when none does.
Result<std::int64_t> fat_size_for(const std::vector<FatFile>& files);

}  // namespace cocoon::cidata
