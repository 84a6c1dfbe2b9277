// SPDX-License-Identifier: Apache-2.0
#include "disk/disk_image.h"

#include <unistd.h>

#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "disk/qcow2_header.h"
#include "sys/fault.h"
#include "sys/files.h"
#include "sys/spawn.h"

namespace cocoon::disk {
namespace {

constexpr uid_t kNobody = 65534;
constexpr int kLockFdInChild = 10;
constexpr Milliseconds kConvertLimit{1'800'000};
constexpr Milliseconds kCreateLimit{60'000};
constexpr std::int64_t kConvertMemory = std::int64_t{2} << 30;
constexpr int kConvertCpuSeconds = 1'800;

Result<void> need_qemu_img() {
  if (sys::find_program("qemu-img")) return {};
  return fail(ErrorKind::kUnsupported, "qemu-img is not installed; the package qemu-utils has it");
}

void inherit_lock(sys::SpawnSpec& spec, int lock_fd) {
  if (lock_fd >= 0) spec.fds = {{lock_fd, kLockFdInChild}};
}

// Everything said outright: qemu-img must neither probe a format nor follow a name in a header.
std::string source_of(const Untrusted& image) {
  nlohmann::json file = {{"driver", "file"}, {"filename", image.file}};
  if (image.format == ImageFormat::kRaw) {
    return "json:" + nlohmann::json({{"driver", "raw"}, {"file", file}}).dump();
  }
  return "json:" +
         nlohmann::json({{"driver", "qcow2"}, {"backing", nullptr}, {"file", file}}).dump();
}

sys::SpawnSpec convert_program(const Untrusted& image, const std::string& target) {
  sys::SpawnSpec spec;
  spec.program = "prlimit";
  spec.args = {fmt::format("--as={}", kConvertMemory),
               fmt::format("--cpu={}", kConvertCpuSeconds),
               "--core=0",
               "--nofile=64",
               "--",
               "qemu-img",
               "convert",
               "-O",
               "raw",
               source_of(image),
               target};
  if (image.virtual_size > 0) {
    spec.args.insert(spec.args.begin(), fmt::format("--fsize={}", image.virtual_size));
  }
  spec.cwd = image.dir.native();
  spec.user = {kNobody, kNobody};
  inherit_lock(spec, image.lock_fd);
  return spec;
}

}  // namespace

Result<std::string> read_image_head(int fd) {
  std::string head(kQcow2HeadBytes, '\0');
  ssize_t got = pread(fd, head.data(), head.size(), 0);
  if (got < 0) return fail_errno("read the head of the image");
  head.resize(static_cast<std::size_t>(got));
  return head;
}

Result<void> flatten_image(const Untrusted& image, const std::string& target) {
  COCOON_TRY(need_qemu_img());
  COCOON_TRY(sys::set_owner(image.dir / image.file, kNobody, kNobody, 0400));
  COCOON_TRY(sys::set_owner(image.dir, kNobody, kNobody, 0700));
  auto converted = sys::run_program(convert_program(image, target), kConvertLimit);
  // Ours again, whatever came of it.
  COCOON_TRY(sys::set_owner(image.dir, 0, 0, 0700));
  if (!converted) return pass(std::move(converted).error(), "convert the image");
  sys::side_effect("convert disk image");
  return sys::set_owner(image.dir / target, 0, 0, 0600);
}

Result<void> make_overlay(const std::filesystem::path& dir, const std::string& name,
                          const std::string& backing, std::int64_t bytes, int lock_fd) {
  COCOON_TRY(need_qemu_img());
  sys::SpawnSpec spec;
  spec.program = "qemu-img";
  // -u: the base is not opened, so the size has to be said.
  spec.args = {"create",
               "-q",
               "-f",
               "qcow2",
               "-u",
               "-b",
               backing,
               "-F",
               "raw",
               name,
               fmt::format("{}", bytes)};
  spec.cwd = dir.native();
  inherit_lock(spec, lock_fd);
  COCOON_TRY(sys::run_program(std::move(spec), kCreateLimit), "make overlay {}", name);
  sys::side_effect("make overlay");
  return {};
}

}  // namespace cocoon::disk
