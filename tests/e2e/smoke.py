# SPDX-License-Identifier: Apache-2.0
"""The least that every backend has to do with a real guest, in as few boots as possible. The lab runs
this for each hypervisor; scripts/test does so in its first tier."""

import cocoon_e2e
from cocoon_e2e import StoreTest
from terminal import Terminal


class Smoke(StoreTest):
    def test_command_with_a_data_disk(self):
        """Run to userspace, a mounted data disk, logs, the exit code."""
        vm = self.c.run_vm(
            "--name", "job", "--data-disk", "size=64M,name=db,mount=/srv/db", "busybox", "--",
            "/bin/sh", "-c", "grep -c ' /srv/db ext4 ' /proc/mounts; echo in-$((40+2))-userspace; "
            "echo kept >/srv/db/kept && exit 7")
        record = self.c.wait_state("job", "stopped")
        logs = self.c.ok("vm", "logs", "job").out.replace("\r", "")
        self.assertEqual(record["exit_code"], 7, logs)
        self.assertRegex(logs, r"(?m)^1\nin-42-userspace$")
        self.c.ok("vm", "rm", vm["id"])

    def test_console_and_stop(self):
        """Console out and in, a command through the agent, a stop that the guest hears."""
        vm = self.c.run_vm("--name", "shell", "--init", "busybox")
        self.c.wait_console(vm["id"], "init-ready shell")
        with Terminal(self.c.argv("vm", "console", "shell"), self.c.environment()) as terminal:
            terminal.read_until("/ # ", 20)
            terminal.send("echo result=$((41+1))\r")
            terminal.read_until("result=42\r")
            terminal.send(b"\x1d.")
            self.assertEqual(terminal.wait(), 0)
        result = self.c.run("vm", "exec", "shell", "--", "/bin/sh", "-c", "echo from-exec; exit 3")
        self.assertEqual((result.code, result.out), (3, "from-exec\n"), result)
        self.c.ok("vm", "stop", "shell", "--timeout", str(int(30 * cocoon_e2e.SLOW)), seconds=60)
        record = self.c.inspect("shell")
        self.assertEqual(record["state"], "stopped")
        self.assertIn("going down", self.c.console_text(vm["id"]))


if __name__ == "__main__":
    cocoon_e2e.main()
