// SPDX-License-Identifier: Apache-2.0
// The one way a value gets into a YAML document here.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace cocoon::cidata {

// The text as a double-quoted YAML scalar on one line, in ASCII: quotes, backslashes, control
// characters and everything above U+007E are escaped (YAML 1.1 §5.6 and 1.2 §5.7 agree on the
// escapes used), so no value can end its scalar, start a key, or be read as anything but this text
// (`123`, `true`, `1.0`; spec 05 §8 c2). JSON's escapes would not do: YAML has no surrogate pairs.
// kInvalid for text that is not UTF-8 or holds a NUL, which no host name, path or account has.
Result<std::string> yaml_quoted(std::string_view text);

}  // namespace cocoon::cidata
