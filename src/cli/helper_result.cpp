// SPDX-License-Identifier: Apache-2.0
#include "cli/helper_result.h"

#include <fcntl.h>

#include <cstdlib>

#include "base/text.h"
#include "cli/exit_code.h"
#include "sys/files.h"

namespace cocoon::cli {
namespace {

ErrorKind kind_of(std::string_view name) {
  for (int number = 0; number <= static_cast<int>(ErrorKind::kSystem); ++number) {
    auto kind = static_cast<ErrorKind>(number);
    if (kind_name(kind) == name) return kind;
  }
  return ErrorKind::kInternal;
}

}  // namespace

Result<std::optional<HelperResult>> HelperResult::from_environment() {
  const char* value = std::getenv(kResultVariable);
  if (value == nullptr) return std::optional<HelperResult>();
  auto number = parse_decimal(value);
  int fd = number && *number > 2 && *number < 1024 ? static_cast<int>(*number) : -1;
  if (fd < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
    return fail(ErrorKind::kInvalid, "{}: no open descriptor", kResultVariable);
  }
  unsetenv(kResultVariable);
  return std::optional<HelperResult>(HelperResult(sys::UniqueFd(fd)));
}

Result<int> HelperResult::send(const nlohmann::json& document) const {
  COCOON_TRY(sys::write_all(
      fd_.get(), document.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)));
  return 0;
}

Result<int> HelperResult::send_error(const Error& error) const {
  COCOON_TRY(send({{"error", {{"kind", kind_name(error.kind)}, {"message", error.to_string()}}}}));
  return exit_code(error.kind);
}

Result<nlohmann::json> parse_helper_result(std::string_view text) {
  nlohmann::json document = nlohmann::json::parse(text, nullptr, false);
  if (!document.is_object()) return fail(ErrorKind::kInternal, "cocoon-image gave no result");
  auto error = document.find("error");
  if (error == document.end()) return document;
  if (!error->is_object()) return fail(ErrorKind::kInternal, "cocoon-image gave no result");
  return fail(kind_of(error->value("kind", "")), "{}", error->value("message", "no reason given"));
}

}  // namespace cocoon::cli
