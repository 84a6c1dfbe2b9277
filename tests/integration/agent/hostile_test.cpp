// SPDX-License-Identifier: Apache-2.0
// Agents that do not keep to the protocol, against what every host command is built from: questions
// (reseed, wait, stop, identity), copies, and programs' streams (exec, run).
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <functional>
#include <thread>

#include <gtest/gtest.h>

#include "agent/session.h"
#include "agent/transfer.h"
#include "cli/vm/session_pump.h"
#include "integration/agent/peer.h"
#include "tree_copy/extract.h"

namespace cocoon::agent::test {
namespace {

constexpr Milliseconds kLimit{1'500};

struct Hostile {
  std::string name;
  std::function<void(Peer&, const std::atomic<bool>&)> play;
};

void repeat(Peer& peer, const std::atomic<bool>& over, const std::string& bytes) {
  while (!over && peer.send(bytes)) {
  }
}

std::vector<Hostile> hostile_agents() {
  return {
      {"endless line",
       [](Peer& p, const auto& over) { repeat(p, over, std::string(1 << 20, 'x')); }},
      {"bad base64",
       [](Peer& p, const auto&) { p.send("{\"type\":\"stdout\",\"data\":\"%%%%\"}\n"); }},
      {"wrong types",
       [](Peer& p, const auto&) { p.send("{\"type\":\"exit\",\"exit_code\":\"0\"}\n"); }},
      {"an array", [](Peer& p, const auto&) { p.send("[1,2,3]\n"); }},
      {"deep nesting",
       [](Peer& p, const auto&) {
         p.send("{\"type\":\"x\",\"y\":" + std::string(100000, '[') + "\n");
       }},
      {"silence",
       [](Peer&, const auto& over) {
         while (!over) std::this_thread::sleep_for(Milliseconds(20));
       }},
      {"the end at once", [](Peer&, const auto&) {}},
      {"a flood of what nobody knows",
       [](Peer& p, const auto& over) { repeat(p, over, "{\"type\":\"nonsense\"}\n"); }},
      {"zeros", [](Peer& p, const auto& over) { repeat(p, over, std::string(1 << 16, '\0')); }},
  };
}

// Runs `command` against each of them; it has to fail, and soon.
void against_all(const std::function<Result<void>(Session&)>& command) {
  for (const Hostile& agent : hostile_agents()) {
    auto [ours, theirs] = socket_pair();
    std::atomic<bool> over = false;
    std::thread peer([&over, &agent, fd = theirs.release()] {
      Peer guest{sys::UniqueFd(fd)};
      agent.play(guest, over);
    });
    auto begun = std::chrono::steady_clock::now();
    {
      Session session(std::move(ours));
      auto result = command(session);
      EXPECT_FALSE(result) << agent.name;
      over = true;
    }
    EXPECT_LT(std::chrono::steady_clock::now() - begun, Milliseconds(20'000)) << agent.name;
    peer.join();
  }
}

TEST(HostileAgent, CannotHoldAQuestion) {
  against_all([](Session& session) -> Result<void> {
    agent_wire::Frame frame;
    frame.type = agent_wire::type::kInfo;
    session.send(frame);
    COCOON_TRY(session.wait_last(deadline_in(kLimit)));
    return {};
  });
}

TEST(HostileAgent, CannotHoldACopyOut) {
  std::string dir = (std::filesystem::temp_directory_path() / "cocoon-hostile-XXXXXX").string();
  ASSERT_NE(mkdtemp(dir.data()), nullptr);
  against_all([&](Session& session) -> Result<void> {
    Transfer transfer(
        session, [](std::string_view) {}, kLimit);
    tree_copy::ExtractRequest request;
    request.destination = dir;
    Deadline deadline = deadline_in(Milliseconds(10'000));
    bool good = tree_copy::extract_tree(request, transfer, [](std::string_view) {});
    if (good) return {};
    if (time_left(deadline).count() == 0) return {};
    return fail(ErrorKind::kCorrupt, "as it should be");
  });
  EXPECT_TRUE(std::filesystem::is_empty(dir));
  std::filesystem::remove_all(dir);
}

TEST(HostileAgent, CannotHoldACopyIn) {
  against_all([](Session& session) -> Result<void> {
    Transfer transfer(
        session, [](std::string_view) {}, kLimit);
    std::string bytes(1 << 20, 'x');
    Deadline deadline = deadline_in(Milliseconds(10'000));
    while (transfer.write(bytes)) {
      // A flood is no silence: what ends this is what there is to be copied.
      if (time_left(deadline).count() == 0) return fail(ErrorKind::kTimeout, "enough");
    }
    return fail(ErrorKind::kCorrupt, "as it should be");
  });
}

// Runs `copy` against a guest that sends an endless archive, whoever asked for one.
void against_a_flood_of_stdout(ErrorKind kind, const std::function<Result<void>(Transfer&)>& copy) {
  auto [ours, theirs] = socket_pair();
  std::atomic<bool> over = false;
  std::thread peer([&over, fd = theirs.release()] {
    Peer guest{sys::UniqueFd(fd)};
    agent_wire::Frame frame;
    frame.type = agent_wire::type::kStdout;
    frame.data = std::string(4096, 'x');
    repeat(guest, over, agent_wire::render_frame(frame));
  });
  auto begun = std::chrono::steady_clock::now();
  {
    Session session(std::move(ours));
    Transfer transfer(
        session, [](std::string_view) {}, kLimit);
    auto result = copy(transfer);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().kind, kind) << result.error().to_string();
    EXPECT_NE(result.error().to_string().find("nobody wants"), std::string::npos);
    over = true;
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begun, Milliseconds(20'000));
  peer.join();
}

TEST(HostileAgent, AFloodOfStdoutEndsACopyIn) {
  against_a_flood_of_stdout(ErrorKind::kCorrupt, [](Transfer& transfer) {
    std::string bytes(1024, 'x');
    Deadline deadline = deadline_in(Milliseconds(15'000));
    while (transfer.write(bytes) && time_left(deadline).count() > 0) {
    }
    return transfer.finish();
  });
}

TEST(HostileAgent, AFloodOfStdoutDoesNotHoldTheEndOfACopy) {
  against_a_flood_of_stdout(ErrorKind::kVmm, [](Transfer& transfer) { return transfer.finish(); });
  against_a_flood_of_stdout(ErrorKind::kVmm, [](Transfer& transfer) {
    char byte = 0;
    EXPECT_TRUE(transfer.read(&byte, 1));
    return transfer.finish();
  });
}

// Of a stream whose sender is in no hurry.
TEST(HostileAgent, ItsEndEndsTheWaitForAnArchive) {
  std::array<int, 2> quiet{};
  ASSERT_EQ(pipe2(quiet.data(), O_CLOEXEC), 0);
  sys::UniqueFd from(quiet[0]);
  sys::UniqueFd to(quiet[1]);
  auto [ours, theirs] = socket_pair();
  Session session(std::move(ours));
  Transfer transfer(
      session, [](std::string_view) {}, kLimit);
  ASSERT_EQ(::write(to.get(), "x", 1), 1);
  EXPECT_TRUE(transfer.wait_for(from.get()));
  char byte = 0;
  ASSERT_EQ(::read(from.get(), &byte, 1), 1);
  std::thread peer([fd = theirs.release()] {
    std::this_thread::sleep_for(Milliseconds(50));
    Peer guest{sys::UniqueFd(fd)};
    guest.send("{\"type\":\"error\",\"message\":\"no room\"}\n");
  });
  EXPECT_FALSE(transfer.wait_for(from.get()));
  auto result = transfer.finish();
  ASSERT_FALSE(result);
  EXPECT_NE(result.error().to_string().find("no room"), std::string::npos);
  peer.join();
}

TEST(HostileAgent, CannotHoldTheStartOfAProgram) {
  int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
  against_all([null](Session& session) -> Result<void> {
    cli::Output output(null, null);
    cli::PumpOptions options;
    options.start_limit = kLimit;
    COCOON_TRY(cli::pump_session(output, session, options));
    return {};
  });
  close(null);
}

// What a guest calls a reason is shown, but does nothing to a terminal.
TEST(HostileAgent, ItsWordsAreOnlyWords) {
  auto [ours, theirs] = socket_pair();
  Peer guest(std::move(theirs));
  guest.send("{\"type\":\"error\",\"message\":\"\\u001b]0;owned\\u0007\"}\n");
  std::string name = (std::filesystem::temp_directory_path() / "cocoon-words-XXXXXX").string();
  int file = mkstemp(name.data());
  Session session(std::move(ours));
  cli::Output output(file, file);
  auto code = cli::pump_session(output, session, {});
  ASSERT_TRUE(code);
  EXPECT_EQ(*code, 125);
  std::ifstream in(name);
  std::string text{std::istreambuf_iterator<char>(in), {}};
  EXPECT_NE(text.find("owned"), std::string::npos);
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  close(file);
  std::filesystem::remove(name);
}

}  // namespace
}  // namespace cocoon::agent::test
