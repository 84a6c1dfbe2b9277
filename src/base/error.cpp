// SPDX-License-Identifier: Apache-2.0
#include "base/error.h"

#include <cerrno>
#include <cstring>

#include "base/log.h"
#include "base/text.h"

namespace cocoon {

std::string_view kind_name(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kInternal:
      return "internal";
    case ErrorKind::kInvalid:
      return "invalid";
    case ErrorKind::kNotFound:
      return "not_found";
    case ErrorKind::kConflict:
      return "conflict";
    case ErrorKind::kWrongState:
      return "wrong_state";
    case ErrorKind::kBusy:
      return "busy";
    case ErrorKind::kUnsupported:
      return "unsupported";
    case ErrorKind::kTimeout:
      return "timeout";
    case ErrorKind::kInterrupted:
      return "interrupted";
    case ErrorKind::kVmm:
      return "vmm";
    case ErrorKind::kCorrupt:
      return "corrupt";
    case ErrorKind::kSystem:
      return "system";
  }
  return "internal";
}

std::string Error::to_string() const {
  std::string text;
  for (auto frame = frames.rbegin(); frame != frames.rend(); ++frame) {
    text += *frame;
    text += ": ";
  }
  text += cause;
  return escape_controls(text);
}

Failure fail_errno(int saved_errno, std::string_view what) {
  return Failure(Error{ErrorKind::kSystem,
                       fmt::format("{}: {}", what, std::strerror(saved_errno)),
                       {},
                       saved_errno});
}

Failure fail_errno(std::string_view what) { return fail_errno(errno, what); }

Failure pass(Error error) { return Failure(std::move(error)); }

Failure pass(Error error, std::string frame) {
  error.frames.push_back(std::move(frame));
  return Failure(std::move(error));
}

void ignore_error(const Error& error, std::string_view why) {
  log_debug("ignoring ({}): {}", why, error.to_string());
}

}  // namespace cocoon
