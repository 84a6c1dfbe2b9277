// SPDX-License-Identifier: Apache-2.0
#include "image/acquire/initramfs.h"

#include <zlib.h>

#include <set>

#include "base/cpio.h"

namespace cocoon::image {
namespace {

constexpr std::size_t kAlignment = 512;

// gzip, because every kernel that has initramfs at all reads it; no time and no name in its header.
Result<std::string> gzip(std::string& bytes) {
  constexpr int kGzipWrapper = 15 + 16;  // zlib.h, deflateInit2
  constexpr int kMemory = 8;
  z_stream stream{};
  if (deflateInit2(&stream, 6, Z_DEFLATED, kGzipWrapper, kMemory, Z_DEFAULT_STRATEGY) != Z_OK) {
    return fail(ErrorKind::kInternal, "zlib does not start");
  }
  std::string out(deflateBound(&stream, bytes.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(bytes.data());
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  int code = deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  if (code != Z_STREAM_END) return fail(ErrorKind::kInternal, "zlib gave up with {}", code);
  return out;
}

}  // namespace

std::string render_module_order(const std::vector<LoadedModule>& modules) {
  std::string out;
  for (const LoadedModule& module : modules) {
    out += module.plan.file;
    if (!module.plan.fstype.empty()) out += " " + module.plan.fstype;
    out += '\n';
  }
  return out;
}

Result<std::string> render_initramfs(std::string_view guest_program,
                                     const std::vector<LoadedModule>& modules) {
  CpioArchive archive;
  for (const char* name : {"dev", "proc", "sys", "run", "cocoon", "modules"}) {
    archive.add_directory(name, 0755);
  }
  archive.add_char_device("dev/console", 0600, 5, 1);
  archive.add_file("init", 0755, guest_program);
  archive.add_file("modules/order", 0644, render_module_order(modules));
  std::set<std::string> names;
  for (const LoadedModule& module : modules) {
    if (!names.insert(module.plan.file).second) continue;  // needed by two file systems
    archive.add_file("modules/" + module.plan.file, 0644, module.bytes);
  }
  std::string bytes = archive.finish();
  constexpr std::size_t kLargest = std::size_t{1} << 30;
  if (bytes.size() > kLargest) return fail(ErrorKind::kInvalid, "the modules are too large");
  std::string packed = COCOON_TRY(gzip(bytes), "pack the initramfs");
  packed.resize((packed.size() + kAlignment - 1) / kAlignment * kAlignment, '\0');
  return packed;
}

}  // namespace cocoon::image
