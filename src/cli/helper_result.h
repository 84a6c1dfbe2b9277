// SPDX-License-Identifier: Apache-2.0
// One JSON document from cocoon-image to the cocoon that started it for a `vm` verb (design
// decision 9): {"images":[…]}, or {"error":{"kind","message"}}.
#pragma once

#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "sys/fd.h"

namespace cocoon::cli {

// The variable that names the descriptor, and the number that the caller uses.
inline constexpr const char* kResultVariable = "COCOON_RESULT_FD";
inline constexpr int kResultDescriptor = 3;

// The helper's end.
class HelperResult {
 public:
  // nullopt when nobody waits for a result. Takes the variable away.
  static Result<std::optional<HelperResult>> from_environment();

  // Both return the exit code of the helper.
  Result<int> send(const nlohmann::json& document) const;
  Result<int> send_error(const Error& error) const;

 private:
  explicit HelperResult(sys::UniqueFd fd) : fd_(std::move(fd)) {}
  sys::UniqueFd fd_;
};

// The caller's end: the document, or the helper's error as ours. kInternal for a text that is none:
// the helper died, and said why on standard error.
Result<nlohmann::json> parse_helper_result(std::string_view text);

}  // namespace cocoon::cli
