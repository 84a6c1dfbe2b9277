// SPDX-License-Identifier: Apache-2.0
// A layer as it comes from outside: gzip, zstd or plain, then tar, then (as root) the staging tree.
// Nothing may appear beside the tree, and it can always be removed.
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>

#include "image/acquire/boot_scan.h"
#include "image/acquire/byte_source.h"
#include "image/acquire/layer_path.h"
#include "image/acquire/staging_tree.h"
#include "image/acquire/tar_reader.h"
#include "sys/files.h"

namespace {

using cocoon::Result;
namespace image = cocoon::image;
namespace sys = cocoon::sys;

constexpr image::LayerLimits kLimits{1 << 20, 300};

void require(bool holds) {
  if (!holds) abort();
}

// One directory for all inputs, gone at the end of the process.
const sys::fs::path& base() {
  static auto dir = [] {
    const char* parent = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    auto made = sys::TempDir::create(parent, "cocoon-fuzz-");
    require(made.has_value());
    return std::move(*made);
  }();
  return dir.path();
}

Result<void> unpack(std::string bytes, std::optional<image::StagingTree>& tree) {
  auto plain =
      COCOON_TRY(image::decompress(std::make_unique<image::MemorySource>(std::move(bytes))));
  image::DigestSource counted(std::move(plain), kLimits.bytes, "layer");
  auto reader = COCOON_TRY(image::TarReader::open(counted));
  std::int64_t entries = 0;
  while (++entries <= kLimits.entries) {
    auto entry = COCOON_TRY(reader.next());
    if (!entry) break;
    if (tree) {
      COCOON_TRY(tree->add(*entry, reader));
      continue;
    }
    auto path = COCOON_TRY(image::parse_layer_path(entry->path));
    COCOON_TRY(image::classify(std::move(path)));
    while (COCOON_TRY(reader.block())) {
    }
  }
  if (!tree) return {};
  COCOON_TRY(tree->finish());
  COCOON_TRY(image::scan_boot_entries(tree->root_fd()));
  return {};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string bytes(reinterpret_cast<const char*>(data), size);
  std::optional<image::StagingTree> tree;
  sys::fs::path dir = base() / "tree";
  if (geteuid() == 0) {
    auto made = image::StagingTree::create(dir, kLimits);
    require(made.has_value());
    tree.emplace(std::move(*made));
  }
  auto done = unpack(std::move(bytes), tree);
  if (!done) require(!done.error().to_string().empty());
  tree.reset();
  require(sys::remove_tree(dir).has_value());
  auto left = sys::list_dir(base());
  require(left && left->empty());
  return 0;
}
