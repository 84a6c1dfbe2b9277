// SPDX-License-Identifier: Apache-2.0
#include "vmm/fact_file.h"

#include "base/text.h"
#include "sys/files.h"

namespace cocoon::vmm {
namespace {

constexpr std::size_t kMaxSize = 4096;

}  // namespace

std::optional<std::string> read_fact(const std::filesystem::path& path, std::string_view key) {
  auto text = sys::read_file(path, kMaxSize);
  if (!text) return std::nullopt;
  auto lines = split(*text, '\n');
  // key, answer, and the empty rest after the last newline: anything else was written half.
  if (lines.size() != 3 || lines[0] != key || !lines[2].empty()) return std::nullopt;
  return std::string(lines[1]);
}

void write_fact(const std::filesystem::path& path, std::string_view key, std::string_view answer) {
  std::string text = fmt::format("{}\n{}\n", key, escape_controls(answer));
  ignore(sys::write_file_atomic(path, text, 0600), "the next command asks again");
}

}  // namespace cocoon::vmm
