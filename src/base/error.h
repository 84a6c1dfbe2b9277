// SPDX-License-Identifier: Apache-2.0
// Errors as values. Every function of ours that can fail returns Result<T>; nothing throws across a
// function of ours. An error has a kind to branch on, the innermost cause, and the chain of what
// each caller was doing; cli prints the chain once (design §11).
#pragma once

#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <tl/expected.hpp>

namespace cocoon {

enum class ErrorKind {
  kInternal,     // a broken invariant of ours
  kInvalid,      // the user's input is wrong
  kNotFound,     // the named thing does not exist
  kConflict,     // the name is taken, the thing is in use
  kWrongState,   // not possible in the VM's present state
  kBusy,         // somebody else works on it
  kUnsupported,  // this backend or host cannot do it
  kTimeout,      // a deadline passed
  kInterrupted,  // SIGINT or SIGTERM
  kVmm,          // the VMM said no; its own words are the cause
  kCorrupt,      // bytes from outside are damaged or hostile
  kSystem,       // a system call failed; saved_errno is set
};

// "not_found", "conflict", …: the `kind` of JSON error output.
std::string_view kind_name(ErrorKind kind);

struct Error {
  ErrorKind kind = ErrorKind::kInternal;
  std::string cause;                // innermost fact: "open cow.raw: No space left on device"
  std::vector<std::string> frames;  // what each caller was doing, innermost first
  int saved_errno = 0;              // for kSystem

  // "outer: inner: cause" on one line; control characters are escaped, since a cause may quote
  // bytes of an image or a VMM.
  std::string to_string() const;
};

template <class T>
class [[nodiscard]] Result : public tl::expected<T, Error> {
 public:
  using tl::expected<T, Error>::expected;
  // The value of a Result that is known to hold one.
  T take() && {
    if constexpr (!std::is_void_v<T>) return *std::move(*this);
  }
};

using Failure = tl::unexpected<Error>;

// A failure of `kind` with a formatted cause.
template <class... Args>
[[nodiscard]] Failure fail(ErrorKind kind, fmt::format_string<Args...> format, Args&&... args) {
  return Failure(Error{kind, fmt::format(format, std::forward<Args>(args)...), {}, 0});
}

// "<what>: <text of errno>", kind kSystem. Takes errno at entry, before anything can change it.
[[nodiscard]] Failure fail_errno(std::string_view what);
[[nodiscard]] Failure fail_errno(int saved_errno, std::string_view what);

// Hands an error on, adding what the caller was doing (verb first, no "failed to").
[[nodiscard]] Failure pass(Error error);
[[nodiscard]] Failure pass(Error error, std::string frame);

// Discards a result on purpose. `why` is for the reader; it is logged at debug level with the
// error.
void ignore_error(const Error& error, std::string_view why);
template <class T>
void ignore(const Result<T>& result, std::string_view why) {
  if (!result) ignore_error(result.error(), why);
}

}  // namespace cocoon

// Unwraps a Result or returns its error from the calling function with one frame added. The frame
// is formatted only on failure. A statement expression: GCC and clang, which is all we build with.
// Never nest it in itself.
#define COCOON_TRY(expr, ...)                                                       \
  __extension__({                                                                   \
    auto&& try_result_ = (expr);                                                    \
    if (!try_result_)                                                               \
      return ::cocoon::pass(                                                        \
          std::move(try_result_).error() __VA_OPT__(, ::fmt::format(__VA_ARGS__))); \
    std::move(try_result_).take();                                                  \
  })
