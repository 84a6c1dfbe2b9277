// SPDX-License-Identifier: Apache-2.0
// The door of a broken-out VMM: whatever it writes to its QMP socket. Once as single messages, once
// as a conversation through the whole client, line reader included.
#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/text.h"
#include "vmm/qemu/qmp_client.h"
#include "vmm/qemu/qmp_message.h"

namespace {

using cocoon::vmm::qemu::QmpClient;

void converse(std::string_view bytes) {
  std::array<int, 2> ends{};
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) std::abort();
  cocoon::sys::UniqueFd ours(ends[0]);
  cocoon::sys::UniqueFd peer(ends[1]);
  // Fits into the socket's buffer, so no second thread is needed.
  if (send(peer.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL) < 0) return;
  shutdown(peer.get(), SHUT_WR);
  auto deadline = cocoon::deadline_in(cocoon::Milliseconds(1000));
  auto client = QmpClient::open(std::move(ours), deadline);
  if (!client) return;
  while (true) {
    auto answer = client->execute("query-status", nullptr, deadline);
    if (!answer && answer.error().kind != cocoon::ErrorKind::kVmm) break;
  }
  cocoon::ignore(client->next_event(deadline), "any outcome will do");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t kMaxSize = 65536;
  if (size > kMaxSize) return 0;
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  for (std::string_view line : cocoon::split(bytes, '\n')) {
    auto message = cocoon::vmm::qemu::parse_qmp_message(line);
    if (!message && message.error().kind != cocoon::ErrorKind::kCorrupt) std::abort();
  }
  converse(bytes);
  return 0;
}
