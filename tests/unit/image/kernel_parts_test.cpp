// SPDX-License-Identifier: Apache-2.0
#include <zlib.h>

#include <gtest/gtest.h>

#include "image/acquire/initramfs.h"
#include "image/acquire/kernel_image.h"
#include "image/acquire/module_index.h"
#include "image/acquire/module_tree.h"

namespace cocoon::image {
namespace {

using Paths = std::vector<std::string>;

constexpr const char* kDep =
    "kernel/drivers/virtio/virtio.ko: kernel/drivers/virtio/virtio_ring.ko\n"
    "kernel/drivers/virtio/virtio_ring.ko:\n"
    "kernel/drivers/block/virtio_blk.ko.xz: kernel/drivers/virtio/virtio.ko "
    "kernel/drivers/virtio/virtio_ring.ko\n"
    "kernel/drivers/char/virtio-rng.ko: kernel/drivers/virtio/virtio.ko\n"
    "kernel/fs/erofs/erofs.ko: kernel/lib/libcrc32c.ko\n"
    "kernel/lib/libcrc32c.ko:\n"
    "kernel/arch/crc32c-intel.ko:\n"
    "kernel/fs/overlayfs/overlay.ko:\n"
    "kernel/fs/xfs/xfs.ko: kernel/lib/libcrc32c.ko\n"
    "kernel/fs/btrfs/btrfs.ko: kernel/crypto/xor.ko kernel/lib/libcrc32c.ko\n"
    "kernel/crypto/xor.ko:\n";

Result<ModuleIndex> index(const char* dep = kDep, const char* builtin = "kernel/fs/ext4/ext4.ko\n",
                          const char* softdep = "softdep libcrc32c pre: crc32c\n",
                          const char* alias = "alias crypto-crc32c crc32c_intel\nalias pci:* x\n") {
  return ModuleIndex::parse(dep, builtin, softdep, alias);
}

TEST(ModuleIndex, DependenciesComeFirst) {
  auto modules = index();
  ASSERT_TRUE(modules) << modules.error().to_string();
  EXPECT_EQ(modules->closure("virtio_blk"),
            (Paths{"kernel/drivers/virtio/virtio_ring.ko", "kernel/drivers/virtio/virtio.ko",
                   "kernel/drivers/block/virtio_blk.ko.xz"}));
  EXPECT_EQ(modules->closure("virtio_rng").back(), "kernel/drivers/char/virtio-rng.ko");
  EXPECT_TRUE(modules->closure("ext4").empty());
  EXPECT_TRUE(modules->is_builtin("ext4"));
}

TEST(ModuleIndex, SoftDependenciesAreFoundByAlias) {
  EXPECT_EQ(index()->closure("erofs"),
            (Paths{"kernel/arch/crc32c-intel.ko", "kernel/lib/libcrc32c.ko",
                   "kernel/fs/erofs/erofs.ko"}));
}

TEST(ModuleIndex, CirclesEnd) {
  auto modules = index("a.ko: b.ko\nb.ko: a.ko\n");
  ASSERT_TRUE(modules);
  EXPECT_EQ(modules->closure("a"), (Paths{"b.ko", "a.ko"}));
}

TEST(ModuleIndex, RefusesPathsThatLeadOut) {
  for (const char* dep :
       {"../x.ko:\n", "/x.ko:\n", "a.ko: ../../etc/passwd\n", "nothing\n", ":\n"}) {
    EXPECT_FALSE(index(dep)) << dep;
  }
}

TEST(InitramfsPlan, FileSystemsAreOptional) {
  auto plan = plan_initramfs_modules(*index());
  ASSERT_TRUE(plan) << plan.error().to_string();
  std::string order;
  for (const InitramfsModule& module : *plan) {
    order += module.file + (module.fstype.empty() ? "" : " " + module.fstype) + "\n";
  }
  EXPECT_EQ(order,
            "virtio_ring.ko\nvirtio.ko\nvirtio_blk.ko\ncrc32c_intel.ko\nlibcrc32c.ko\nerofs.ko\n"
            "overlay.ko\nvirtio_rng.ko\nxfs.ko xfs\nxor.ko btrfs\nbtrfs.ko btrfs\n");
}

TEST(InitramfsPlan, EssentialsMustBeThere) {
  auto plan = plan_initramfs_modules(*index("kernel/fs/overlayfs/overlay.ko:\n"));
  ASSERT_FALSE(plan);
  EXPECT_EQ(plan.error().kind, ErrorKind::kInvalid);
  // Without modules.builtin nobody can tell.
  EXPECT_TRUE(plan_initramfs_modules(*index("kernel/fs/overlayfs/overlay.ko:\n", "")));
}

std::string unpack(std::string packed) {
  std::string out(1 << 20, '\0');
  z_stream stream{};
  inflateInit2(&stream, 15 + 16);
  stream.next_in = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_in = static_cast<uInt>(packed.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(inflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  inflateEnd(&stream);
  return out;
}

TEST(Initramfs, HoldsTheProgramAndEachModuleOnce) {
  std::vector<LoadedModule> modules = {{{"k/a.ko", "a.ko", ""}, "AAAA"},
                                       {{"k/x.ko", "x.ko", "xfs"}, "XXXX"},
                                       {{"k/x.ko", "x.ko", "btrfs"}, "XXXX"}};
  auto packed = render_initramfs("PROGRAM", modules);
  ASSERT_TRUE(packed);
  EXPECT_EQ(packed->size() % 512, 0U);
  EXPECT_EQ(*packed, *render_initramfs("PROGRAM", modules));
  std::string archive = unpack(*packed);
  EXPECT_TRUE(archive.starts_with("070701"));
  EXPECT_NE(archive.find("PROGRAM"), std::string::npos);
  EXPECT_NE(archive.find("a.ko\nx.ko xfs\nx.ko btrfs\n"), std::string::npos);
  EXPECT_EQ(archive.find("XXXX"), archive.rfind("XXXX"));
  EXPECT_NE(archive.find("TRAILER!!!"), std::string::npos);
}

std::string bzimage(std::string_view version) {
  std::string bytes(8192, '\0');
  bytes[0x1fe] = '\x55';
  bytes[0x1ff] = '\xaa';
  bytes.replace(0x202, 4, "HdrS");
  bytes[0x20e] = '\x00';
  bytes[0x20f] = '\x10';  // 0x1000 + 0x200
  bytes[0x236] = 1;
  bytes.replace(0x1200, version.size(), version);
  return bytes;
}

TEST(KernelImage, KnowsWhatItIs) {
  auto image = parse_kernel_image(bzimage("6.1.0-18-cloud-amd64 (someone) #1 SMP"));
  ASSERT_TRUE(image) << image.error().to_string();
  EXPECT_EQ(image->format, "bzimage");
  EXPECT_EQ(image->architecture, "amd64");
  EXPECT_EQ(image->version, "6.1.0-18-cloud-amd64");
  EXPECT_EQ(parse_kernel_image(bzimage("../../evil x"))->version, "");
  std::string elf(8192, '\0');
  elf.replace(0, 5,
              "\x7f"
              "ELF\x02");
  elf[18] = 62;
  EXPECT_FALSE(parse_kernel_image(elf));
  std::string banner = "Linux version %s (x)\nLinux version 6.6.1-x (y)\n";
  elf.replace(5000, banner.size(), banner);
  EXPECT_EQ(parse_kernel_image(elf)->version, "6.6.1-x");
  for (const std::string& bad : {std::string(), std::string("text"), std::string(100'000, 'x')}) {
    EXPECT_EQ(parse_kernel_image(bad).error().kind, ErrorKind::kInvalid);
  }
}

TEST(ModuleVersion, IsThatOfItsMagic) {
  using namespace std::string_literals;
  EXPECT_EQ(module_version("xx\0vermagic=6.1.0-1 SMP mod_unload \0y"s), "6.1.0-1");
  EXPECT_EQ(module_version("nothing"), "");
}

}  // namespace
}  // namespace cocoon::image
