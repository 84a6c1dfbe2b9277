# SPDX-License-Identifier: Apache-2.0
"""A VM's life: run, exit code, stop, restart, reboot, logs, sharing of blobs."""

import os
import re
import sqlite3
import struct
import time
from pathlib import Path

import backends
import cocoon_e2e
from cocoon_e2e import CONFLICT, UNSUPPORTED, StoreTest, wait_for


class RunToExit(StoreTest):
    """Entrypoints that end: what they see and what is recorded of them."""

    images = ("busybox", "app-docker")

    def run_to_end(self, *args, env=None):
        vm = self.c.run_vm(*args, env=env)
        self.assertEqual(vm["state"], "running")
        self.assertGreater(vm["pid"], 0)
        record = self.c.wait_state(vm["id"], "stopped")
        return record, self.c.console_text(vm["id"])

    def test_entrypoint_that_succeeds(self):
        record, console = self.run_to_end("busybox", "--", "/bin/sh", "-c", "echo in-$((40+2))-userspace")
        self.assertEqual(record["exit_code"], 0)
        self.assertIn("in-42-userspace", console)
        self.assertEqual(record["pid"], 0)
        self.assertEqual(record["exit"]["code"], 0)
        self.assertIsNone(record["op"])

    def test_entrypoint_that_fails(self):
        record, _ = self.run_to_end("busybox", "--", "/bin/sh", "-c", "exit 7")
        self.assertEqual(record["exit_code"], 7)
        self.assertIn("7", record["exit"]["reason"])

    def test_entrypoint_that_is_not_there(self):
        record, console = self.run_to_end("busybox", "--", "/no/such/program")
        self.assertEqual(record["exit_code"], 127)
        self.assertIn("/no/such/program", console)

    def test_image_configuration_counts(self):
        record, console = self.run_to_end("app-docker")
        self.assertEqual(record["exit_code"], 0)
        for line in ("app-args=serve two words", "app-user=1000:1000:1000,2000", "app-pwd=/srv",
                     "app-greeting=hello from the image", "app-home=/home/app",
                     "app-layer=from layer 2", "app-whiteout=honoured"):
            self.assertRegex(console, rf"(?m)^{re.escape(line)}\r?$")

    def test_command_line_overrides_the_image(self):
        record, console = self.run_to_end(
            "-e", "GREETING=from the command line", "-e", "EXTRA=a b=c", "-e", "EXIT_CODE=7",
            "-e", "INHERITED", "-w", "/root", "-u", "0", "app-docker", "--", "/bin/sh", "-c",
            'cp /srv/greeting . && echo "inherited=$INHERITED" && exec /bin/app "$@"', "sh", "one", "",
            env={"INHERITED": "yes"})
        self.assertEqual(record["exit_code"], 7)
        for line in ("app-args=one ", "app-user=0:0:0", "app-pwd=/root", "app-extra=a b=c",
                     "app-greeting=from the command line", "app-home=/root", "inherited=yes"):
            self.assertRegex(console, rf"(?m)^{re.escape(line)}\r?$")

    def test_entrypoint_flag(self):
        record, console = self.run_to_end("--entrypoint", "/bin/echo", "app-docker", "--", "only", "this")
        self.assertEqual(record["exit_code"], 0)
        self.assertRegex(console, r"(?m)^only this\r?$")
        self.assertNotIn("app-args", console)

    def test_oci_layout_is_the_same_image(self):
        self.c.import_image("app-oci")
        try:
            self.assertEqual(self.c.census.rows()["blobs"], self.rows["blobs"],
                             "the layers should be those of app-docker")
            record, console = self.run_to_end("app-oci")
            self.assertEqual(record["exit_code"], 0)
            self.assertIn("app-layer=from layer 2", console)
        finally:
            self.c.ok("image", "rm", "app-oci")

    def test_disk_keeps_its_data_over_a_restart(self):
        script = ("if [ -e /root/kept ]; then exit $(cat /root/kept); fi; "
                  "echo 9 >/root/kept; exit 1")
        record, _ = self.run_to_end("--name", "keeper", "busybox", "--", "/bin/sh", "-c", script)
        self.assertEqual(record["exit_code"], 1)
        self.c.ok("vm", "start", "keeper")
        record = self.c.wait_state("keeper", "stopped")
        self.assertEqual(record["exit_code"], 9)

    def test_guest_reboot(self):
        script = ("if [ -e /root/again ]; then exit 3; fi; touch /root/again; sync; "
                  "reboot -f; sleep 60")
        vm = self.c.run_vm("--name", "again", "busybox", "--", "/bin/sh", "-c", script)
        seen = set()

        def ended():
            record = self.c.inspect("again")
            if record["state"] == "running":
                seen.add(record["pid"])
            return record["state"] != "running" and record
        if not backends.has("reboot_in_place"):
            # The VMM ends with the first boot, and a start makes the second one.
            record = self.c.wait_state("again", "stopped")
            self.assertEqual((record["exit_code"], record["exit"]["reason"]), (None, "guest reboot"))
            self.c.ok("vm", "start", "again")
            self.assertEqual(self.c.wait_state("again", "stopped")["exit_code"], 3)
            return
        record = wait_for("the second boot to end", ended, 2 * cocoon_e2e.BOOT_SECONDS, 0.1)
        self.assertEqual((record["state"], record["exit_code"]), ("stopped", 3))
        self.assertEqual(seen, {vm["pid"]})

    def test_guest_power_off(self):
        """By the guest's own command, not by the end of its entrypoint: also where that only halts the
        machine and its VMM would stay."""
        vm = self.c.run_vm("busybox", "--", "/bin/sh", "-c", "sync; poweroff -f; sleep 600")
        record = self.c.wait_state(vm["id"], "stopped")
        self.assertEqual((record["exit_code"], record["exit"]["reason"]), (None, "guest power-off"))

    def test_words_of_a_power_off_are_none(self):
        """A guest that only prints what the kernel prints then goes on living."""
        vm = self.c.run_vm("busybox", "--", "/bin/sh", "-c",
                           "echo 'reboot: System halted' >/dev/console; sleep 600")
        self.c.wait_console(vm["id"], "^reboot: System halted")
        time.sleep(12)
        self.assertEqual(self.c.state(vm["id"]), "running")


