// SPDX-License-Identifier: Apache-2.0
// The door of what a guest sends for `vm cp`: an archive, extracted below a directory of its own.
// Nothing may appear beside that.
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "tree_copy/extract.h"

namespace {

namespace fs = std::filesystem;
using namespace cocoon::tree_copy;

class Bytes : public ByteSource {
 public:
  Bytes(const std::uint8_t* data, std::size_t size) : data_(data), left_(size) {}
  bool read(char* to, std::size_t size) override {
    if (size > left_) return false;
    std::memcpy(to, data_, size);
    data_ += size;
    left_ -= size;
    return true;
  }

 private:
  const std::uint8_t* data_;
  std::size_t left_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::string top = [] {
    std::string name = (fs::temp_directory_path() / "cocoon-fuzz-tar-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) std::abort();
    return name;
  }();
  const std::string out = top + "/out";
  fs::create_directory(out);
  Bytes source(data, size);
  ExtractRequest request;
  request.destination = out;
  extract_tree(request, source, [](std::string_view) {});
  std::size_t beside = 0;
  for ([[maybe_unused]] const auto& entry : fs::directory_iterator(top)) ++beside;
  if (beside != 1) std::abort();
  std::error_code ignored;
  fs::permissions(out, fs::perms::owner_all, ignored);
  fs::remove_all(out, ignored);
  return 0;
}
