// SPDX-License-Identifier: Apache-2.0
#include "image/acquire/digest.h"

#include <array>

#include <openssl/evp.h>

#include "base/text.h"
#include "sys/cancel.h"

namespace cocoon::image {
namespace {

constexpr std::size_t kChunk = std::size_t{1} << 20;

std::string digest_bytes(const EVP_MD* algorithm, std::string_view bytes) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> out{};
  unsigned int size = 0;
  EVP_Digest(bytes.data(), bytes.size(), out.data(), &size, algorithm, nullptr);
  return {reinterpret_cast<const char*>(out.data()), size};
}

}  // namespace

void Sha256::Free::operator()(evp_md_ctx_st* context) const { EVP_MD_CTX_free(context); }

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
  EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr);
}

Sha256::~Sha256() = default;

void Sha256::update(std::string_view bytes) {
  EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size());
}

std::string Sha256::finish() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> out{};
  unsigned int size = 0;
  EVP_DigestFinal_ex(context_.get(), out.data(), &size);
  return to_hex({reinterpret_cast<const char*>(out.data()), size});
}

std::string sha256_hex(std::string_view bytes) { return to_hex(digest_bytes(EVP_sha256(), bytes)); }

Result<std::string> sha256_file(const sys::fs::path& path) {
  sys::UniqueFd fd = COCOON_TRY(sys::open_file(path, O_RDONLY | O_NOFOLLOW));
  Sha256 hash;
  std::string chunk(kChunk, '\0');
  while (true) {
    ssize_t got = ::read(fd.get(), chunk.data(), chunk.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno(fmt::format("read {}", path.native()));
    if (got == 0) return hash.finish();
    hash.update({chunk.data(), static_cast<std::size_t>(got)});
    COCOON_TRY(sys::check_cancelled());
  }
}

std::string uuid_v5(std::string_view name) {
  // Namespace URL, 6ba7b811-9dad-11d1-80b4-00c04fd430c8.
  constexpr std::string_view kNamespace(
      "\x6b\xa7\xb8\x11\x9d\xad\x11\xd1\x80\xb4\x00\xc0\x4f\xd4\x30\xc8", 16);
  std::string bytes = digest_bytes(EVP_sha1(), std::string(kNamespace) + std::string(name));
  bytes.resize(16);
  bytes[6] = static_cast<char>((bytes[6] & 0x0f) | 0x50);
  bytes[8] = static_cast<char>((bytes[8] & 0x3f) | 0x80);
  std::string hex = to_hex(bytes);
  return fmt::format("{}-{}-{}-{}-{}", hex.substr(0, 8), hex.substr(8, 4), hex.substr(12, 4),
                     hex.substr(16, 4), hex.substr(20));
}

std::string chain_id(const std::vector<std::string>& diff_ids) {
  std::string chain;
  for (const std::string& diff_id : diff_ids) {
    chain =
        chain.empty() ? diff_id : sha256_hex(fmt::format("sha256:{} sha256:{}", chain, diff_id));
  }
  return chain;
}

}  // namespace cocoon::image
