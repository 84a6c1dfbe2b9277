// SPDX-License-Identifier: Apache-2.0
#include "cli/config/config_file.h"

#include <cerrno>

#include "base/text.h"
#include "sys/files.h"

namespace cocoon::cli {

Result<FlatConfig> read_config_file(const std::filesystem::path& path) {
  constexpr std::size_t kLimit = std::size_t{1} << 20;
  std::string extension = to_lower(path.extension().native());
  auto content = sys::read_file(path, kLimit);
  if (!content && content.error().saved_errno == ENOENT) {
    return fail(ErrorKind::kNotFound, "no such file: {}", path.native());
  }
  std::string text = COCOON_TRY(std::move(content));
  auto parse = [&]() -> Result<FlatConfig> {
    if (extension == ".json") return parse_json_config(text);
    if (extension == ".toml") return parse_toml_config(text);
    if (extension == ".yaml" || extension == ".yml") return parse_yaml_config(text);
    if (extension == ".env" || extension == ".dotenv" || path.filename() == ".env") {
      return parse_dotenv_config(text);
    }
    return fail(ErrorKind::kInvalid,
                "unknown format \"{}\": wanted json, toml, yaml, yml, env or dotenv", extension);
  };
  return COCOON_TRY(parse(), "{}", path.native());
}

}  // namespace cocoon::cli