class Refusals(StoreTest):
    """What a backend cannot do is refused before anything is made, naming what is missing."""

    def test_doctor_tells_the_capabilities(self):
        checks = {c["name"]: c for c in self.c.ok("doctor", "-o", "json").json()["checks"]}
        told = re.match(r"version [\d.]+: ([^;]+)", checks[backends.NAME]["detail"])
        self.assertTrue(told, checks)
        told = set(told.group(1).split(", "))
        self.assertEqual({name for name in backends.REPORTED if name in told},
                         {name for name in backends.REPORTED if backends.has(name)})

    def test_cloud_image(self):
        self.need_lack("uefi")
        disk = self.c.base / "disk.raw"
        sector = bytearray(512)
        sector[446:462] = struct.pack("<B3xB3xII", 0x80, 0x83, 2048, 2048)   # one partition
        sector[510:] = b"\x55\xaa"
        disk.write_bytes(bytes(sector) + bytes((4 << 20) - 512))
        self.c.import_image("cloud", disk)
        try:
            for verb in ("create", "run", "debug"):
                self.c.fails(UNSUPPORTED, "vm", verb, *cocoon_e2e.SMALL, "cloud", says=r"capability uefi")
        finally:
            self.c.ok("image", "rm", "cloud")
            self.c.ok("gc")

    def test_kernel_that_was_never_unpacked(self):
        """A kernel object of an older cocoon has no vmlinux."""
        self.need_lack("compressed_kernel")
        database = sqlite3.connect(self.c.root / "cocoon.db")
        with database:
            database.execute("UPDATE kernels SET record = json_set(record, '$.vmlinux_size', 0)")
        try:
            self.c.fails(UNSUPPORTED, "vm", "create", *cocoon_e2e.SMALL, "busybox",
                         says="kernel \"debian\" has none: import it again with `cocoon kernel import`")
        finally:
            with database:
                database.execute("UPDATE kernels SET record = ?", (self.record,))
            database.close()

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        database = sqlite3.connect(cls.c.root / "cocoon.db")
        cls.record = database.execute("SELECT record FROM kernels").fetchone()[0]
        database.close()


