# SPDX-License-Identifier: Apache-2.0
"""What only Cloud Hypervisor has, seen through its own API while a guest of ours runs: memory in a
file, huge pages, a save, and the rights of the process. The lab runs this where it has one."""

import http.client
import json
import os
import re
import socket
import unittest
from pathlib import Path

import backends
import cocoon_e2e
from cocoon_e2e import SMALL, StoreTest, wait_for

MIB = 1 << 20
NR_HUGEPAGES = Path("/proc/sys/vm/nr_hugepages")
BUSY = ("busybox", "--", "/bin/sh", "-c", "echo up-$((40+2)); while :; do sleep 1; echo tick; done")


class Api(http.client.HTTPConnection):
    """The API socket of a VM, whatever the length of its path."""

    def __init__(self, folder):
        super().__init__("localhost", timeout=60 * cocoon_e2e.SLOW)
        self.folder = folder

    def connect(self):
        directory = os.open(self.folder, os.O_PATH)
        try:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(self.timeout)
            self.sock.connect(f"/proc/self/fd/{directory}/api")
        finally:
            os.close(directory)

    def call(self, method, name, body=None):
        self.request(method, f"/api/v1/{name}", body and json.dumps(body),
                     {"Content-Type": "application/json"} if body else {})
        response = self.getresponse()
        answer = response.read().decode()
        if response.status >= 300:
            raise AssertionError(f"{method} {name}: {response.status} {answer}")
        return json.loads(answer) if answer else None


def meminfo(name):
    return int(re.search(rf"^{name}:\s+(\d+)", Path("/proc/meminfo").read_text(), re.M).group(1))


@unittest.skipUnless(backends.NAME == "cloud-hypervisor",
                     "COCOON_TEST_BACKEND is not cloud-hypervisor")
class CloudHypervisor(StoreTest):
    def up(self, *flags):
        """A guest that runs until it is ended: its record and its API."""
        vm = self.c.run_vm("--name", "vm", *flags, *BUSY)
        self.c.wait_console(vm["id"], "^up-42")
        return vm, Api(self.c.vm_dir(vm["id"]) / "sock")

    @staticmethod
    def threads(pid):
        """[(name, mode of seccomp)]"""
        found = []
        for task in Path(f"/proc/{pid}/task").iterdir():
            status = (task / "status").read_text()
            found.append((re.search(r"^Name:\s+(\S+)", status, re.M).group(1),
                          int(re.search(r"^Seccomp:\s+(\d)", status, re.M).group(1))))
        return found

    def test_memory_in_a_file(self):
        vm, api = self.up("--memory-backing", "file")
        memory = api.call("GET", "vm.info")["config"]["memory"]
        self.assertEqual((memory["size"], len(memory["zones"])), (0, 1))
        zone = memory["zones"][0]
        self.assertEqual((zone["file"], zone["shared"], zone["size"]), ("memory", True, 512 * MIB))
        file = self.c.vm_dir(vm["id"]) / "memory"
        self.assertEqual(file.stat().st_size, 512 * MIB)
        self.assertGreater(file.stat().st_blocks, 0)
        self.c.ok("vm", "stop", "--force", "vm")
        self.assertFalse(file.exists())

    def test_huge_pages(self):
        """Used when enough are free, and not when one is missing."""
        before = NR_HUGEPAGES.read_text()
        self.addCleanup(NR_HUGEPAGES.write_text, before)
        NR_HUGEPAGES.write_text("256\n")
        if meminfo("HugePages_Free") < 256:
            raise unittest.SkipTest("this machine has no memory left for 256 huge pages")
        _, api = self.up()
        memory = api.call("GET", "vm.info")["config"]["memory"]
        self.assertTrue(memory["hugepages"])
        self.assertEqual(memory["hugepage_size"], 2 * MIB)
        self.assertLess(meminfo("HugePages_Free"), 256)
        self.c.ok("vm", "rm", "--force", "vm")
        wait_for("free huge pages", lambda: meminfo("HugePages_Free") == 256)
        NR_HUGEPAGES.write_text("255\n")
        _, api = self.up()
        self.assertFalse(api.call("GET", "vm.info")["config"]["memory"]["hugepages"])

    def test_save(self):
        """The configuration is one that can be saved; the guest goes on afterwards."""
        vm, api = self.up()
        folder = self.c.vm_dir(vm["id"]) / "save-test"
        folder.mkdir(0o700)
        os.chown(folder, vm["uid"], vm["uid"])
        api.call("PUT", "vm.pause")
        api.call("PUT", "vm.snapshot", {"destination_url": "file://save-test"})
        api.call("PUT", "vm.resume")
        self.assertEqual({f.name for f in folder.iterdir()},
                         {"config.json", "state.json", "memory-ranges"})
        self.assertNotIn(str(self.c.base), (folder / "config.json").read_text())
        ticks = self.c.console_text(vm["id"]).count("tick")
        wait_for("the guest to go on",
                 lambda: self.c.console_text(vm["id"]).count("tick") > ticks + 1)

    def test_process_is_nobody(self):
        vm, _ = self.up()
        status = Path(f"/proc/{vm['pid']}/status").read_text()
        for name, value in (("Uid", vm["uid"]), ("CapEff", "0+"), ("CapBnd", "0+"),
                            ("NoNewPrivs", 1)):
            self.assertRegex(status, rf"(?m)^{name}:\s+{value}\b", status)
        # A filter for each thread; the first one only waits for the others.
        filtered = {name for name, seccomp in self.threads(vm["pid"]) if seccomp == 2}
        self.assertLessEqual({"vmm", "vcpu0", "http-server"}, filtered)
        self.assertEqual(os.readlink(f"/proc/{vm['pid']}/cwd"), str(self.c.vm_dir(vm["id"])))

    def test_debug_shows_what_runs(self):
        shown = self.c.ok("vm", "debug", *SMALL, *BUSY).out
        body = json.loads(re.search(r"-d '(\{.*?\n\})'", shown, re.S).group(1))
        _, api = self.up()
        config = api.call("GET", "vm.info")["config"]
        for part in ("payload", "watchdog"):
            self.assertEqual(config[part], body[part])
        for part in ("cpus", "memory", "rng", "balloon", "vsock", "console", "serial"):
            self.assertEqual({k: config[part][k] for k in body[part]}, body[part])
        self.assertEqual([{k: disk[k] for k in wanted} for disk, wanted
                          in zip(config["disks"], body["disks"], strict=True)],
                         body["disks"])


if __name__ == "__main__":
    cocoon_e2e.main()
