// SPDX-License-Identifier: Apache-2.0
// Names of images: what the grammar takes is one image, whatever way it is written, and can be put
// into a path of a registry's API.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "image/catalog/reference.h"

namespace {

void require(bool holds) {
  if (!holds) abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace cocoon::image;
  std::string text(reinterpret_cast<const char*>(data), size);
  std::string canonical = canonical_name(text);
  require(canonical_name(canonical) == canonical);
  if (auto reference = parse_reference(text)) {
    require(reference->canonical() == canonical);
    require(canonical_name(reference->name()) == canonical);
    require(reference->tag.empty() != reference->digest.empty());
    for (const std::string& part : {reference->registry, reference->repository, reference->tag}) {
      require(part.find_first_of(" \t\r\n?#%\\\"'@\x7f") == std::string::npos);
    }
    require(!is_url(text));
  }
  if (check_image_name(text)) require(!digest_digits(text) && !is_url(text));
  return 0;
}
