// SPDX-License-Identifier: Apache-2.0
#include "cidata/guest_agent.h"

#include <fmt/format.h>

#include "cidata/seed.h"

namespace cocoon::cidata {
namespace {

constexpr const char* kProgram = "/usr/local/sbin/cocoon-guest-agent";
constexpr const char* kOriginalUnit = "cocoon-agent.service";

}  // namespace

std::string render_agent_unit() {
  return fmt::format(
      "[Unit]\n"
      "Description=cocoon guest agent\n"
      "\n"
      "[Service]\n"
      "ExecStart={} agent\n"
      "Restart=always\n"
      "RestartSec=1\n"
      // The agent outlives SIGTERM, as beside every init; a shutdown must not wait for it.
      "TimeoutStopSec=1\n"
      "\n"
      "[Install]\n"
      "WantedBy=multi-user.target\n",
      kProgram);
}

std::string render_agent_install() {
  return fmt::format(
      "[ -d /run/systemd/system ] || exit 0; [ -e {0} ] && exit 0; "
      "systemctl cat {1} >/dev/null 2>&1 && exit 0; "
      "command -v cocoon-agent >/dev/null && exit 0; "
      "d=$(mktemp -d) || exit 0; "
      "if mount -t vfat -o ro /dev/disk/by-label/CIDATA $d; then "
      "mkdir -p /usr/local/sbin; cp $d/{2} {0}; chmod 755 {0}; "
      "cp $d/{3} /etc/systemd/system/{3}; chmod 644 /etc/systemd/system/{3}; umount $d; fi; "
      "rmdir $d; ! command -v restorecon >/dev/null || restorecon {0} /etc/systemd/system/{3}; "
      "systemctl daemon-reload; systemctl enable {3}; systemctl start --no-block {3}",
      kProgram, kOriginalUnit, kAgentFile, kAgentUnitFile);
}

}  // namespace cocoon::cidata
