// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

namespace cocoon::shim_test {

using std::chrono::milliseconds;

// Polls `condition` every few milliseconds until it holds; false after `limit`.
bool eventually(const std::function<bool()>& condition, milliseconds limit = milliseconds(5000));

std::string read_text(const std::filesystem::path& path);

// Value of a line "Name:\tvalue" of /proc/<pid>/status.
std::string status_field(pid_t pid, std::string_view name);

// User and system time that the process has used, in clock ticks (a hundredth of a second).
long cpu_ticks(pid_t pid);

// A running program, its report pipe, and its end.
struct Running {
  pid_t pid = -1;
  std::string report;  // first line on its descriptor 1
};

// A client of shim.sock or console.sock.
class Peer {
 public:
  // Connects; check connected().
  Peer(const std::filesystem::path& socket, int type);
  Peer(Peer&& other) noexcept;
  Peer& operator=(Peer&&) = delete;
  ~Peer();

  [[nodiscard]] bool connected() const { return fd_ >= 0; }
  [[nodiscard]] int fd() const { return fd_; }
  bool send(std::string_view packet) const;
  // Next packet (or piece of stream); nullopt on timeout, "" at the end of the connection.
  std::optional<std::string> receive(milliseconds limit = milliseconds(3000)) const;
  // Collects output until it contains `text`. Packets that are no output are kept in notices().
  bool wait_for(std::string_view text, milliseconds limit = milliseconds(5000));
  // Waits for a packet that begins with `tag` and returns the rest of it.
  std::optional<std::string> wait_for_notice(char tag, milliseconds limit = milliseconds(5000));
  [[nodiscard]] const std::string& output() const { return output_; }
  [[nodiscard]] const std::vector<std::string>& notices() const { return notices_; }
  void forget_output() { output_.clear(); }
  void close();

 private:
  bool take(milliseconds limit);

  int fd_ = -1;
  bool framed_ = false;
  std::string output_;
  std::vector<std::string> notices_;
};

// A VM directory as the engine would make it, below a parent that the VMM's uid cannot enter, and
// the processes started in it. Ends and reaps them all.
class ShimTest : public testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  using Values = std::map<std::string, std::string>;

  // Writes shim.conf for a fake VMM with these steps; `changes` replaces single keys.
  void configure(const std::vector<std::string>& steps, const Values& changes = {});

  // Runs the shim and waits for its report. After a start that worked, vmm() is known.
  Running start(const char* verb);
  Running launch(const std::vector<std::string>& steps, const Values& changes = {});

  // Exit code of a shim that has been started; -1 if it does not end in time.
  static int exit_code(pid_t shim, milliseconds limit = milliseconds(5000));
  // SIGKILL and reap.
  static void kill_shim(const Running& shim);

  [[nodiscard]] pid_t vmm() const { return vmm_; }
  [[nodiscard]] std::uint64_t vmm_start() const { return vmm_start_; }

  // Connects to shim.sock, sends the request and takes the first packet as its answer.
  Peer console(std::string_view request, std::string* answer = nullptr) const;
  Peer raw_console() const;
  std::string status() const;

  // The exit record, waiting for it; empty if none comes.
  std::string exit_record(milliseconds limit = milliseconds(5000)) const;

  static std::string boot_id();
  static constexpr const char* kNonce = "00112233445566778899aabbccddeeff";

  std::filesystem::path top_;
  std::filesystem::path vm_dir_;
  std::filesystem::path log_dir_;
  std::filesystem::path exits_;
  std::filesystem::path program_;  // where the VMM's uid can run it
  const char* shim_program_ = COCOON_SHIM_PROGRAM;
  uid_t uid_ = 0;
  std::vector<std::string> shown_;  // the entries `show`

 private:
  pid_t vmm_ = -1;
  std::uint64_t vmm_start_ = 0;
  std::vector<pid_t> started_;
};

}  // namespace cocoon::shim_test
