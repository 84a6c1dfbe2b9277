# SPDX-License-Identifier: Apache-2.0
"""kill -9 on the VMM and on the shim, and guests that cannot come up."""

import fcntl
import os
import signal
import struct
import time
from pathlib import Path

import backends
import census
import cocoon_e2e
from cocoon_e2e import StoreTest, wait_for
from terminal import Terminal

# A struct flock: write lock, from the start to the end of the file.
WHOLE_FILE = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)


class Killed(StoreTest):
    def test_vmm_killed(self):
        vm = self.c.run_vm("--name", "victim", "busybox", "--", "/bin/sh", "-c", "echo up; sleep 1000")
        self.c.wait_console(vm["id"], "^up")
        os.kill(vm["pid"], signal.SIGKILL)
        begun = time.monotonic()
        record = wait_for("the record of the end", lambda: self.ended("victim"), 5, 0.05)
        self.assertLess(time.monotonic() - begun, 1 * cocoon_e2e.SLOW)
        self.assertEqual(record["state"], "error")
        self.assertRegex(record["exit"]["reason"], r"signal 9")
        self.assertIsNone(record["exit_code"])
        # Nothing of the dead VMM stays: its shim ends, its memory file goes.
        wait_for("the shim to end", lambda: self.c.shim_pid(vm["id"]) is None, 5)
        self.assertEqual([str(p) for p in census.processes_of(self.c.base)], [])
        self.assertEqual([p for p in self.c.census.outside() if p.startswith("/dev/shm/")], [])
        self.c.ok("vm", "start", "victim")
        self.assertEqual(self.c.state("victim"), "running")

    def ended(self, name):
        record = self.c.inspect(name)
        return record["state"] != "running" and record

    def test_shim_killed(self):
        vm = self.c.run_vm("--name", "orphan", "--init", "busybox")
        self.c.wait_console(vm["id"], "init-ready orphan")
        old = self.c.shim_pid(vm["id"])
        os.kill(old, signal.SIGKILL)
        wait_for("the shim to be gone", lambda: self.c.shim_pid(vm["id"]) is None, 5)
        os.kill(vm["pid"], 0)   # the VMM does not notice
        listed = {v["config"]["name"]: v for v in self.c.list()}
        self.assertEqual((listed["orphan"]["state"], listed["orphan"]["pid"]), ("running", vm["pid"]))
        new = wait_for("another shim", lambda: self.c.shim_pid(vm["id"]), 5)
        self.assertNotEqual(new, old)
        with Terminal(self.c.argv("vm", "console", "orphan"), self.c.environment()) as terminal:
            terminal.send("\r")
            terminal.read_until("/ # ", 20)
            terminal.send("echo result=$((41+1))\r")
            terminal.read_until("result=42\r")
            terminal.send("poweroff\r")
            self.assertEqual(terminal.wait(30), 0)
        record = self.c.wait_state("orphan", "stopped")
        self.assertIn("power", record["exit"]["reason"])
        self.assertIn("result=42", self.c.console_text(vm["id"]))

    def test_shim_and_vmm_killed(self):
        vm = self.c.run_vm("--name", "both", "busybox", "--", "/bin/sleep", "1000")
        os.kill(self.c.shim_pid(vm["id"]), signal.SIGKILL)
        os.kill(vm["pid"], signal.SIGKILL)
        record = wait_for("the record of the end", lambda: self.ended("both"), 5, 0.05)
        self.assertEqual(record["state"], "error")
        self.assertTrue(record["exit"]["reason"])
        self.c.ok("vm", "start", "both")
        self.assertEqual(self.c.state("both"), "running")

    def test_exit_code_survives_a_dead_shim(self):
        vm = self.c.run_vm("--name", "code", "busybox", "--", "/bin/sh", "-c",
                           "echo ready; read go; exit 5")
        self.c.wait_console(vm["id"], "^ready")
        os.kill(self.c.shim_pid(vm["id"]), signal.SIGKILL)
        self.c.inspect("code")
        with Terminal(self.c.argv("vm", "console", "code"), self.c.environment()) as terminal:
            terminal.send("go\r")
            self.assertEqual(terminal.wait(30), 0)
        self.assertEqual(self.c.wait_state("code", "stopped")["exit_code"], 5)


