// SPDX-License-Identifier: Apache-2.0
#include "image/acquire/acl.h"

#include <archive.h>
#include <archive_entry.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>

#include <algorithm>
#include <cstdint>
#include <tuple>

namespace cocoon::image {
namespace {

// Sorted as the kernel demands: by tag, then by ID.
using Entry = std::tuple<std::uint16_t, std::uint32_t, std::uint16_t>;

void put_le(std::string& out, std::uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out += static_cast<char>((value >> (8 * i)) & 0xff);
}

std::uint16_t kernel_tag(int tag) {
  switch (tag) {
    case ARCHIVE_ENTRY_ACL_USER_OBJ:
      return ACL_USER_OBJ;
    case ARCHIVE_ENTRY_ACL_USER:
      return ACL_USER;
    case ARCHIVE_ENTRY_ACL_GROUP_OBJ:
      return ACL_GROUP_OBJ;
    case ARCHIVE_ENTRY_ACL_GROUP:
      return ACL_GROUP;
    case ARCHIVE_ENTRY_ACL_MASK:
      return ACL_MASK;
    case ARCHIVE_ENTRY_ACL_OTHER:
      return ACL_OTHER;
    default:
      return 0;
  }
}

std::string render(archive_entry* entry, int kind) {
  std::vector<Entry> entries;
  archive_entry_acl_reset(entry, kind);
  int type = 0;
  int permset = 0;
  int tag = 0;
  int id = 0;
  const char* name = nullptr;
  while (archive_entry_acl_next(entry, kind, &type, &permset, &tag, &id, &name) == ARCHIVE_OK) {
    std::uint16_t known = kernel_tag(tag);
    if (known == 0) continue;
    bool named = known == ACL_USER || known == ACL_GROUP;
    entries.emplace_back(known, named ? static_cast<std::uint32_t>(id) : ~std::uint32_t{0},
                         static_cast<std::uint16_t>(permset & 7));
  }
  std::sort(entries.begin(), entries.end());
  std::string out;
  put_le(out, POSIX_ACL_XATTR_VERSION, 4);
  for (auto [entry_tag, entry_id, permissions] : entries) {
    put_le(out, entry_tag, 2);
    put_le(out, permissions, 2);
    put_le(out, entry_id, 4);
  }
  return out;
}

}  // namespace

void append_acls(archive_entry* entry, std::vector<std::pair<std::string, std::string>>& xattrs) {
  // Counts only what goes beyond the three classes of the mode bits.
  if (archive_entry_acl_count(entry, ARCHIVE_ENTRY_ACL_TYPE_ACCESS) > 0) {
    xattrs.emplace_back("system.posix_acl_access", render(entry, ARCHIVE_ENTRY_ACL_TYPE_ACCESS));
  }
  if (archive_entry_acl_count(entry, ARCHIVE_ENTRY_ACL_TYPE_DEFAULT) > 0) {
    xattrs.emplace_back("system.posix_acl_default", render(entry, ARCHIVE_ENTRY_ACL_TYPE_DEFAULT));
  }
}

}  // namespace cocoon::image
