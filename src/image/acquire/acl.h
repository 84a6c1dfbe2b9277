// SPDX-License-Identifier: Apache-2.0
// POSIX ACLs of a tar entry as the extended attributes that the kernel knows.
#pragma once

#include <string>
#include <utility>
#include <vector>

struct archive_entry;

namespace cocoon::image {

// Adds system.posix_acl_access and system.posix_acl_default when the entry carries such ACLs. Their
// format is that of linux/posix_acl_xattr.h, version 2.
void append_acls(archive_entry* entry, std::vector<std::pair<std::string, std::string>>& xattrs);

}  // namespace cocoon::image
