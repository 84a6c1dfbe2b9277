// SPDX-License-Identifier: Apache-2.0
#include "image/acquire/tar_scan.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "image/acquire/boot_names.h"
#include "image/acquire/digest.h"
#include "image/acquire/layer_path.h"
#include "image/acquire/tar_reader.h"
#include "sys/cancel.h"

namespace cocoon::image {
namespace {

using model::BootEntry;

// The scan keeps every name in memory.
constexpr std::int64_t kMostEntries = 500'000;

class Scanner {
 public:
  Scanner(LayerLimits limits, const sys::fs::path& stash) : limits_(limits), stash_(stash) {}

  Result<void> add(const TarEntry& entry, TarReader& content);
  TarScan finish();
  bool stopped() const { return !scan_.obstacle.empty(); }

 private:
  void stop(std::string why) { scan_.obstacle = std::move(why); }
  void add_marker(const MarkedPath& marked);
  void check_object(const TarEntry& entry, const LayerPath& path);
  Result<void> add_boot_entry(const TarEntry& entry, const std::string& path, TarReader& content);
  Result<void> keep_file(const std::string& path, TarReader& content);

  LayerLimits limits_;
  const sys::fs::path& stash_;
  TarScan scan_;
  std::unordered_map<std::string, TarEntry::Type> objects_;
  std::unordered_set<std::string> whiteouts_;
  std::unordered_set<std::string> opaque_;
  std::unordered_set<std::string> marked_;  // directories that hold whiteouts
  std::int64_t entries_ = 0;
  std::int64_t bytes_ = 0;
};

bool has_odd_attributes(const TarEntry& entry) {
  return std::any_of(entry.xattrs.begin(), entry.xattrs.end(), [](const auto& attribute) {
    const std::string& name = attribute.first;
    bool plain = name == "security.capability" ||
                 (name.starts_with("user.") && !name.starts_with("user.overlay."));
    return !plain;
  });
}

void Scanner::add_marker(const MarkedPath& marked) {
  const LayerPath& path = marked.path;
  if (marked.marker == Marker::kAufs) return stop("aufs bookkeeping");
  if (!path.parent.empty() && !objects_.contains(path.parent)) return stop("an implied directory");
  if (marked.marker == Marker::kWhiteout) {
    whiteouts_.insert(path.full());
    marked_.insert(path.parent);
    scan_.inodes += 1;
    if (is_boot_directory(path.full()) || is_boot_name(path.full())) {
      scan_.boot.push_back({BootEntry::Type::kWhiteout, path.full(), "", "", 0});
    }
    return;
  }
  opaque_.insert(path.parent);
  if (path.parent.empty()) scan_.root_opaque = true;
  if (is_boot_directory(path.parent)) {
    scan_.boot.push_back({BootEntry::Type::kOpaque, path.parent, "", "", 0});
  }
}

void Scanner::check_object(const TarEntry& entry, const LayerPath& path) {
  constexpr std::int64_t kLargestId = 0xfffffffe;
  if (entry.type == TarEntry::Type::kOther) return stop("an unknown type");
  if (!entry.is_plain) return stop("a sparse file or an old format");
  if (entry.uid < 0 || entry.uid > kLargestId || entry.gid < 0 || entry.gid > kLargestId ||
      entry.mtime < 0 || entry.mtime > 0xffffffff || entry.device_major >= 1U << 12 ||
      entry.device_minor >= 1U << 20) {
    return stop("odd numbers");
  }
  if (has_odd_attributes(entry)) return stop("odd attributes");
  if (!path.parent.empty()) {
    auto parent = objects_.find(path.parent);
    if (parent == objects_.end() || parent->second != TarEntry::Type::kDirectory) {
      return stop("a parent that is implied or no directory");
    }
  }
  if (!objects_.emplace(path.full(), entry.type).second) return stop("a name that occurs twice");
  if (entry.type != TarEntry::Type::kHardlink) {
    scan_.inodes += 1;
    return;
  }
  auto target = parse_layer_path(entry.target);
  auto linked = target ? objects_.find(target->full()) : objects_.end();
  if (linked == objects_.end() || linked->second != TarEntry::Type::kFile) {
    return stop("a hard link to something else than a file before it");
  }
}

Result<void> Scanner::keep_file(const std::string& path, TarReader& content) {
  std::string bytes;
  constexpr std::size_t kLargest = std::size_t{512} << 20;
  while (auto block = COCOON_TRY(content.block())) {
    bytes += block->bytes;
    if (bytes.size() > kLargest) {
      stop("a boot file that is too large");
      return {};
    }
  }
  BootEntry entry{BootEntry::Type::kFile, path, "", sha256_hex(bytes),
                  static_cast<std::int64_t>(bytes.size())};
  COCOON_TRY(sys::write_file_atomic(stash_ / entry.sha256, bytes, 0600));
  scan_.boot.push_back(std::move(entry));
  return {};
}

Result<void> Scanner::add_boot_entry(const TarEntry& entry, const std::string& path,
                                     TarReader& content) {
  if (is_boot_directory(path)) {
    if (entry.type != TarEntry::Type::kDirectory) {
      scan_.boot.push_back({BootEntry::Type::kWhiteout, path, "", "", 0});
    }
    return {};
  }
  if (!is_boot_name(path)) return {};
  if (entry.type == TarEntry::Type::kFile) return keep_file(path, content);
  if (entry.type == TarEntry::Type::kHardlink) stop("a hard link to a boot file");
  if (entry.type == TarEntry::Type::kSymlink && is_plain_text(entry.target)) {
    scan_.boot.push_back({BootEntry::Type::kSymlink, path, entry.target, "", 0});
  }
  return {};
}

Result<void> Scanner::add(const TarEntry& entry, TarReader& content) {
  COCOON_TRY(sys::check_cancelled());
  if (++entries_ > std::min(kMostEntries, limits_.entries)) {
    stop("many entries");
    return {};
  }
  if (entry.size < 0 || entry.size > limits_.bytes - bytes_) {
    stop("many bytes");
    return {};
  }
  if (entry.type == TarEntry::Type::kFile) bytes_ += entry.size;
  auto path = parse_layer_path(entry.path);
  auto marked = path ? classify(std::move(*path)) : Result<MarkedPath>(pass(path.error()));
  if (!marked || is_whiteout_device(entry)) {
    stop("an odd name");
    return {};
  }
  if (marked->marker != Marker::kNone) {
    add_marker(*marked);
    return {};
  }
  scan_.newest = std::max(scan_.newest, entry.mtime + (entry.mtime_nsec > 0 ? 1 : 0));
  if (marked->path.name.empty()) {
    if (entry.type != TarEntry::Type::kDirectory || has_odd_attributes(entry)) stop("an odd root");
    return {};
  }
  check_object(entry, marked->path);
  if (stopped()) return {};
  return add_boot_entry(entry, marked->path.full(), content);
}

TarScan Scanner::finish() {
  for (const std::string& hidden : whiteouts_) {
    if (objects_.contains(hidden)) stop("a whiteout of something in the layer itself");
  }
  for (const std::string& dir : marked_) {
    bool below_opaque = std::any_of(opaque_.begin(), opaque_.end(), [&](const std::string& above) {
      return above.empty() || dir == above || dir.starts_with(above + "/");
    });
    if (below_opaque) stop("whiteouts below an opaque directory");
  }
  return std::move(scan_);
}

}  // namespace

Result<TarScan> scan_layer_tar(const LayerInput& layer, LayerLimits limits,
                               const sys::fs::path& stash) {
  Scanner scanner(limits, stash);
  auto scan = [&]() -> Result<void> {
    auto stream = COCOON_TRY(LayerStream::open(layer, limits.bytes));
    auto reader = COCOON_TRY(TarReader::open(*stream));
    while (!scanner.stopped()) {
      auto entry = COCOON_TRY(reader.next());
      if (!entry) break;
      COCOON_TRY(scanner.add(*entry, reader));
    }
    return {};
  };
  auto done = scan();
  if (done) return scanner.finish();
  // Damage is told by the staging tree, in its own words.
  if (done.error().kind == ErrorKind::kCorrupt) {
    TarScan scan_result;
    scan_result.obstacle = done.error().to_string();
    return scan_result;
  }
  return pass(std::move(done).error());
}

}  // namespace cocoon::image
