# SPDX-License-Identifier: Apache-2.0
"""What `cocoon vm run` costs over a driver of the same VMM that does nothing but start it
(bench/vmm_driver.cpp): time until the guest has said something, and CPU time of our own processes.
Needs the driver, of a build with COCOON_BENCH=ON. Prints ratios; fails where they are absurd.
"""

import json
import os
import shlex
import statistics
import subprocess
import time
from pathlib import Path

import backends
import cocoon_e2e
from cocoon_e2e import SMALL, StoreTest, wait_for

READY = "guest-is-up"
GUEST = ("busybox", "--", "/bin/sh", "-c", f"echo {READY}; sleep 1000")
ROUNDS = 7 if cocoon_e2e.FULL else 3


def find_driver():
    binary = Path(cocoon_e2e.BIN).resolve()
    for place in (binary.parent / "vmm_driver", binary.parent.parent / "bench/vmm_driver"):
        if place.exists():
            return place
    return None


def process_cpu(pid):
    """Seconds that a process has computed, to the nanosecond."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


class StartCost(StoreTest):
    def setUp(self):
        self.driver = find_driver()
        if not self.driver:
            self.skipTest("no vmm_driver: it is built with COCOON_BENCH=ON")

    def ours(self, name):
        """(wall, CPU) of `vm run` until the guest's words are in the console's log."""
        before = time.monotonic()
        process = self.c.start("vm", "run", *SMALL, "--name", name, *GUEST)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        self.assertEqual(process.returncode, 0, process.stderr.read())
        vm = self.c.inspect(name)
        log = self.c.log / backends.DIRECTORY / vm["id"] / "console.log"
        wait_for("the guest", lambda: log.exists() and READY.encode() in log.read_bytes(),
                 cocoon_e2e.BOOT_SECONDS, 0.002)
        wall = time.monotonic() - before
        shim = process_cpu(self.c.shim_pid(vm["id"]))
        process.stdout.close()
        process.stderr.close()
        return wall, usage.ru_utime + usage.ru_stime + shim, vm

    def launch_of(self, vm):
        """Program, arguments, API calls and socket of the VM's last start."""
        conf = (self.c.vm_dir(vm["id"]) / "shim.conf").read_bytes().split(b"\0")
        program = next(f[8:] for f in conf if f.startswith(b"program=")).decode()
        args = [f[4:].decode() for f in conf if f.startswith(b"arg=")]
        shown = self.c.ok("vm", "debug", *SMALL, "--name", "shown", *GUEST).out
        words = shlex.split(shown, comments=True)
        calls, socket = [], "none"
        for at in (i for i, word in enumerate(words) if word == "curl"):
            end = words.index("curl", at + 1) if "curl" in words[at + 1:] else len(words)
            call = words[at:end]
            socket = call[call.index("--unix-socket") + 1]
            method = call[call.index("-X") + 1]
            path = call[call.index("-X") + 2].removeprefix("http://localhost")
            body = call[call.index("-d") + 1] if "-d" in call else ""
            calls.append((method, path, json.dumps(json.loads(body)) if body else ""))
        return program, args, calls, socket

    def by_hand(self, vm, launch):
        """(wall, CPU) of the driver in the directory of a VM that has been stopped."""
        program, args, calls, socket = launch
        folder = self.c.vm_dir(vm["id"])
        for stale in (folder / "sock").iterdir():
            stale.unlink()
        memory = folder / "memory"
        backing = Path("/dev/shm/cocoon-start-cost")
        if backends.NAME == "qemu":
            memory.unlink(missing_ok=True)
            with open(backing, "wb") as file:
                file.truncate(512 << 20)
            memory.symlink_to(backing)
        file = self.c.base / "calls"
        file.write_text("".join(f"{m} {p} {len(b.encode())}\n{b}\n" for m, p, b in calls))
        try:
            done = subprocess.run([self.driver, READY, file, socket, program, *args], cwd=folder,
                                  capture_output=True, text=True, timeout=cocoon_e2e.BOOT_SECONDS, check=False)
            self.assertEqual(done.returncode, 0, done.stderr + (folder / "driver.log").read_text())
        finally:
            file.unlink()
            backing.unlink(missing_ok=True)
            if memory.is_symlink():
                memory.unlink()
            (folder / "driver.log").unlink(missing_ok=True)
        wall, cpu = (int(word) / 1e6 for word in done.stdout.split())
        return wall, cpu

    def test_a_start_over_one_by_hand(self):
        ours, hand = [], []
        for number in range(ROUNDS):
            wall, cpu, vm = self.ours(f"cost-{number}")
            ours.append((wall, cpu))
            launch = self.launch_of(vm)
            self.c.ok("vm", "stop", "--force", vm["id"])
            hand.append(self.by_hand(vm, launch))
            self.c.ok("vm", "rm", vm["id"])
        for what, at, unit in (("to the guest's first words", 0, 1), ("CPU of our processes", 1, 1000)):
            mine, theirs = (statistics.median(r[at] for r in rows) for rows in (ours, hand))
            print(f"{backends.NAME}: vm run over a driver by hand, {what}: {mine / theirs:.2f} x "
                  f"({mine * unit:.2f} and {theirs * unit:.2f} {'s' if unit == 1 else 'ms'})", flush=True)
        self.assertLess(statistics.median(r[0] for r in ours) / statistics.median(r[0] for r in hand), 3)


if __name__ == "__main__":
    cocoon_e2e.main()