class CannotBoot(StoreTest):
    """The guest says on its console what is missing, and the VM ends instead of hanging."""

    def layer_of(self, vm):
        return next(d["path"] for d in vm["storage_configs"] if d["role"] == "layer")

    def test_damaged_layer(self):
        vm = self.c.create_vm("--name", "damaged", "busybox")
        path = self.layer_of(vm)
        with open(path, "rb") as layer:
            original = layer.read(4096)
        self.patch(path, bytes(4096))
        try:
            self.c.ok("vm", "start", "damaged")
            record = wait_for("the VM to end", lambda: self.ended("damaged"),
                              cocoon_e2e.BOOT_SECONDS, 0.2)
        finally:
            self.patch(path, original)
        self.assertRegex(self.c.console_text(vm["id"]), r"boot failed: .*layer")
        self.assertIn(record["state"], ("stopped", "error"))
        self.assertNotEqual(record["exit_code"], 0)
        self.assertTrue(record["exit"]["reason"])

    def ended(self, name):
        record = self.c.inspect(name)
        return record["state"] != "running" and record

    def patch(self, path, data):
        os.chmod(path, 0o644)
        try:
            with open(path, "r+b") as file:
                file.write(data)
        finally:
            os.chmod(path, 0o444)

    def test_damaged_initramfs(self):
        """The kernel panics before anything of ours runs, and restarts where that ends no VMM."""
        vm = self.c.create_vm("--name", "initless", "busybox")
        path = next((self.c.root / "kernels").glob("*/initramfs"))
        with open(path, "rb") as file:
            original = file.read(4096)
        self.patch(path, bytes([255]) * 4096)
        try:
            self.c.ok("vm", "start", "initless")
            record = wait_for("the VM to end", lambda: self.ended("initless"),
                              3 * cocoon_e2e.BOOT_SECONDS, 0.2)
        finally:
            self.patch(path, original)
        self.assertIn("Kernel panic", self.c.console_text(vm["id"]))
        if backends.NAME != "firecracker":   # there a guest's reboot is the end
            self.assertEqual(record["state"], "error")
            self.assertRegex(record["exit"]["reason"], "guest kernel panics at every boot: VFS: ")
        self.assertIsNone(record["exit_code"])

    def test_damaged_root_disk(self):
        vm = self.c.create_vm("--name", "nocow", "busybox")
        cow = next(d["path"] for d in vm["storage_configs"] if d["role"] == "cow")
        with open(cow, "r+b") as file:
            file.write(bytes(1 << 20))
        self.c.ok("vm", "start", "nocow")
        record = wait_for("the VM to end", lambda: self.ended("nocow"), cocoon_e2e.BOOT_SECONDS, 0.2)
        self.assertRegex(self.c.console_text(vm["id"]), r"boot failed: .*cow")
        self.assertIn(record["state"], ("stopped", "error"))

    def test_missing_root_disk(self):
        vm = self.c.create_vm("--name", "lost", "busybox")
        os.unlink(next(d["path"] for d in vm["storage_configs"] if d["role"] == "cow"))
        self.assert_refused("lost", "cow.raw")

    def assert_refused(self, name, says):
        """The start fails with one line that says what is wrong, and leaves no process."""
        self.c.fails(cocoon_e2e.FAILURE, "vm", "start", name, says=says)
        self.assertEqual(self.c.state(name), "error")
        self.assertEqual([str(p) for p in census.processes_of(self.c.base)], [])

    def test_missing_kernel(self):
        vm = self.c.create_vm("--name", "kernelless", "busybox")
        os.unlink(self.c.vm_dir(vm["id"]) / "kernel")
        self.assert_refused("kernelless", r"(?i)kernel\b.*No such file")

    def test_locked_disk(self):
        self.c.create_vm("--name", "locked", "--data-disk", "size=64M,name=db", "busybox", "--", "/bin/true")
        for role in ("cow", "data"):
            path = next(d["path"] for d in self.c.inspect("locked")["storage_configs"] if d["role"] == role)
            with self.subTest(role=role), open(path, "r+b") as file:
                fcntl.fcntl(file, fcntl.F_OFD_SETLK, WHOLE_FILE)
                self.assert_refused("locked", f"(?i){Path(path).stem}.*lock")
        self.c.ok("vm", "start", "locked")
        self.assertEqual(self.c.wait_state("locked", "stopped")["exit_code"], 0)


if __name__ == "__main__":
    cocoon_e2e.main()
