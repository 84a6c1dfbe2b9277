// SPDX-License-Identifier: Apache-2.0
//
// Environment and program look-up of what the VM runs. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace cocoon::guest {

/// PATH where the image gives none; docker's.
inline constexpr std::string_view kDefaultPath =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

using Environment = std::vector<std::string>;  // KEY=VALUE

/// The value of the first entry of that name, "" without one.
std::string_view find_variable(const Environment& env, std::string_view name);

/// `env` as given, with PATH, HOME, TERM and HOSTNAME added where absent (an empty value counts as
/// present; an empty `hostname` adds nothing).
Environment complete_environment(Environment env, const std::string& home,
                                 const std::string& hostname);

/// The paths to try for a program, in order, as execvp(3) does: itself if it holds a slash, else
/// one per element of `path`, where an empty element is the working directory.
std::vector<std::string> program_candidates(const std::string& program, std::string_view path);

}  // namespace cocoon::guest
