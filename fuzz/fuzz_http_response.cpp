// SPDX-License-Identifier: Apache-2.0
// The door of a broken-out VMM that serves HTTP: whatever it writes to its API socket, through the
// whole client, and what is made of its refusals.
#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "model/untrusted_json.h"
#include "sys/http_client.h"
#include "sys/http_response.h"
#include "vmm/api_refusal.h"

namespace {

using cocoon::ErrorKind;

void converse(std::string_view bytes) {
  std::array<int, 2> ends{};
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) std::abort();
  cocoon::sys::UniqueFd peer(ends[1]);
  cocoon::sys::HttpClient client{cocoon::sys::UniqueFd(ends[0])};
  // Fits into the socket's buffer, so no second thread is needed.
  if (send(peer.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL) < 0) return;
  shutdown(peer.get(), SHUT_WR);
  auto deadline = cocoon::deadline_in(cocoon::Milliseconds(1000));
  while (client.reusable()) {
    auto answer = client.exchange("GET", "/api/v1/vm.info", nullptr, deadline);
    if (!answer) {
      if (answer.error().kind == ErrorKind::kCorrupt) return;
      if (answer.error().kind == ErrorKind::kSystem) return;
      std::abort();
    }
    if (cocoon::vmm::describe_refusal(answer->body).empty()) std::abort();
    cocoon::ignore(cocoon::model::parse_untrusted_json(answer->body), "any outcome will do");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t kMaxSize = 65536;
  if (size > kMaxSize) return 0;
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  auto head = cocoon::sys::parse_http_head(bytes);
  if (!head && head.error().kind != ErrorKind::kCorrupt) std::abort();
  converse(bytes);
  return 0;
}
