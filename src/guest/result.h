// SPDX-License-Identifier: Apache-2.0
//
// Errors of the guest program are values: what was being done and why it could not be. They end as
// one console line, `cocoon: boot failed: <what>: <why>`.
#pragma once

#include <cerrno>
#include <string>
#include <utility>

#include <tl/expected.hpp>

namespace cocoon::guest {

/// Exit codes of our own in the exit marker, as `docker run` uses them.
inline constexpr int kExitBootFailed = 125;
inline constexpr int kExitNotExecutable = 126;
inline constexpr int kExitNotFound = 127;

struct Failure {
  std::string what;  // the step or the thing, "layer 2 (cocoon-layer2)"
  std::string why;   // "mount erofs: Invalid argument"
  int exit_code = kExitBootFailed;

  /// `<what>: <why>`
  std::string text() const { return what + ": " + why; }
};

template <class T>
class [[nodiscard]] Result : public tl::expected<T, Failure> {
 public:
  using tl::expected<T, Failure>::expected;
};

inline tl::unexpected<Failure> fail(std::string what, std::string why,
                                    int exit_code = kExitBootFailed) {
  return tl::make_unexpected(Failure{std::move(what), std::move(why), exit_code});
}

/// The kernel's text for an errno value, never translated.
std::string errno_text(int error);

/// A failure from errno: `<what>: <call>: <errno text>`, where an empty `call` is left out.
tl::unexpected<Failure> fail_errno(std::string what, const std::string& call = {},
                                   int error = errno);

}  // namespace cocoon::guest

/// Unwraps a Result or returns its failure to the caller. A GCC/clang statement expression.
#define COCOON_GUEST_TRY(expr)                                                    \
  __extension__({                                                                 \
    auto&& try_result_ = (expr);                                                  \
    if (!try_result_) return tl::make_unexpected(std::move(try_result_).error()); \
    ::cocoon::guest::unwrap(std::move(try_result_));                              \
  })

namespace cocoon::guest {

template <class T>
T unwrap(Result<T>&& result) {
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

}  // namespace cocoon::guest
