// SPDX-License-Identifier: Apache-2.0
// Calls to the HTTP API of a VMM (Cloud Hypervisor, Firecracker), over one connection that is made
// when it is needed and made anew when it is of no more use.
#pragma once

#include <optional>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/error.h"
#include "sys/http_client.h"
#include "vmm/launch.h"
#include "vmm/running_vmm.h"

namespace cocoon::vmm {

class [[nodiscard]] ApiClient {
 public:
  // Both are borrowed for the client's life.
  ApiClient(const RunningVmm& vmm, const VmmDoor& door) : vmm_(vmm), door_(door) {}

  // Makes one call and returns what the VMM answered: null for an empty answer. Waits for the
  // socket to appear. Repeated is only what the VMM has not looked at ("too many connections") and,
  // when the connection broke, a GET. Errors, all naming the call: kVmm: the VMM refused (its code
  // and its words are the cause), or it ended (its last words); kInvalid: too large a body, nothing
  // was sent; kCorrupt: the answer is no HTTP or no JSON, or somebody else listens; kSystem with
  // ECONNRESET: the VMM hung up and lives; kTimeout; kInterrupted.
  Result<nlohmann::json> call(const ApiCall& call, Deadline deadline);

  // As call(), with the answer as it came, whatever its status.
  Result<sys::HttpResponse> exchange(const ApiCall& call, Deadline deadline);

 private:
  Result<sys::HttpResponse> exchange_once(const ApiCall& call, const std::string* body,
                                          Deadline deadline);

  const RunningVmm& vmm_;
  VmmDoor door_;
  std::optional<sys::HttpClient> connection_;
};

// The calls of a launch, one after the other, from a VMM that may not listen yet to a guest that
// runs. Errors as call(), with what the VMM wrote to its log.
Result<void> make_calls(const std::vector<ApiCall>& calls, const RunningVmm& vmm,
                        const VmmDoor& door, Deadline deadline);

}  // namespace cocoon::vmm
