// SPDX-License-Identifier: Apache-2.0
// The directory tree that one layer (or several merged ones) is unpacked into before mkfs.erofs
// turns it into a blob (spec 02 §13.3, §13.4). The layer is hostile: every object is reached by the
// descriptor of its parent, which was resolved inside the tree, plus one name.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "image/acquire/layer_path.h"
#include "image/acquire/tar_reader.h"
#include "sys/fd.h"
#include "sys/files.h"

namespace cocoon::image {

struct LayerLimits {
  std::int64_t bytes = 0;    // of all files together, holes counted
  std::int64_t entries = 0;  // of the archive
};

class StagingTree {
 public:
  // Makes the empty tree at `dir`, which must not exist; its parent belongs to us alone.
  static Result<StagingTree> create(const sys::fs::path& dir, LayerLimits limits);
  // Can the file system at `dir` hold what layers hold, and may we? kUnsupported with the reason.
  static Result<void> check_host(const sys::fs::path& dir);

  // Adds one entry; later ones replace earlier ones. Markers are remembered for finish(). kCorrupt
  // for what must not be, kSystem when the host fails (a full disk).
  Result<void> add(const TarEntry& entry, TarReader& content);
  // Merging, before the entries of a further layer are added: removes what its markers hide.
  Result<void> apply_marker(const TarEntry& entry);
  // Merging: markers were applied already and mean nothing to add() and finish().
  void ignore_markers() { ignore_markers_ = true; }

  // Turns remembered markers into overlayfs' own marks and sets the times of directories. To be
  // called once, after the last entry.
  Result<void> finish();

  const sys::fs::path& path() const { return path_; }
  int root_fd() const { return root_.get(); }
  // After finish(): hides every layer below.
  bool root_opaque() const { return root_opaque_; }
  // Seconds; no object is younger.
  std::int64_t newest() const { return newest_; }
  // Bytes of all files.
  std::int64_t bytes() const { return bytes_; }

 private:
  struct Directory {
    std::uint16_t depth = 0;
    std::uint16_t path_length = 0;
    bool opaque = false;
    timespec mtime{};
  };
  struct Parent {
    sys::UniqueFd fd;  // O_PATH
    ino_t inode = 0;
  };

  StagingTree(sys::fs::path path, sys::UniqueFd root, LayerLimits limits);

  Result<void> count_entry(const TarEntry& entry);
  Result<Parent> open_parent(const std::string& parent, bool create);
  Result<Parent> make_parents(const std::string& parent);
  Result<ino_t> make_directory(const Parent& parent, const std::string& name);
  Result<void> forget_object(const Parent& parent, const std::string& name, bool keep_directory);

  Result<void> record_marker(const MarkedPath& marked);
  Result<void> add_object(const TarEntry& entry, const LayerPath& path, TarReader& content);
  Result<void> add_directory(const TarEntry& entry, const Parent& parent, const std::string& name);
  Result<void> add_file(const TarEntry& entry, const Parent& parent, const std::string& name,
                        TarReader& content);
  Result<void> add_hardlink(const TarEntry& entry, const Parent& parent, const std::string& name);
  Result<void> set_attributes(const TarEntry& entry, int parent, const std::string& name);
  Result<void> set_root_attributes(const TarEntry& entry);
  void note_time(const timespec& time);

  Result<void> finish_directory(int fd, bool covered);
  Result<int> make_whiteouts(int fd, ino_t inode, bool covered);

  sys::fs::path path_;
  sys::UniqueFd root_;
  LayerLimits limits_;
  // By inode number: the tree is on one file system. Removed directories leave entries behind,
  // which are overwritten when the number is used again.
  std::unordered_map<ino_t, Directory> directories_;
  std::unordered_map<ino_t, std::vector<std::string>> whiteouts_;
  std::int64_t entries_ = 0;
  std::int64_t bytes_ = 0;
  std::int64_t newest_ = 0;
  bool ignore_markers_ = false;
  bool root_opaque_ = false;
};

}  // namespace cocoon::image
