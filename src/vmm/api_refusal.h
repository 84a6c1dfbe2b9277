// SPDX-License-Identifier: Apache-2.0
// What a VMM says when it refuses an API call.
#pragma once

#include <string>
#include <string_view>

namespace cocoon::vmm {

// One readable line out of the body of a refusal, in any of the shapes that are known: Cloud
// Hypervisor's array of strings (outermost first), Firecracker's {"fault_message"}, the HTTP
// server's own {"error"} (which may be no valid JSON), or plain text of old versions. Bounded;
// never empty.
std::string describe_refusal(std::string_view body);

}  // namespace cocoon::vmm
