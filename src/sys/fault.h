// SPDX-License-Identifier: Apache-2.0
// The fault hook (design decision 5): every side effect on the host is recorded here right after
// it happened. In builds with COCOON_FAULTS=ON the environment variable COCOON_FAULT=<n> ends the
// process as kill -9 would at the n-th one, and COCOON_FAULT_TRACE=<file> lists them; other builds
// compile the hook away.
#pragma once

#include <string_view>

namespace cocoon::sys {

#if COCOON_FAULTS
void side_effect(std::string_view name);
#else
inline void side_effect(std::string_view) {}
#endif

}  // namespace cocoon::sys
