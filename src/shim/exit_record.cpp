// SPDX-License-Identifier: Apache-2.0
#include "shim/exit_record.h"

#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "shim/files.h"
#include "shim/printable.h"

namespace cocoon::shim {
namespace {

using Record = Text<2048>;

void add_string(Record& out, std::string_view text) {
  out.add("\"");
  for (const char& c : text) {
    if (c == '"' || c == '\\') out.add("\\");
    out.add({&c, 1});
  }
  out.add("\"");
}

void add_optional(Record& out, std::optional<int> value) {
  if (value) {
    out.add_number(*value);
  } else {
    out.add("null");
  }
}

Line describe_status(int status, std::string_view last_log_line) {
  if (WIFSIGNALED(status)) {
    const int signal = WTERMSIG(status);
    const char* const name = sigabbrev_np(signal);
    Line line("VMM killed by signal ");
    line.add_number(signal).add(" (");
    return name != nullptr ? line.add("SIG").add(name).add(")") : line.add("unknown)");
  }
  Line line("VMM exited with status ");
  line.add_number(WEXITSTATUS(status));
  return last_log_line.empty() ? line : line.add(": ").add(last_log_line);
}

// Whether the guest ended by itself, and how; empty: there is no sign of it.
std::string_view describe_guest(const Ending& ending) {
  const bool orderly = ending.wait_status == 0;
  if (ending.word == KernelWord::kPowerDown) return "guest power-off";
  if (!ending.ends_by_reboot) return orderly ? "guest power-off" : "";
  if (ending.word == KernelWord::kHalted) return "guest power-off";
  const bool restarts = ending.word == KernelWord::kRestart && !ending.wait_status;
  return orderly || restarts ? "guest reboot" : "";
}

}  // namespace

Line describe_ending(const Ending& ending, std::string_view last_log_line) {
  if (ending.guest_exit) {
    Line line("guest exited with code ");
    return line.add_number(*ending.guest_exit);
  }
  if (!ending.panic.empty()) {
    Line line("guest kernel panics at every boot: ");
    add_printable(line, ending.panic);
    return line;
  }
  if (const std::string_view guest = describe_guest(ending); !guest.empty()) return Line(guest);
  if (!ending.wait_status) return Line("VMM ended, end not seen");
  return describe_status(*ending.wait_status, last_log_line);
}

Record render_exit_record(const Identity& identity, const Ending& ending, std::string_view ended_at,
                          std::string_view reason) {
  Record out("{\"boot_id\":");
  add_string(out, identity.boot_id.view());
  out.add(",\"pid\":").add_number(identity.process.pid);
  out.add(",\"start_time\":").add_number(identity.process.start_time);
  out.add(",\"ended_at\":");
  add_string(out, ended_at);
  out.add(",\"wait_status\":");
  add_optional(out, ending.wait_status);
  out.add(",\"guest_exit\":");
  add_optional(out, ending.guest_exit);
  out.add(",\"reason\":");
  add_string(out, reason);
  out.add("}\n");
  return out;
}

Outcome ExitFile::open(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  name_ = path.data() + slash + 1;
  constexpr std::string_view kSuffix = ".tmp";
  const std::string_view name(name_);
  const bool fits = name.size() + 1 + kSuffix.size() <= 255;
  if (!fits || name == "." || name == "..") return failure("exit_file: not a file name");
  temporary_ = Text<256>(".");
  temporary_.add(name).add(kSuffix);
  Text<4096> directory({path.data(), slash == 0 ? 1 : slash});
  directory_ = open_directory(directory.c_str());
  if (directory_.valid()) return success();
  Line step("open ");
  return failure_errno(step.add(directory.view()).view());
}

Outcome ExitFile::write(std::string_view record) {
  return replace_file_at(directory_.get(), temporary_.c_str(), name_, record, Durability::kSynced);
}

bool ExitFile::can_exist() const {
  struct stat facts {};
  return ::fstat(directory_.get(), &facts) == 0 && facts.st_nlink > 0;
}

}  // namespace cocoon::shim
