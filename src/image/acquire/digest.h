// SPDX-License-Identifier: Apache-2.0
// SHA-256 and the UUIDs made from it.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "sys/files.h"

struct evp_md_ctx_st;

namespace cocoon::image {

// A running SHA-256.
class Sha256 {
 public:
  Sha256();
  Sha256(Sha256&&) noexcept = default;
  Sha256& operator=(Sha256&&) noexcept = default;
  ~Sha256();
  void update(std::string_view bytes);
  // The digest as 64 lower-case hex digits; nothing may be added afterwards.
  std::string finish();

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  std::unique_ptr<evp_md_ctx_st, Free> context_;
};

std::string sha256_hex(std::string_view bytes);

// Digest of a file's content.
Result<std::string> sha256_file(const sys::fs::path& path);

// RFC 4122 version 5 UUID of a text in the URL namespace: an EROFS file system is named after the
// content that it was made from (spec 02 §5.5).
std::string uuid_v5(std::string_view name);

// What stands for a list of layers (image-spec, config.md, "Layer ChainID"): hex digits of the
// layers, bottom first, to the hex digits of the chain.
std::string chain_id(const std::vector<std::string>& diff_ids);

}  // namespace cocoon::image
