// SPDX-License-Identifier: Apache-2.0
#include "integration/image/kernel_sample.h"

#include <fstream>

#include <gtest/gtest.h>

#include "integration/image/tar_builder.h"

namespace cocoon::test {
namespace {

namespace fs = std::filesystem;

void put(const fs::path& path, const std::string& bytes) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << bytes;
}

// The headers of an x86 bzImage, with the version banner.
std::string bzimage(const std::string& version) {
  std::string bytes(16384, '\0');
  bytes[0x1fe] = '\x55';
  bytes[0x1ff] = '\xaa';
  bytes.replace(0x202, 4, "HdrS");
  bytes[0x20f] = '\x10';
  bytes[0x236] = 1;
  std::string banner = version + " (test@test) #1 SMP";
  bytes.replace(0x1200, banner.size(), banner);
  return bytes;
}

std::string module(const std::string& version) {
  using namespace std::string_literals;
  return "\x7f"
         "ELF module\0vermagic="s +
         version + " SMP \0"s;
}

}  // namespace

KernelSample::KernelSample(const fs::path& dir, const std::string& version)
    : dir_(dir), version_(version) {
  put(kernel(), bzimage(version));
  put(guest(), "guest program");
  fs::path tree = modules();
  put(tree / "kernel/drivers/virtio_blk.ko", module(version));
  put(tree / "kernel/fs/erofs.ko.gz", gzip(module(version)));
  put(tree / "kernel/fs/overlay.ko.zst", zstd(module(version)));
  put(tree / "kernel/fs/xfs.ko", module(version));
  put(tree / "kernel/lib/libcrc32c.ko", module(version));
  put(tree / "modules.dep",
      "kernel/drivers/virtio_blk.ko:\nkernel/fs/erofs.ko.gz: kernel/lib/libcrc32c.ko\n"
      "kernel/fs/overlay.ko.zst:\nkernel/fs/xfs.ko: kernel/lib/libcrc32c.ko\n"
      "kernel/lib/libcrc32c.ko:\n");
  put(tree / "modules.builtin", "kernel/fs/ext4/ext4.ko\n");
  fs::create_symlink("/usr/src/linux", tree / "build");
}

}  // namespace cocoon::test