class StopAndLogs(StoreTest):
    """Long-running guests."""

    def test_polite_stop_of_an_init_guest(self):
        vm = self.c.run_vm("--init", "--name", "polite", "busybox")
        self.c.wait_console(vm["id"], "init-ready polite")
        begun = time.monotonic()
        self.c.ok("vm", "stop", "polite", "--timeout", str(int(30 * cocoon_e2e.SLOW)))
        self.assertLess(time.monotonic() - begun, 25 * cocoon_e2e.SLOW)
        record = self.c.inspect("polite")
        self.assertEqual(record["state"], "stopped")
        self.assertIn("going down", self.c.console_text(vm["id"]))
        self.c.ok("vm", "stop", "polite")   # a second stop finds nothing to do
        self.c.ok("vm", "restart", "polite")
        wait_for("the second boot", lambda: self.c.console_text(vm["id"]).count("init-ready") == 2,
                 cocoon_e2e.BOOT_SECONDS)
        self.assertEqual(self.c.state("polite"), "running")

    def test_polite_stop_reaches_the_entrypoint(self):
        vm = self.c.run_vm("busybox", "--", "/bin/sh", "-c",
                           "trap 'echo got-term; exit 9' TERM; echo waiting; "
                           "while :; do sleep 1; done")
        self.c.wait_console(vm["id"], "waiting")
        self.c.ok("vm", "stop", vm["id"])
        record = self.c.inspect(vm["id"])
        self.assertEqual((record["state"], record["exit_code"]), ("stopped", 9))
        self.assertIn("got-term", self.c.console_text(vm["id"]))

    def test_forced_stop_and_rm(self):
        vm = self.c.run_vm("--name", "forced", "busybox", "--", "/bin/sleep", "1000")
        self.c.fails(CONFLICT, "vm", "rm", "forced")
        begun = time.monotonic()
        self.c.ok("vm", "stop", "--force", "forced")
        self.assertLess(time.monotonic() - begun, 5 * cocoon_e2e.SLOW)
        record = self.c.inspect("forced")
        self.assertEqual((record["state"], record["exit_code"]), ("stopped", None))
        self.assertFalse(os.path.exists(f"/proc/{vm['pid']}"))
        self.c.ok("vm", "start", "forced")
        self.c.ok("vm", "rm", "--force", "forced")
        self.c.fails(cocoon_e2e.NOT_FOUND, "vm", "inspect", "forced", says="vm not found")

    def test_logs(self):
        vm = self.c.run_vm("--name", "talker", "busybox", "--", "/bin/sh", "-c",
                           "for i in 1 2 3 4 5 6 7 8; do echo line-$i-end; sleep 0.3; done")
        follower = self.c.start("vm", "logs", "-f", "talker")
        out, err = follower.communicate(timeout=cocoon_e2e.BOOT_SECONDS * cocoon_e2e.SLOW)
        self.assertEqual(follower.returncode, 0, err)
        followed = cocoon_e2e.text(out)
        self.c.wait_state(vm["id"], "stopped")
        for i in range(1, 9):
            self.assertEqual(followed.count(f"line-{i}-end"), 1, followed)
        whole = self.c.ok("vm", "logs", "talker").out
        self.assertEqual(whole, followed)
        tail = self.c.ok("vm", "logs", "--tail", "3", "talker").out
        self.assertEqual(tail.splitlines(), whole.splitlines()[-3:])
        self.c.ok("vm", "logs", "--vmm", "talker")

    def test_two_vms_share_the_blobs(self):
        blobs = {os.stat(p).st_ino: p for p in (self.c.root / "blobs").rglob("*") if p.is_file()}
        vms = [self.c.create_vm("--name", f"twin-{i}", "busybox", "--", "/bin/sleep", "1000")
               for i in (1, 2)]
        self.c.ok("vm", "start", *(vm["id"] for vm in vms))
        shared = []
        for vm in vms:
            links = {os.stat(p).st_ino for p in self.c.vm_dir(vm["id"]).iterdir()
                     if p.is_file() and not p.is_symlink()} & set(blobs)
            self.assertTrue(links, "no file of the VM directory is a link to a blob")
            shared.append(links)
        self.assertEqual(shared[0], shared[1])
        for inode in shared[0]:
            info = os.stat(blobs[inode])
            self.assertEqual(info.st_nlink, 3, blobs[inode])
            self.assertEqual((info.st_uid, info.st_mode & 0o777), (0, 0o444), blobs[inode])
        self.assertNotEqual(vms[0]["uid"], vms[1]["uid"])
        self.assertEqual([self.c.state(vm["id"]) for vm in vms], ["running", "running"])
        self.c.ok("vm", "rm", "--force", "twin-1")
        for inode in shared[0]:
            self.assertEqual(os.stat(blobs[inode]).st_nlink, 2)

    def test_the_vmm_is_nobody(self):
        vm = self.c.run_vm("busybox", "--", "/bin/sleep", "1000")
        status = dict(line.split(":\t", 1) for line in
                      open(f"/proc/{vm['pid']}/status").read().splitlines() if ":\t" in line)
        self.assertEqual(status["Uid"].split(), [str(vm["uid"])] * 4)
        self.assertEqual(status["Gid"].split(), [str(vm["uid"])] * 4)
        for capabilities in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            self.assertEqual(int(status[capabilities], 16), 0, capabilities)
        self.assertEqual(status["NoNewPrivs"], "1")
        filters = {task.name: re.search(r"(?m)^Seccomp:\t(\d)", (task / "status").read_text()).group(1)
                   for task in Path(f"/proc/{vm['pid']}/task").iterdir()}
        if backends.NAME == "cloud-hypervisor":
            del filters[str(vm["pid"])]   # its first thread only waits for the others
        self.assertEqual(set(filters.values()), {"2"}, filters)
        self.assertEqual(os.readlink(f"/proc/{vm['pid']}/cwd"), str(self.c.vm_dir(vm["id"])))
        self.assertNotEqual(os.readlink(f"/proc/{vm['pid']}/ns/net"), os.readlink("/proc/self/ns/net"))
        argv = open(f"/proc/{vm['pid']}/cmdline").read()
        self.assertNotIn(str(self.c.base), argv, "the VMM should know relative names only")

    def test_status_and_list(self):
        vms = [self.c.create_vm("--name", name, "busybox") for name in ("first", "second")]
        self.assertEqual([v["id"] for v in self.c.list()], [v["id"] for v in vms])
        for filters, names in (((), ["first", "second"]), (("second",), ["second"]),
                               ((vms[0]["id"][:10],), ["first"]), (("sec",), []), (("nothing",), [])):
            shown = self.c.ok("vm", "status", "--format", "json", *filters).json()
            self.assertEqual([v["config"]["name"] for v in shown], names, filters)
        header, *rows = self.c.ok("vm", "list").out.splitlines()
        self.assertEqual(header.split(), "ID NAME STATE CPU MEMORY STORAGE IP IMAGE CREATED".split())
        self.assertEqual([row.split()[:4] for row in rows],
                         [[v["id"], v["config"]["name"], "created", "1"] for v in vms])


class OwnKernel(StoreTest):
    """An image with its own kernel and initrd needs no kernel object."""

    kernel = None
    images = ("own-kernel",)

    def test_it_boots_stops_and_restarts(self):
        vm = self.c.run_vm("--name", "own", "own-kernel")
        self.c.wait_console(vm["id"], "init-ready")
        self.assertIn("own-initrd: starting init", self.c.console_text(vm["id"]))
        self.c.ok("vm", "stop", "own")
        record = self.c.inspect("own")
        self.assertEqual((record["state"], record["exit_code"]), ("stopped", None))
        self.c.ok("vm", "start", "own")
        wait_for("the second boot", lambda: self.c.console_text(vm["id"]).count("init-ready") == 2,
                 cocoon_e2e.BOOT_SECONDS)


if __name__ == "__main__":
    cocoon_e2e.main()
