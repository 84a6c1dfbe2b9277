// SPDX-License-Identifier: Apache-2.0
#include "tree_copy/directory_list.h"

namespace cocoon::tree_copy {

bool DirectoryList::push(Entry entry) {
  std::size_t size = sizeof(Item) + entry.path.size();
  for (const auto& xattr : entry.xattrs)
    size += sizeof xattr + xattr.first.size() + xattr.second.size();
  if (size > limit_ - bytes_) return false;
  bytes_ += size;
  items_.push_back({.path = std::move(entry.path),
                    .mode = entry.mode,
                    .uid = entry.uid,
                    .gid = entry.gid,
                    .mtime = entry.mtime,
                    .mtime_ns = entry.mtime_ns,
                    .xattrs = std::move(entry.xattrs)});
  return true;
}

std::optional<Entry> DirectoryList::pop() {
  if (items_.empty()) return std::nullopt;
  Item& item = items_.back();
  Entry entry;
  entry.kind = EntryKind::kDirectory;
  entry.path = std::move(item.path);
  entry.mode = item.mode;
  entry.uid = item.uid;
  entry.gid = item.gid;
  entry.mtime = item.mtime;
  entry.mtime_ns = item.mtime_ns;
  entry.xattrs = std::move(item.xattrs);
  items_.pop_back();
  return entry;
}

}  // namespace cocoon::tree_copy
