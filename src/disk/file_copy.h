// SPDX-License-Identifier: Apache-2.0
// Copies of disks and memory images: shared blocks where the file system can, else the data alone,
// so that sparse stays sparse (design §9).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "sys/fd.h"

namespace cocoon::disk {

enum class CopyMethod {
  kReflink,  // the blocks are shared (FICLONE, ioctl_ficlone(2))
  kSparse,   // data was copied, holes and (with drop_zeroes) zero pages were not
};

struct CopyOptions {
  // Guest memory: pages of zeroes become holes. Reads every byte, so copies by the kernel
  // (copy_file_range) are not used.
  bool drop_zeroes = false;
};

// Copies the whole of `from` (open for reading) into the empty file `to` (open for writing), which
// gets the same size. Not synced. kSystem; kInterrupted between two pieces of 64 MiB.
Result<CopyMethod> copy_file(int from, int to, CopyOptions options = {});

// One of several copies.
struct CopyJob {
  int from = -1;  // borrowed
  int to = -1;
  std::string what;  // for messages: "cow.raw"
  CopyOptions options;
};

// All of them, side by side where they are real copies. The first failure is returned.
Result<void> copy_files(const std::vector<CopyJob>& jobs);

}  // namespace cocoon::disk
