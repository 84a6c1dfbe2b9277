// SPDX-License-Identifier: Apache-2.0
#include "shim/identity.h"

#include <time.h>

#include <array>
#include <chrono>

#include "shim/files.h"

namespace cocoon::shim {
namespace {

template <typename Number>
void add_padded(Timestamp& out, Number value, int digits) {
  Number limit = 1;
  for (int i = 1; i < digits; ++i) limit *= 10;
  for (; value < limit && limit > 1; limit /= 10) out.add("0");
  out.add_number(value);
}

bool take_field(std::string_view name, std::string_view value, Identity& identity) {
  if (name == "boot_id") {
    identity.boot_id = BootId(value);
    return !value.empty() && identity.boot_id.view() == value;
  }
  if (name == "pid") return parse_number(value, identity.process.pid) && identity.process.pid > 0;
  if (name == "start_time") return parse_number(value, identity.process.start_time);
  if (name == "pts") return parse_number(value, identity.pts) && identity.pts >= 0;
  if (name == "started_at") {
    identity.started_at = Timestamp(value);
    return !value.empty();
  }
  return false;
}

}  // namespace

Text<512> render_identity(const Identity& identity) {
  Text<512> text("boot_id=");
  text.add(identity.boot_id.view());
  text.add("\npid=").add_number(identity.process.pid);
  text.add("\nstart_time=").add_number(identity.process.start_time);
  text.add("\npts=").add_number(identity.pts);
  text.add("\nstarted_at=").add(identity.started_at.view()).add("\n");
  return text;
}

Outcome parse_identity(std::string_view text, Identity& identity) {
  constexpr std::array<std::string_view, 5> kFields = {"boot_id", "pid", "start_time", "pts",
                                                       "started_at"};
  identity = Identity{};
  for (const std::string_view field : kFields) {
    std::string_view line = take_until(text, '\n');
    const std::string_view name = take_until(line, '=');
    if (name != field || !take_field(name, line, identity)) {
      Outcome outcome = failure("vmm: bad line '");
      outcome.why.add(field).add("'");
      return outcome;
    }
  }
  return text.empty() ? success() : failure("vmm: unknown lines");
}

Outcome write_identity(int vm_dir, const Identity& identity) {
  // Not synced: after a crash of the host the boot id in it is wrong anyway.
  return replace_file_at(vm_dir, "vmm.tmp", kIdentityFile, render_identity(identity).view(),
                         Durability::kAtomicOnly);
}

Outcome read_identity(int vm_dir, Identity& identity) {
  std::array<char, 1024> buffer{};
  std::size_t used = 0;
  if (Outcome outcome = read_private_file_at(vm_dir, kIdentityFile, buffer, used); !outcome.ok)
    return outcome;
  return parse_identity({buffer.data(), used}, identity);
}

Timestamp render_time(long long seconds) {
  using std::chrono::days;
  using std::chrono::floor;
  using std::chrono::sys_seconds;
  const sys_seconds when{std::chrono::seconds(seconds)};
  const auto midnight = floor<days>(when);
  const std::chrono::year_month_day date(midnight);
  const std::chrono::hh_mm_ss time(when - midnight);
  Timestamp text;
  add_padded(text, static_cast<int>(date.year()), 4);
  add_padded(text.add("-"), static_cast<unsigned>(date.month()), 2);
  add_padded(text.add("-"), static_cast<unsigned>(date.day()), 2);
  add_padded(text.add("T"), time.hours().count(), 2);
  add_padded(text.add(":"), time.minutes().count(), 2);
  add_padded(text.add(":"), time.seconds().count(), 2);
  return text.add("Z");
}

Timestamp current_time() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return render_time(now.tv_sec);
}

}  // namespace cocoon::shim
