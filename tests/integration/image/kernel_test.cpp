// SPDX-License-Identifier: Apache-2.0
// `kernel import` and what belongs to it.
#include <sys/stat.h>
#include <sys/utsname.h>

#include <fstream>

#include "engine/kernel_import.h"
#include "engine/kernel_list.h"
#include "image/acquire/byte_source.h"
#include "image/acquire/kernel_unpack.h"
#include "image/catalog/catalog.h"
#include "image/catalog/collect.h"
#include "integration/image/fixture.h"
#include "integration/image/kernel_sample.h"
#include "sys/spawn.h"

namespace cocoon::test {
namespace {

class Kernels : public ImageStore {
 protected:
  void SetUp() override {
    ImageStore::SetUp();
    if (IsSkipped()) return;
    utsname names{};
    uname(&names);
    if (std::string(names.machine) != "x86_64") GTEST_SKIP() << "the sample kernel is for x86-64";
    sample_.emplace(dir_->path() / "sample");
  }

  Result<engine::KernelImportReport> import_kernel(const std::string& name, const fs::path& kernel,
                                                   const fs::path& modules) {
    return engine::import_kernel(*ports_, {name, kernel, modules, sample_->guest()},
                                 [](const auto&) {});
  }
  Result<engine::KernelImportReport> import_sample(const std::string& name) {
    return import_kernel(name, sample_->kernel(), sample_->modules());
  }

  void expect_failure(const fs::path& kernel, const fs::path& modules, ErrorKind kind,
                      std::string_view says) {
    auto report = import_kernel("bad", kernel, modules);
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error().kind, kind) << report.error().to_string();
    EXPECT_NE(report.error().to_string().find(says), std::string::npos)
        << report.error().to_string();
    EXPECT_TRUE(files().empty());
    EXPECT_EQ(rows(), 0);
  }

  std::string unpacked_initramfs(const fs::path& path) {
    auto file = image::FileSource::open(path);
    EXPECT_TRUE(file);
    auto plain = image::decompress(std::move(*file));
    EXPECT_TRUE(plain);
    auto bytes = image::read_all(**plain, 1 << 28, "initramfs");
    EXPECT_TRUE(bytes) << bytes.error().to_string();
    return *bytes;
  }

