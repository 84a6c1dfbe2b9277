// SPDX-License-Identifier: Apache-2.0
// The name of a VM that was given none (spec 01 §6.2).
#pragma once

#include <string>
#include <string_view>

namespace cocoon::model {

// "cocoon-" + the image's repository without registry and leading "library/", "/" as "-", plus
// "-<tag>" for a tag other than latest; at most 63 bytes. Not yet checked as a VM name.
std::string default_vm_name(std::string_view image);

}  // namespace cocoon::model
