// SPDX-License-Identifier: Apache-2.0
// Digests of snapshot members. What is shared has the SHA-256 of the file. What a VM alone has is
// mostly holes (a root disk of 10 GiB with 100 MiB in it), which a plain digest would read for half
// a minute; so there it is the SHA-256 of those pages that are not all zero: 8 bytes of offset and
// the 4096 bytes of each, ascending, and 8 bytes of the file's size (numbers little-endian, the
// last page filled up with zeroes). It does not depend on where a file has holes.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "image/acquire/digest.h"

namespace cocoon::snapshot {

inline constexpr std::size_t kPageBytes = 4096;

// Are these at most kPageBytes all zero?
bool is_zero_page(std::string_view bytes);

// A running digest of pages. The data comes in ascending pieces; what is left out is zero.
class PageDigest {
 public:
  void update(std::int64_t offset, std::string_view bytes);
  // `size`: of the whole file.
  std::string finish(std::int64_t size);

 private:
  void begin(std::int64_t page);
  void add(std::int64_t page, std::string_view bytes);

  image::Sha256 hash_;
  std::array<char, kPageBytes> buffer_{};  // of the page that pieces share
  std::int64_t page_ = -1;                 // its offset; -1: there is none
};

// Of a small file that is at hand.
std::string pages_digest(std::string_view bytes);

// One file of several.
struct DigestJob {
  int fd = -1;              // borrowed, open for reading
  std::string what;         // for messages
  bool pages = false;       // which digest
  std::string digest = {};  // the answer, hex
};

// Fills in the digests, several files side by side. The first failure is returned; kInterrupted.
Result<void> take_digests(std::vector<DigestJob>& jobs);

}  // namespace cocoon::snapshot
