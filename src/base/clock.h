// SPDX-License-Identifier: Apache-2.0
// Wall-clock times as text, and deadlines.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

namespace cocoon {

using Milliseconds = std::chrono::milliseconds;

// A point of the monotonic clock after which waiting ends.
using Deadline = std::chrono::steady_clock::time_point;
inline Deadline deadline_in(Milliseconds delay) { return std::chrono::steady_clock::now() + delay; }
// Time left, never negative.
Milliseconds time_left(Deadline deadline);

// Now, RFC 3339 in UTC with nanoseconds: records and JSON. Sorts as text.
std::string utc_now();

// "YYYY-MM-DD HH:MM:SS" in the local zone, for tables; the text itself when it is no RFC 3339 time.
std::string local_time(std::string_view rfc3339);

}  // namespace cocoon
