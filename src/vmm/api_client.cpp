// SPDX-License-Identifier: Apache-2.0
#include "vmm/api_client.h"

#include <algorithm>

#include "model/untrusted_json.h"
#include "sys/stream_socket.h"
#include "vmm/api_refusal.h"

namespace cocoon::vmm {
namespace {

constexpr int kMaxAttempts = 3;          // of a GET whose connection broke
constexpr Milliseconds kBusyPause{50};   // between two tries for a free connection
constexpr Milliseconds kEndLimit{2000};  // from a broken connection to the end of a dying VMM
constexpr int kTooManyConnections = 503;

bool is_success(int status) { return status >= 200 && status < 300; }

}  // namespace

Result<sys::HttpResponse> ApiClient::exchange_once(const ApiCall& call, const std::string* body,
                                                   Deadline deadline) {
  if (!connection_ || !connection_->reusable()) {
    connection_.emplace(COCOON_TRY(connect_vmm(vmm_, door_, deadline)));
  }
  return connection_->exchange(call.method, call.path, body, deadline);
}

Result<sys::HttpResponse> ApiClient::exchange(const ApiCall& call, Deadline deadline) {
  std::string text = call.body.is_null()
                         ? std::string()
                         : call.body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  const std::string* body = call.body.is_null() ? nullptr : &text;
  int attempts = 0;
  while (true) {
    auto response = exchange_once(call, body, deadline);
    if (response && response->status != kTooManyConnections) return response;
    if (response) {
      connection_.reset();
      if (COCOON_TRY(has_ended(vmm_, std::min(kBusyPause, time_left(deadline))))) {
        return died(vmm_, door_.program);
      }
      if (time_left(deadline).count() == 0) return response;
      continue;
    }
    if (!sys::is_peer_gone(response.error())) return response;
    if (COCOON_TRY(has_ended(vmm_, std::min(kEndLimit, time_left(deadline))))) {
      return died(vmm_, door_.program);
    }
    if (call.method != "GET" || ++attempts == kMaxAttempts) return response;
  }
}

Result<nlohmann::json> ApiClient::call(const ApiCall& call, Deadline deadline) {
  auto response = COCOON_TRY(exchange(call, deadline), "{} {}", call.method, call.path);
  if (!is_success(response.status)) {
    return fail(ErrorKind::kVmm, "{} {} refused ({}): {}", call.method, call.path, response.status,
                describe_refusal(response.body));
  }
  if (response.body.empty()) return nlohmann::json();
  return COCOON_TRY(model::parse_untrusted_json(response.body), "{} {}", call.method, call.path);
}

Result<void> make_calls(const std::vector<ApiCall>& calls, const RunningVmm& vmm,
                        const VmmDoor& door, Deadline deadline) {
  ApiClient client(vmm, door);
  for (const ApiCall& call : calls) {
    auto answer = client.call(call, deadline);
    if (!answer) return explain_failed_start(vmm, door.program, std::move(answer).error());
  }
  return {};
}

}  // namespace cocoon::vmm
