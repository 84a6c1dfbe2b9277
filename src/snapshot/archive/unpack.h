// SPDX-License-Identifier: Apache-2.0
// A snapshot's archive, written into a directory of ours under the rules of spec 04 §11.9. All of
// it is hostile: nothing is written outside, nothing is followed.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "image/acquire/byte_source.h"
#include "sys/files.h"

namespace cocoon::snapshot {

// The largest file by its logical size.
inline constexpr std::int64_t kMaxMemberBytes = std::int64_t{16} << 40;

struct UnpackedFile {
  std::int64_t size = 0;
  std::string pages;  // digest of its pages (member_digest.h)
};

struct Unpacked {
  std::string envelope;  // text of snapshot.json; empty: none
  std::string sidecar;   // text of cocoon.json; empty: none
  std::map<std::string, UnpackedFile> files;
  std::vector<std::string> skipped;  // what was no regular file
};

// The plain name of an archive's entry: what follows its last slash. kCorrupt for one that is no
// name of a member (model::is_member_name).
Result<std::string> member_name(const std::string& entry_name);

// Writes every member as a file of `directory` (mode 0600, pages of zeroes as holes, synced); the
// two documents are kept as text instead. kCorrupt as ArchiveReader, and for names, duplicates and
// sizes; kSystem for what the file system has no room for. What was written until then stays.
Result<Unpacked> unpack_archive(image::ByteSource& source, const sys::fs::path& directory);

}  // namespace cocoon::snapshot
