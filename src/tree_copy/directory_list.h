// SPDX-License-Identifier: Apache-2.0
// The directories of an archive whose attributes are still to be set, in bounded memory.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tree_copy/tar.h"

namespace cocoon::tree_copy {

class DirectoryList {
 public:
  explicit DirectoryList(std::size_t limit) : limit_(limit) {}

  // Keeps path, owner, mode, time and extended attributes of an entry. False: that would be more
  // bytes than the limit.
  bool push(Entry entry);
  // The youngest, a directory's entry again; nullopt once there is none.
  std::optional<Entry> pop();

 private:
  // Far smaller than an entry.
  struct Item {
    std::string path;
    unsigned mode = 0;
    std::int64_t uid = 0;
    std::int64_t gid = 0;
    std::int64_t mtime = 0;
    std::int64_t mtime_ns = 0;
    std::vector<std::pair<std::string, std::string>> xattrs;
  };

  std::size_t limit_;
  std::size_t bytes_ = 0;  // of all that were pushed
  std::vector<Item> items_;
};

}  // namespace cocoon::tree_copy
