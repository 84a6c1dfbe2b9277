// SPDX-License-Identifier: Apache-2.0
#include "guest/result.h"

#include <string.h>

namespace cocoon::guest {

std::string errno_text(int error) {
  // strerror() would pull the message catalogues into the program.
  const char* text = strerrordesc_np(error);
  return text != nullptr ? text : "error " + std::to_string(error);
}

tl::unexpected<Failure> fail_errno(std::string what, const std::string& call, int error) {
  std::string why = call.empty() ? errno_text(error) : call + ": " + errno_text(error);
  return fail(std::move(what), std::move(why));
}

}  // namespace cocoon::guest