  std::optional<KernelSample> sample_;
};

TEST_F(Kernels, AnObjectIsKernelInitramfsAndModules) {
  auto report = import_sample("debian");
  ASSERT_TRUE(report) << report.error().to_string();
  const model::Kernel& kernel = report->kernel.kernel;
  EXPECT_TRUE(report->kernel.is_default);
  EXPECT_EQ(kernel.version, "6.1.0-test");
  EXPECT_EQ(kernel.format, "bzimage");
  EXPECT_EQ(kernel.initramfs_modules,
            (std::vector<std::string>{"virtio_blk.ko", "libcrc32c.ko", "erofs.ko", "overlay.ko",
                                      "xfs.ko"}));
  auto source = image::kernel_source(*db_, ports_->paths, "");
  ASSERT_TRUE(source) << source.error().to_string();
  // The sample has no payload: it is imported all the same, and says what cannot boot it.
  EXPECT_TRUE(source->vmlinux.empty());
  EXPECT_NE(report->note.find("Firecracker before 1.17 cannot boot this kernel"),
            std::string::npos);
  EXPECT_EQ(*sys::read_file(source->kernel, 1 << 20), *sys::read_file(sample_->kernel(), 1 << 20));
  std::string archive = unpacked_initramfs(source->initramfs);
  for (const char* part :
       {"guest program", "modules/order", "xfs.ko xfs\n", "vermagic=6.1.0-test"}) {
    EXPECT_NE(archive.find(part), std::string::npos) << part;
  }
  for (const fs::path& file : {source->kernel, source->initramfs, source->modules->path}) {
    struct stat info {};
    ASSERT_EQ(stat(file.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777, 0444U);
    EXPECT_EQ(info.st_nlink, 1U);
  }
  std::string why;
  auto mounted = MountedImage::mount({source->modules->path}, dir_->path() / "mounts", &why);
  if (!mounted) GTEST_SKIP() << "no mounts here: " << why;
  EXPECT_TRUE(fs::exists(mounted->root() / "kernel/fs/erofs.ko.gz"));
  EXPECT_TRUE(fs::exists(mounted->root() / "modules.dep"));
  EXPECT_FALSE(fs::is_symlink(mounted->root() / "build"));
}

TEST_F(Kernels, TheSameTwiceIsOneObject) {
  auto first = import_sample("a");
  ASSERT_TRUE(first) << first.error().to_string();
  auto files_before = files();
  auto again = import_sample("a");
  ASSERT_TRUE(again);
  EXPECT_FALSE(again->changed);
  EXPECT_EQ(again->kernel.kernel, first->kernel.kernel);
  auto other = import_sample("b");
  ASSERT_TRUE(other);
  EXPECT_TRUE(other->changed);
  EXPECT_FALSE(other->kernel.is_default);
  EXPECT_EQ(files(), files_before);
}

TEST_F(Kernels, NamesComeAndGo) {
  ASSERT_TRUE(import_sample("a"));
  ASSERT_TRUE(import_sample("b"));
  ASSERT_TRUE(engine::set_default_kernel(*ports_, "b"));
  EXPECT_EQ(engine::inspect_kernel(*ports_, "")->name, "b");
  EXPECT_EQ(engine::list_kernels(*ports_)->size(), 2U);
  auto removed = engine::remove_kernels(*ports_, {"b"}, true);
  ASSERT_TRUE(removed);
  EXPECT_TRUE((*removed)[0].was_default);
  collect();
  EXPECT_FALSE(files().empty());  // a still points to the object
  EXPECT_EQ(engine::inspect_kernel(*ports_, "").error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(engine::remove_kernels(*ports_, {"a", "gone"}, false).error().kind,
            ErrorKind::kNotFound);
  EXPECT_TRUE(engine::inspect_kernel(*ports_, "a"));  // all or none
  ASSERT_TRUE(engine::remove_kernels(*ports_, {"a"}, false));
  collect();
  EXPECT_TRUE(files().empty());
  EXPECT_EQ(rows(), 0);
}

TEST_F(Kernels, ANewGuestProgramMakesANewObject) {
  auto first = import_sample("k");
  ASSERT_TRUE(first);
  std::ofstream(sample_->guest()) << "another guest program";
  auto second = import_sample("k");
  ASSERT_TRUE(second);
  EXPECT_TRUE(second->changed);
  EXPECT_NE(second->kernel.kernel.id, first->kernel.kernel.id);
  EXPECT_EQ(second->kernel.kernel.modules_blob, first->kernel.kernel.modules_blob);
  EXPECT_TRUE(second->kernel.is_default);
  collect();
  EXPECT_FALSE(fs::exists(ports_->paths.kernel(first->kernel.kernel.id)));
}

TEST_F(Kernels, WithoutModules) {
  auto report = import_kernel("k", sample_->kernel(), {});
  ASSERT_TRUE(report) << report.error().to_string();
  EXPECT_TRUE(report->kernel.kernel.modules_blob.empty());
  auto source = image::kernel_source(*db_, ports_->paths, "k");
  ASSERT_TRUE(source);
  EXPECT_FALSE(source->modules);
}

TEST_F(Kernels, TheTreeIsFoundBelowWhatIsNamed) {
  auto report = import_kernel("k", sample_->kernel(), dir_->path() / "sample");
  ASSERT_TRUE(report) << report.error().to_string();
  KernelSample other(dir_->path() / "sample", "6.2.0-other");  // a second version beside it
  auto first = import_kernel("l", other.kernel(), dir_->path() / "sample");
  ASSERT_TRUE(first) << first.error().to_string();
  EXPECT_EQ(first->kernel.kernel.version, "6.2.0-other");
}

TEST_F(Kernels, RefusesWhatDoesNotFit) {
  expect_failure(sample_->guest(), {}, ErrorKind::kInvalid, "no Linux kernel");
  expect_failure(dir_->path() / "absent", {}, ErrorKind::kSystem, "absent");
  expect_failure(sample_->kernel(), dir_->path() / "absent", ErrorKind::kSystem, "absent");
  expect_failure(sample_->kernel(), sample_->kernel(), ErrorKind::kInvalid, "no directory");
  expect_failure(sample_->kernel(), config_.root_dir, ErrorKind::kInvalid, "no kernel modules");
  KernelSample other(dir_->path() / "other", "6.2.0");
  expect_failure(sample_->kernel(), other.modules(), ErrorKind::kInvalid,
                 "the modules are for kernel 6.2.0");
  fs::path tree = sample_->modules();
  std::ofstream(tree / "kernel/fs/overlay.ko.zst") << "no module at all";
  expect_failure(sample_->kernel(), tree, ErrorKind::kCorrupt, "is no kernel module");
  std::ofstream(tree / "modules.dep") << "../../../etc/passwd:\n";
  expect_failure(sample_->kernel(), tree, ErrorKind::kCorrupt, "modules.dep: path");
  std::ofstream(tree / "modules.dep") << "kernel/fs/xfs.ko:\n";
  expect_failure(sample_->kernel(), tree, ErrorKind::kInvalid, "has no virtio_blk");
}

// A distribution's kernel, as scripts/test-assets unpacks it.
TEST_F(Kernels, ADistributionsKernel) {
  const char* cache = getenv("COCOON_CACHE");
  fs::path assets =
      fs::path(cache == nullptr ? "/var/cache/cocoon-dev" : cache) / "assets" / "kernel-small";
  std::ifstream complete(assets / ".complete");
  std::string version;
  if (!(complete >> version)) GTEST_SKIP() << "no kernel in " << assets;
  // Without an index: depmod makes one.
  fs::path modules = dir_->path() / "lib" / "modules" / version;
  fs::create_directories(modules.parent_path());
  fs::copy(assets / "lib" / "modules" / version, modules, fs::copy_options::recursive);
  for (const auto& entry : fs::directory_iterator(modules)) {
    std::string name = entry.path().filename();
    bool index = name.starts_with("modules.") && !name.starts_with("modules.builtin") &&
                 name != "modules.order";
    if (index) fs::remove(entry.path());
  }
  if (!sys::find_program("depmod")) GTEST_SKIP() << "depmod is not installed";
  auto report = import_kernel("debian", assets / "boot" / ("vmlinuz-" + version), modules);
  ASSERT_TRUE(report) << report.error().to_string();
  const model::Kernel& kernel = report->kernel.kernel;
  EXPECT_EQ(kernel.version, version);
  const auto& names = kernel.initramfs_modules;
  auto at = [&](const char* name) { return std::find(names.begin(), names.end(), name); };
  // Unpacked once, for VMMs that boot nothing else.
  EXPECT_EQ(report->note, "");
  auto source = image::kernel_source(*db_, ports_->paths, "debian");
  ASSERT_TRUE(source) << source.error().to_string();
  EXPECT_EQ(source->vmlinux, ports_->paths.kernel(kernel.id) / "vmlinux");
  struct stat info {};
  ASSERT_EQ(stat(source->vmlinux.c_str(), &info), 0);
  EXPECT_EQ(info.st_size, kernel.vmlinux_size);
  EXPECT_EQ(info.st_mode & 07777, 0444U);
  EXPECT_TRUE(image::check_vmlinux(*sys::read_file(source->vmlinux, image::kMaxVmlinux)));
  // A cut one is noticed before a VM is made from it.
  ASSERT_EQ(truncate(source->vmlinux.c_str(), 100), 0);
  EXPECT_EQ(image::kernel_source(*db_, ports_->paths, "debian").error().kind, ErrorKind::kCorrupt);
  EXPECT_LT(at("virtio_ring.ko"), at("virtio_blk.ko"));
  for (const char* needed : {"virtio_pci.ko", "erofs.ko", "overlay.ko"}) {
    EXPECT_NE(at(needed), names.end()) << needed;
  }
}

}  // namespace
}  // namespace cocoon::test
