// SPDX-License-Identifier: Apache-2.0
#include "vmm/qemu/snapshot.h"

#include <algorithm>
#include <string>
#include <thread>

namespace cocoon::vmm::qemu {
namespace {

constexpr Milliseconds kPoll{2};
constexpr Milliseconds kQuiet{100};  // without an event, then QEMU is asked again
constexpr const char* kFdName = "cocoon-state";
constexpr std::string_view kUnfinished = "Migration is not finalized yet";
constexpr const char* kUri = "fd:cocoon-state";

// They stay as they are set, so both are set each time.
Result<void> set_capabilities(QmpClient& client, Deadline deadline) {
  nlohmann::json list = nlohmann::json::array();
  for (const char* name : {"events", "x-ignore-shared"}) {
    list.push_back({{"capability", name}, {"state", true}});
  }
  COCOON_TRY(client.execute("migrate-set-capabilities", {{"capabilities", list}}, deadline));
  return {};
}

// One of QEMU's own words, or "" for an answer without it.
std::string word_of(const nlohmann::json& answer, const char* key) {
  constexpr std::size_t kMaxWord = 512;
  auto value = answer.is_object() ? answer.find(key) : answer.end();
  if (!answer.is_object() || value == answer.end() || !value->is_string()) return {};
  return value->get_ref<const std::string&>().substr(0, kMaxWord);
}

Result<void> wait_migrated(QmpClient& client, Deadline deadline) {
  while (true) {
    auto answer = COCOON_TRY(client.execute("query-migrate", nullptr, deadline));
    std::string status = word_of(answer, "status");
    if (status == "completed") return {};
    if (status == "failed" || status == "cancelled") {
      std::string why = word_of(answer, "error-desc");
      return fail(ErrorKind::kVmm, "the migration {}{}{}", status, why.empty() ? "" : ": ", why);
    }
    if (time_left(deadline).count() == 0) {
      return fail(ErrorKind::kTimeout, "the migration is still \"{}\"", status);
    }
    // Any event may be the one; what counts is the answer above.
    auto event = client.next_event(std::min(deadline, deadline_in(kQuiet)));
    if (!event && event.error().kind != ErrorKind::kTimeout) return pass(std::move(event).error());
  }
}

}  // namespace

Result<void> save_state(QmpClient& client, int fd, Deadline deadline) {
  COCOON_TRY(set_capabilities(client, deadline));
  COCOON_TRY(client.give_fd(kFdName, fd, deadline));
  COCOON_TRY(client.execute("migrate", {{"uri", kUri}}, deadline));
  return wait_migrated(client, deadline);
}

Result<void> load_state(QmpClient& client, int fd, Deadline deadline) {
  COCOON_TRY(set_capabilities(client, deadline));
  COCOON_TRY(client.give_fd(kFdName, fd, deadline));
  COCOON_TRY(client.execute("migrate-incoming", {{"uri", kUri}}, deadline));
  return wait_migrated(client, deadline);
}

Result<void> continue_guest(QmpClient& client, Deadline deadline) {
  auto answer = COCOON_TRY(client.execute("query-migrate", nullptr, deadline));
  std::string status = word_of(answer, "status");
  if (status == "setup" || status == "active" || status == "device") {
    COCOON_TRY(client.execute("migrate_cancel", nullptr, deadline));
    ignore(wait_migrated(client, deadline), "cancelled or completed, both let the guest go on");
  }
  while (true) {
    auto answer_to_cont = client.execute("cont", nullptr, deadline);
    if (answer_to_cont) return {};
    // A migration is "completed" a moment before QEMU has tidied up after it.
    bool is_early = answer_to_cont.error().kind == ErrorKind::kVmm &&
                    answer_to_cont.error().cause.find(kUnfinished) != std::string::npos;
    if (!is_early || time_left(deadline).count() == 0) {
      return pass(std::move(answer_to_cont).error());
    }
    std::this_thread::sleep_for(kPoll);
  }
}

}  // namespace cocoon::vmm::qemu
