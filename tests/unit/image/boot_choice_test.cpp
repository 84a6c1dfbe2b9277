// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "image/acquire/boot_names.h"
#include "image/acquire/boot_scan.h"

namespace cocoon::image {
namespace {

using model::BootEntry;
using Layer = std::vector<BootEntry>;

BootEntry file(const std::string& path, std::int64_t size = 10) {
  return {BootEntry::Type::kFile, path, "", "sha-of-" + path, size};
}
BootEntry link(const std::string& path, const std::string& target) {
  return {BootEntry::Type::kSymlink, path, target, "", 0};
}
BootEntry whiteout(const std::string& path) {
  return {BootEntry::Type::kWhiteout, path, "", "", 0};
}
BootEntry opaque(const std::string& path) { return {BootEntry::Type::kOpaque, path, "", "", 0}; }

struct Case {
  const char* name;
  std::vector<Layer> layers;
  const char* kernel;  // empty: none
  const char* initrd;
};

class Choice : public testing::TestWithParam<Case> {};

TEST_P(Choice, IsWhatBelongsTogether) {
  auto files = choose_boot_files(GetParam().layers);
  ASSERT_TRUE(files) << files.error().to_string();
  if (*GetParam().kernel == 0) {
    EXPECT_FALSE(*files);
    return;
  }
  ASSERT_TRUE(*files);
  EXPECT_EQ((*files)->kernel.path, GetParam().kernel);
  EXPECT_EQ((*files)->initrd.path, GetParam().initrd);
}

INSTANTIATE_TEST_SUITE_P(
    All, Choice,
    testing::Values(
        Case{"Nothing", {{}}, "", ""}, Case{"KernelAlone", {{file("boot/vmlinuz-6.1")}}, "", ""},
        Case{"Pair",
             {{file("boot/vmlinuz-6.1"), file("boot/initrd.img-6.1")}},
             "boot/vmlinuz-6.1",
             "boot/initrd.img-6.1"},
        Case{"HighestByVersionNotByText",
             {{file("boot/vmlinuz-6.1.0-9"), file("boot/initrd.img-6.1.0-9"),
               file("boot/vmlinuz-6.1.0-18"), file("boot/initrd.img-6.1.0-18")}},
             "boot/vmlinuz-6.1.0-18",
             "boot/initrd.img-6.1.0-18"},
        Case{"HighestThatHasAnInitrd",
             {{file("boot/vmlinuz-6.9"), file("boot/vmlinuz-6.1"), file("boot/initrd.img-6.1")}},
             "boot/vmlinuz-6.1",
             "boot/initrd.img-6.1"},
        Case{"TheLinkDecides",
             {{file("boot/vmlinuz-6.1"), file("boot/initrd.img-6.1"), file("boot/vmlinuz-6.9"),
               file("boot/initrd.img-6.9"), link("boot/vmlinuz", "vmlinuz-6.1")}},
             "boot/vmlinuz-6.1",
             "boot/initrd.img-6.1"},
        Case{"RootLinks",
             {{file("boot/vmlinuz-6.1"), file("boot/initrd.img-6.1"), file("boot/vmlinuz-6.9"),
               file("boot/initrd.img-6.9"), link("vmlinuz", "/boot/vmlinuz-6.1"),
               link("initrd.img", "boot/initrd.img-6.1")}},
             "boot/vmlinuz-6.1",
             "boot/initrd.img-6.1"},
        Case{"AcrossLayers",
             {{file("boot/vmlinuz-6.1")}, {file("boot/initrd.img-6.1")}},
             "boot/vmlinuz-6.1",
             "boot/initrd.img-6.1"},
        Case{"WhitedOut",
             {{file("boot/vmlinuz-6.9"), file("boot/initrd.img-6.9"), file("boot/vmlinuz-6.1"),
               file("boot/initrd.img-6.1")},
              {whiteout("boot/vmlinuz-6.9")}},
             "boot/vmlinuz-6.1",
             "boot/initrd.img-6.1"},
        Case{"DirectoryWhitedOut",
             {{file("boot/vmlinuz-6.9"), file("boot/initrd.img-6.9")}, {whiteout("boot")}},
             "",
             ""},
        Case{"OpaqueDirectory",
             {{file("boot/vmlinuz-6.9"), file("boot/initrd.img-6.9")},
              {opaque("boot"), file("boot/vmlinuz-5.1"), file("boot/initrd.img-5.1")}},
             "boot/vmlinuz-5.1",
             "boot/initrd.img-5.1"},
        Case{"OtherNames",
             {{file("usr/lib/modules/6.1/vmlinuz"), file("boot/initramfs-6.1.img")}},
             "usr/lib/modules/6.1/vmlinuz",
             "boot/initramfs-6.1.img"},
        Case{"OneOfEachNeedsNoVersion",
             {{file("boot/vmlinuz"), file("boot/initrd.img-6.1")}},
             "boot/vmlinuz",
             "boot/initrd.img-6.1"},
        Case{"CircularLinks", {{link("boot/vmlinuz", "vmlinuz"), file("boot/initrd.img")}}, "", ""},
        Case{"LinksLeadNowhereElse",
             {{link("boot/vmlinuz", "../../../etc/passwd"), file("boot/initrd.img")}},
             "",
             ""}),
    [](const auto& test) { return std::string(test.param.name); });

TEST(Choice, AnEmptyFileIsAnError) {
  auto files = choose_boot_files({{file("boot/vmlinuz", 0), file("boot/initrd.img")}});
  ASSERT_FALSE(files);
  EXPECT_EQ(files.error().kind, ErrorKind::kCorrupt);
}

TEST(BootNames, LeftoversAreNone) {
  for (const char* path : {"boot/vmlinuz-6.1.old", "boot/vmlinuz.old",
                           "boot/initrd.img-6.1.dpkg-bak", "boot/config-6.1", "boot/System.map",
                           "boot/initramfs-6.1kdump.img", "boot/vmlinuz-0-rescue-1234",
                           "etc/vmlinuz", "boot/grub/vmlinuz", "Image", "boot/vmlinuzfoo"}) {
    EXPECT_FALSE(is_boot_name(path)) << path;
  }
  for (const char* path :
       {"vmlinuz", "boot/vmlinux-6", "boot/Image", "boot/bzImage", "initrd.img",
        "boot/initrd-6.1.img", "boot/initramfs-linux.img", "lib/modules/6.1/vmlinuz"}) {
    EXPECT_TRUE(is_boot_name(path)) << path;
  }
}

}  // namespace
}  // namespace cocoon::image
