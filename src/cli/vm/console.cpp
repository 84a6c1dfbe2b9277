// SPDX-License-Identifier: Apache-2.0
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/text.h"
#include "cli/vm/escape.h"
#include "cli/vm/references.h"
#include "cli/vm/vm.h"
#include "engine/vm_console.h"
#include "sys/cancel.h"
#include "sys/tty.h"

namespace cocoon::cli {
namespace {

struct ConsoleFlags {
  std::string escape_char = "^]";
  bool read_only = false;
  bool steal = false;
};

// Between the user's terminal and the guest's console, until one of them ends it.
class Session {
 public:
  Session(Output& output, engine::ConsoleClient& client, char escape)
      : output_(output), client_(client), scanner_(escape) {}

  Result<void> run(sys::WindowChanges& window, bool read_keys);

 private:
  Result<void> take_events();
  Result<void> take_event(const engine::ConsoleEvent& event);
  Result<void> take_keys();
  void take_window_size();
  // The terminal is raw: lines end with CR LF.
  void say(std::string_view text) { output_.raw_remark("\r\n[" + escape_controls(text) + "]\r\n"); }

  Output& output_;
  engine::ConsoleClient& client_;
  EscapeScanner scanner_;
  bool done_ = false;
};

Result<void> Session::take_event(const engine::ConsoleEvent& event) {
  using Kind = engine::ConsoleEvent::Kind;
  switch (event.kind) {
    case Kind::kOutput:
      return output_.stream(event.text);
    case Kind::kDropped:
      say(fmt::format("{} bytes of output were lost", event.count));
      return {};
    case Kind::kWriteLost:
      say("another client took the console over; you only watch now");
      return {};
    case Kind::kEnded:
      say("the VM ended: " + event.text);
      done_ = true;
      return {};
    case Kind::kClosed:
      done_ = true;
      return {};
  }
  return {};
}

Result<void> Session::take_events() {
  // Not until nothing is left: a guest that prints without end must not keep the keys from us.
  constexpr int kAtOnce = 16;
  for (int i = 0; i < kAtOnce && !done_; ++i) {
    auto event = COCOON_TRY(client_.receive());
    if (!event) return {};
    COCOON_TRY(take_event(*event));
  }
  return {};
}

Result<void> Session::take_keys() {
  std::array<char, 4096> keys{};
  ssize_t got = read(STDIN_FILENO, keys.data(), keys.size());
  if (got < 0 && errno == EINTR) return {};
  // EIO: the terminal is gone.
  if (got < 0 && errno != EIO) return fail_errno("read from the terminal");
  if (got <= 0) {
    done_ = true;
    return {};
  }
  auto scanned = scanner_.scan({keys.data(), static_cast<std::size_t>(got)});
  client_.send(scanned.forward);
  done_ = scanned.detach;
  return {};
}

void Session::take_window_size() {
  if (auto size = sys::window_size(STDIN_FILENO)) client_.resize(*size);
}

Result<void> Session::run(sys::WindowChanges& window, bool read_keys) {
  take_window_size();
  while (!done_) {
    COCOON_TRY(client_.flush());
    short wanted = POLLIN;
    if (client_.has_pending()) wanted = static_cast<short>(POLLIN | POLLOUT);
    std::array<pollfd, 4> entries{
        pollfd{client_.fd(), wanted, 0}, pollfd{read_keys ? STDIN_FILENO : -1, POLLIN, 0},
        pollfd{window.fd(), POLLIN, 0}, pollfd{sys::cancel_fd(), POLLIN, 0}};
    if (poll(entries.data(), entries.size(), -1) < 0 && errno != EINTR) return fail_errno("poll");
    COCOON_TRY(sys::check_cancelled());
    if (entries[2].revents != 0) {
      window.clear();
      take_window_size();
    }
    if (entries[0].revents != 0) COCOON_TRY(take_events());
    if (entries[1].revents != 0 && !done_) COCOON_TRY(take_keys());
  }
  return client_.flush();
}

engine::ConsoleAccess access_of(const ConsoleFlags& flags) {
  if (flags.read_only) return engine::ConsoleAccess::kRead;
  return flags.steal ? engine::ConsoleAccess::kSteal : engine::ConsoleAccess::kWrite;
}

Result<int> run(App& app, const ConsoleFlags& flags, const std::string& reference) {
  char escape = COCOON_TRY(parse_escape_char(flags.escape_char));
  if (flags.read_only && flags.steal) {
    return fail(ErrorKind::kInvalid, "--read-only and --steal exclude each other");
  }
  bool terminal = isatty(STDIN_FILENO) == 1;
  // Watching needs no keys, so its output may go to a pipe or file.
  if (!terminal && !flags.read_only) {
    return fail(ErrorKind::kInvalid, "standard input is not a terminal");
  }
  FoundVm found = COCOON_TRY(find_vm(app, reference));
  auto client = COCOON_TRY(engine::ConsoleClient::attach(*found.ports, found.vm, access_of(flags)));
  auto window = COCOON_TRY(sys::WindowChanges::watch());
  std::optional<sys::RawTty> raw;
  if (terminal) raw.emplace(COCOON_TRY(sys::RawTty::enter(STDIN_FILENO)));
  Output& output = app.output();
  std::string shown = escape_controls(reference);
  if (terminal) {
    output.raw_remark(
        fmt::format("Connected to {} (escape sequence: {}.)\r\n", shown, show_escape_char(escape)));
  }
  auto result = Session(output, client, escape).run(window, terminal);
  if (terminal) output.raw_remark(fmt::format("\r\nDisconnected from {}.\r\n", shown));
  raw.reset();
  if (!result) return pass(std::move(result).error());
  return 0;
}

}  // namespace

Command vm_console_command() {
  auto flags = std::make_shared<ConsoleFlags>();
  Command command;
  command.path = "vm console";
  command.usage = "VM";
  command.summary = "Attach to the console of a running VM";
  command.details =
      "Everything that is typed goes to the guest, Ctrl-C too. The escape character and then '.'\n"
      "detach. Any number of clients may watch; one may write.";
  command.flags = {{.name = "escape-char",
                    .target = &flags->escape_char,
                    .help = "escape character: ^X or one character",
                    .value_name = "CHAR"},
                   {.name = "read-only", .target = &flags->read_only, .help = "only watch"},
                   {.name = "steal",
                    .target = &flags->steal,
                    .help = "take the right to write from another client"}};
  command.min_names = command.max_names = 1;
  command.names = Names::kVm;
  command.run = [flags](App& app, const Arguments& arguments) {
    return run(app, *flags, arguments.names[0]);
  };
  return command;
}

}  // namespace cocoon::cli
