# SPDX-License-Identifier: Apache-2.0
"""Snapshots, clones, restores and hibernation: the guest goes on exactly from where it was saved, the
source is unharmed, clones are machines of their own, and no failure costs a running VM."""

import hashlib
import json
import os
import re
import signal
import sqlite3
import subprocess
import threading
import time
import unittest
from pathlib import Path

import cocoon_e2e
from cocoon_e2e import CONFLICT, FAILURE, FULL, NOT_FOUND, SLOW, StoreTest, UNSUPPORTED, USAGE, wait_for

# Counts, and keeps what it has counted in memory, on the root disk and on a data disk. The file is replaced
# whole: a reader that meets tmpfs between truncation and data reads zero bytes for what was there.
COUNTER = """
echo 0123456789abcdef0123456789abcdef > /etc/machine-id
echo cow > /root-file; echo data > /mnt/db/file
i=0; while true; do i=$((i+1)); echo $i > /run/next; mv /run/next /run/count; sleep 0.2; done
"""


def sha256(file):
    """Of the data and where it lies: most of a disk is a hole."""
    digest = hashlib.sha256()
    with open(file, "rb", buffering=0) as stream:
        size = os.fstat(stream.fileno()).st_size
        at = 0
        while at < size:
            try:
                begin = os.lseek(stream.fileno(), at, os.SEEK_DATA)
            except OSError:   # ENXIO: nothing but a hole
                break
            end = os.lseek(stream.fileno(), begin, os.SEEK_HOLE)
            digest.update(f"{begin}-{end}:".encode())
            os.lseek(stream.fileno(), begin, os.SEEK_SET)
            while begin < end:
                chunk = stream.read(min(1 << 20, end - begin))
                digest.update(chunk)
                begin += len(chunk)
            at = end
    return f"{size} {digest.hexdigest()}"


class SnapshotTest(StoreTest):
    capabilities = ("snapshots",)

    def start(self, name="src", *flags, script=COUNTER):
        vm = self.c.run_vm("--name", name, "--wait", "--data-disk", "size=64M,name=db,mount=/mnt/db", *flags,
                           "busybox", "--", "/bin/sh", "-c", script, seconds=180)
        wait_for("the guest to count", lambda: self.count(name) > 2, 60)
        return vm

    def tearDown(self):
        self.remove_snapshots()
        super().tearDown()

    def remove_snapshots(self):
        self.c.remove_vms()   # a hibernated VM's snapshot goes with it
        ids = [s["id"] for s in self.c.ok("snapshot", "list", "-o", "json").json()]
        if ids:
            self.c.ok("snapshot", "rm", *ids)

    def sh(self, vm, script):
        return self.c.ok("vm", "exec", vm, "--", "/bin/sh", "-c", script, seconds=120).out.strip()

    def count(self, vm):
        """What the guest has counted; 0 before it began, and while nobody answers."""
        result = self.c.run("vm", "exec", vm, "--", "cat", "/run/count", seconds=120)
        return int(result.out) if result.code == 0 else 0

    def boot_id(self, vm):
        """Of the guest's kernel: the same as long as it goes on, another after a reboot."""
        return self.sh(vm, "cat /proc/sys/kernel/random/boot_id")

    def save(self, vm, name, *flags):
        return self.c.ok("snapshot", "save", "--name", name, "-o", "json", *flags, vm, seconds=300).json()

    def clone(self, snapshot, name, *flags):
        return self.c.ok("vm", "clone", "--name", name, "-o", "json", *flags, snapshot, seconds=300).json()

    def snapshot_dir(self, snapshot):
        return self.c.root / "snapshots" / snapshot["id"]

    def snapshot_dirs(self):
        """Of all snapshots; the directory of them is made with the first."""
        return [folder.name for folder in (self.c.root / "snapshots").glob("*")]

    def hashes(self, snapshot):
        return {file.name: sha256(file) for file in self.snapshot_dir(snapshot).iterdir()}


class SaveAndClone(SnapshotTest):
    def test_clones_go_on_from_the_snapshot(self):
        source = self.start()
        boot = self.boot_id("src")
        before = self.count("src")
        snapshot = self.save("src", "base", "--description", "as it was")
        after = self.count("src")
        self.assertEqual((snapshot["name"], snapshot["description"]), ("base", "as it was"))
        self.assertEqual(snapshot["source_vm"], source["id"])
        self.assertGreater(snapshot["pause_us"], 0)
        self.assertEqual(self.c.state("src"), "running")
        self.assertIsNone(self.c.inspect("src")["op"])
        hashes = self.hashes(snapshot)

        self.sh("src", "echo later > /root-file; echo later > /mnt/db/file")
        one = self.clone("base", "one")
        two = self.clone(snapshot["id"], "two")
        self.assertEqual(one["state"], "running")
        for name in ("one", "two"):
            self.assertEqual(self.boot_id(name), boot, "it did not boot again")
            self.assertGreaterEqual(self.count(name), before)
            self.assertEqual(self.sh(name, "cat /root-file /mnt/db/file"), "cow\ndata")
            self.assertEqual(self.sh(name, "hostname"), name)
        # counting goes on, from the snapshot's value: no clone is ahead of its time
        first = self.count("one")
        wait_for("the clone to go on", lambda: self.count("one") > first, 30)
        wait_for("the source to go on", lambda: self.count("src") > after, 30)
        self.assertNotEqual({one["uid"], two["uid"]} & {source["uid"]}, {source["uid"]})
        ids = {self.sh(name, "cat /etc/machine-id") for name in ("one", "two")}
        self.assertEqual(len(ids), 2)
        randoms = {self.sh(name, "head -c 16 /dev/urandom | od -An -tx1") for name in ("src", "one", "two")}
        self.assertEqual(len(randoms), 3)
        for name in ("one", "two"):
            self.assertLess(abs(int(self.sh(name, "date +%s")) - time.time()), 10 * SLOW)

        self.sh("one", "echo mine > /root-file; echo mine > /mnt/db/file; head -c 20000000 /dev/urandom > /run/junk; sync")
        self.assertEqual(self.sh("two", "cat /root-file /mnt/db/file"), "cow\ndata")
        self.assertEqual(self.sh("src", "cat /root-file /mnt/db/file"), "later\nlater")
        many = 20 if FULL else 3
        made = self.c.ok("vm", "clone", "-n", many, "--name", "many", "base", seconds=900).out.split()
        self.assertEqual(len(made), many)
        for i in range(1, many + 1):
            self.assertEqual(self.sh(f"many-{i}", "hostname"), f"many-{i}")
        self.assertEqual(self.hashes(snapshot), hashes)

    def test_clones_outlive_source_and_snapshot(self):
        self.start()
        snapshot = self.save("src", "base")
        self.c.ok("vm", "rm", "--force", "src")
        self.clone("base", "child")
        self.sh("child", "echo child > /mnt/db/file; sync")
        second = self.save("child", "second")   # a snapshot of a clone
        self.clone("second", "grandchild")
        self.assertEqual(self.sh("grandchild", "cat /mnt/db/file"), "child")
        self.c.ok("snapshot", "rm", "base", "second")
        self.assertFalse(self.snapshot_dir(snapshot).exists())
        self.assertFalse(self.snapshot_dir(second).exists())
        count = self.count("grandchild")
        wait_for("the clone to go on without its snapshot", lambda: self.count("grandchild") > count, 30)
        # the image may go too, and the clone still boots
        self.c.ok("vm", "stop", "child", seconds=120)
        self.c.ok("vm", "start", "child", seconds=120)
        wait_for("the clone to boot", lambda: self.sh("child", "cat /mnt/db/file") in ("child", "data"), 120)

    def test_the_program_of_a_clone_ends_as_its_own(self):
        self.start(script="while [ ! -e /run/end ]; do echo 5 > /run/count; sleep 0.2; done; exit 7")
        self.save("src", "base")
        clone = self.clone("base", "one")
        self.sh("one", "touch /run/end")
        ended = self.c.wait_state("one", "stopped", 60)
        self.assertEqual(ended["exit_code"], 7)
        self.assertEqual(self.c.state("src"), "running")
        self.assertEqual(ended["id"], clone["id"])

    def test_more_of_everything(self):
        self.start()
        self.save("src", "base")
        result = self.c.ok("vm", "clone", "--pull", "--name", "big", "--cpu", "2", "--memory", "768M",
                           "--storage", "12G", "base", seconds=300)
        self.assertIn("after its next", result.err)
        blocks = self.sh("big", "cat /sys/block/*/size").split()
        self.assertIn(str((12 << 30) // 512), blocks if self.has_live_growth() else [str((12 << 30) // 512)])
        self.assertEqual(self.sh("big", "nproc"), "1")
        again = self.save("big", "again")   # of what the guest has, not of what it will have
        self.clone(again["id"], "copy")
        self.assertEqual(self.sh("copy", "nproc"), "1")
        self.c.ok("vm", "stop", "big", seconds=120)
        self.c.ok("vm", "start", "big", seconds=120)
        self.c.ok("vm", "wait", "big", seconds=120)
        self.assertEqual(self.sh("big", "nproc"), "2")
        self.assertGreater(int(self.sh("big", "awk '/MemTotal/ {print $2}' /proc/meminfo")), 600 << 10)
        self.assertIn(str((12 << 30) // 512), self.sh("big", "cat /sys/block/*/size").split())
        self.c.fails(USAGE, "vm", "clone", "--memory", "128M", "base", says="below the snapshot's")

    @staticmethod
    def has_live_growth():
        return cocoon_e2e.backends.has("hotplug")

    def test_names_lists_and_refusals(self):
        self.start()
        self.c.fails(NOT_FOUND, "snapshot", "save", "nosuch", says="vm not found")
        self.c.fails(USAGE, "snapshot", "save", "--name", "../x", "src", says="invalid snapshot name")
        self.c.fails(USAGE, "snapshot", "save", "--name", "a/../b", "src", says='a part of it is ".."')
        self.c.fails(USAGE, "snapshot", "save", "--name", "A" * 26, "src", says="looks like an ID")
        first = self.save("src", "team/base:1.4")
        self.c.fails(CONFLICT, "snapshot", "save", "--name", "team/base:1.4", "src", says="already exists")
        second = self.c.ok("snapshot", "save", "src", seconds=300).out.strip()
        listed = self.c.ok("snapshot", "ls", "-o", "json").json()
        self.assertEqual([s["id"] for s in listed], [first["id"], second])
        self.assertEqual(self.c.ok("snapshot", "list", "--vm", "src", "-o", "json").json(), listed)
        table = self.c.ok("snapshot", "list").out
        self.assertRegex(table, r"^ID +NAME +CPU +MEMORY +DESCRIPTION +CREATED\n")
        self.assertIn("team/base:1.4", table)
        shown = self.c.ok("snapshot", "inspect", first["id"][:6]).json()
        self.assertEqual(shown["image_type"], "oci")
        self.assertEqual([d["role"] for d in shown["storage_configs"]][-2:], ["cow", "data"])
        self.c.fails(NOT_FOUND, "snapshot", "inspect", "nosuch", says="snapshot not found")
        self.c.fails(NOT_FOUND, "vm", "clone", "nosuch", says="snapshot not found")
        self.c.fails(CONFLICT, "vm", "clone", "--name", "src", second, says="already exists")
        self.c.fails(USAGE, "vm", "clone", "--storage", "1G", second, says="below the snapshot's")
        self.c.ok("vm", "stop", "--force", "src")
        self.c.fails(CONFLICT, "snapshot", "save", "src", says="only a running VM")
        self.c.ok("snapshot", "rm", "team/base:1.4", second)
        self.assertEqual(self.c.ok("snapshot", "list").out, "No snapshots found.\n")
        self.assertEqual(self.snapshot_dirs(), [])


class CloneDisks(SnapshotTest):
    def disks(self, vm):
        return [d["serial"] for d in self.c.inspect(vm)["storage_configs"] if d["role"] == "data"]

    def seen(self, vm):
        """Serials of the data disks that the guest has, and where disks are mounted below /mnt."""
        serials = self.sh(vm, "for f in /sys/block/vd*/serial; do cat $f; echo; done | grep -v ^cocoon- | sort").split()
        return serials, self.sh(vm, "grep -o ' /mnt/[^ ]*' /proc/mounts | sort").split()

    def test_fresh_disks_and_disks_left_out(self):
        if not cocoon_e2e.backends.has("hotplug"):
            return self.refuse_all()
        self.start()
        snapshot = self.save("src", "base")
        hashes = self.hashes(snapshot)

        # one more, and none of another's
        self.clone("base", "more", "--data-disk", "size=32M,name=scratch", "--data-disk", "size=16M,fstype=none")
        self.assertEqual(self.disks("more"), ["db", "scratch", "data1"])
        self.assertEqual(self.seen("more"), (["data1", "db", "scratch"], ["/mnt/db", "/mnt/scratch"]))
        self.assertEqual(self.sh("more", "cat /mnt/db/file; echo new > /mnt/scratch/file; sync; ls -A /mnt/scratch"),
                         "data\nfile\nlost+found")

        # left out: neither guest nor VMM nor directory has it
        self.clone("base", "less", "--drop-disk", "db")
        self.assertEqual((self.disks("less"), self.seen("less")), ([], ([], [])))
        directory = self.c.vm_dir(self.c.inspect("less")["id"])
        self.assertEqual(list(directory.glob("data-*")), [])
        listed = self.c.ok("vm", "disk", "list", "-o", "json", "less").json()
        self.assertEqual([d["name"] for d in listed if d["role"] == "data"], [])
        self.assertEqual(self.sh("less", "cat /root-file"), "cow")

        # a fresh one in its place
        self.clone("base", "other", "--drop-disk", "db", "--data-disk", "size=48M,name=db")
        self.assertEqual(self.seen("other"), (["db"], ["/mnt/db"]))
        self.assertEqual(self.sh("other", "ls -A /mnt/db; echo mine > /mnt/db/file; sync"), "lost+found")
        self.assertEqual((self.c.vm_dir(self.c.inspect("other")["id"]) / "data-db.raw").stat().st_size, 48 << 20)

        # it stays so: in a snapshot of the clone, and at the next start
        self.save("other", "again")
        self.clone("again", "copy", "--data-disk", "size=16M,name=late,mount=/mnt/late")
        self.assertEqual(self.sh("copy", "cat /mnt/db/file"), "mine")
        self.assertEqual(self.seen("copy"), (["db", "late"], ["/mnt/db", "/mnt/late"]))
        for name, mounts in (("more", ["/mnt/db", "/mnt/scratch"]), ("less", []), ("copy", ["/mnt/db", "/mnt/late"])):
            self.c.ok("vm", "stop", name, seconds=120)
            self.c.ok("vm", "start", name, seconds=120)
            self.c.ok("vm", "wait", name, seconds=120)
            self.assertEqual(self.seen(name)[1], mounts)
        self.assertEqual(self.sh("more", "cat /mnt/scratch/file"), "new")
        self.assertEqual(self.hashes(snapshot), hashes)

    def test_refusals_leave_nothing(self):
        if not cocoon_e2e.backends.has("hotplug"):
            return self.refuse_all()
        self.start()
        self.save("src", "base")
        before = self.c.list()
        for code, says, *flags in (
                (USAGE, "below the minimum", "--data-disk", "size=1M"),
                (USAGE, "unknown key", "--data-disk", "size=16M,colour=red"),
                (USAGE, "two data disks have this name", "--data-disk", "size=16M,name=a", "--data-disk", "size=16M,name=a"),
                (CONFLICT, "already exists", "--data-disk", "size=16M,name=db"),
                (CONFLICT, "is mounted there", "--data-disk", "size=16M,mount=/mnt/db"),
                (NOT_FOUND, "disk not found", "--drop-disk", "nosuch"),
                (NOT_FOUND, "disk not found", "--drop-disk", "db", "--drop-disk", "db"),
                (USAGE, "root disk", "--drop-disk", "root"),
                (USAGE, "cannot be changed", "--drop-disk", "cocoon-layer0")):
            with self.subTest(" ".join(flags)):
                self.c.fails(code, "vm", "clone", "--name", "no", *flags, "base", says=says)
        # a guest that holds on to its disk keeps it: there is no such clone
        self.sh("src", "cd /mnt/db && { sleep 1000 > /dev/null 2>&1 & }")
        self.save("src", "busy")
        self.c.fails(FAILURE, "vm", "clone", "--name", "no", "--drop-disk", "db", "busy", says="the guest says", seconds=300)
        self.assertEqual([vm["id"] for vm in self.c.list()], [vm["id"] for vm in before])
        vms = {path.name for path in self.c.vm_dir(before[0]["id"]).parent.iterdir()}
        self.assertEqual(vms, {vm["id"] for vm in before})

    def refuse_all(self):
        """A VMM without hot-plug: refused by the capability's name, before anything is done."""
        self.start()
        self.save("src", "base")
        for flags in (("--data-disk", "size=16M"), ("--drop-disk", "db")):
            self.c.fails(UNSUPPORTED, "vm", "clone", "--name", "no", *flags, "base", says="capability hotplug")
        self.assertEqual([vm["config"]["name"] for vm in self.c.list()], ["src"])


class Restore(SnapshotTest):
    def test_back_to_the_snapshot(self):
        self.start()
        boot = self.boot_id("src")   # before the save: the kernel makes it when it is first asked
        self.save("src", "base")
        count = self.count("src")
        self.sh("src", "echo later > /root-file; echo later > /mnt/db/file; sync")
        wait_for("the guest to count on", lambda: self.count("src") > count + 20, 60)
        restored = self.c.ok("vm", "restore", "-o", "json", "src", "base", seconds=300).json()
        self.assertEqual(restored["state"], "running")
        self.assertEqual(self.sh("src", "cat /root-file /mnt/db/file"), "cow\ndata")
        self.assertEqual(self.boot_id("src"), boot)
        self.assertLess(self.count("src"), count + 20)
        self.assertEqual(self.sh("src", "hostname"), "src")

        # out of a stopped VM, and out of one whose VMM was killed
        self.c.ok("vm", "stop", "src", seconds=120)
        self.c.ok("vm", "restore", "src", "base", seconds=300)
        self.assertEqual(self.sh("src", "cat /root-file"), "cow")
        os.kill(self.c.inspect("src")["pid"], signal.SIGKILL)
        self.c.wait_state("src", "error", 10)
        self.c.ok("vm", "restore", "src", "base", seconds=300)
        self.assertEqual(self.sh("src", "cat /root-file"), "cow")
        # a restored VM is one like any other
        self.save("src", "again")
        self.clone("again", "copy")
        self.assertEqual(self.sh("copy", "cat /mnt/db/file"), "data")
        # another VM of the same disks may take the snapshot too
        self.c.ok("vm", "restore", "copy", "base", seconds=300)
        self.assertEqual(self.sh("copy", "hostname"), "copy")

    def test_verified_first(self):
        self.start()
        snapshot = self.save("src", "base")
        restore = ("vm", "restore", "--verify", "src", "base")
        self.assertIn("had no digest to compare", self.c.ok(*restore, seconds=600).err)
        self.assertNotIn("had no digest", self.c.ok(*restore, seconds=600).err)
        count = self.count("src")
        pid = self.c.inspect("src")["pid"]
        # one bit of a disk: of the same size, so that nothing but its digest tells
        disk = self.snapshot_dir(snapshot) / "cow.raw"
        with open(disk, "r+b") as file:
            at = os.lseek(file.fileno(), 0, os.SEEK_DATA)
            byte = os.pread(file.fileno(), 1, at)
            os.pwrite(file.fileno(), bytes([byte[0] ^ 1]), at)
        self.c.fails(FAILURE, *restore, says="cow.raw has changed", seconds=600)
        wait_for("the guest to count on", lambda: self.count("src") > count, 60)
        self.assertEqual(self.c.inspect("src")["pid"], pid)
        with open(disk, "r+b") as file:
            os.pwrite(file.fileno(), byte, at)
        self.c.ok(*restore, seconds=600)
        self.assertEqual(self.sh("src", "cat /root-file"), "cow")

    def test_a_bad_snapshot_costs_no_running_vm(self):
        vm = self.start()
        snapshot = self.save("src", "base")
        folder = self.snapshot_dir(snapshot)
        state = next(m["name"] for m in snapshot["members"] if m["kind"] == "state")
        memory = next(m["name"] for m in snapshot["members"] if m["kind"] == "memory")
        record = self.read_record(snapshot)

        def of_file(name, change):
            def mutate():
                kept = self.c.base / "kept"   # moved there: a copy of a disk would lose its holes
                target = folder / name
                target.rename(kept)
                change(kept, target)

                def undo():
                    if target.is_dir() and not target.is_symlink():
                        target.rmdir()
                    else:
                        target.unlink(missing_ok=True)
                    kept.rename(target)
                return undo
            return mutate

        def missing(kept, target):
            pass

        def shorter(kept, target):
            target.write_bytes(kept.read_bytes()[:-1] if kept.stat().st_size < 1 << 26 else b"x")

        def link(kept, target):
            target.symlink_to("/etc/passwd")

        def folder_instead(kept, target):
            target.mkdir()

        def of_record(change):
            def mutate():
                changed = json.loads(json.dumps(record))
                change(changed)
                self.write_record(snapshot, changed)
                return lambda: self.write_record(snapshot, record)
            return mutate

        def disks(change):
            return of_record(lambda r: change(r["vm"]["storage_configs"]))

        def index(list_, role):
            return next(i for i, d in enumerate(list_) if d["role"] == role)

        mutations = {
            "cow missing": (of_file("cow.raw", missing), "cow.raw is missing"),
            "cow truncated": (of_file("cow.raw", shorter), "cow.raw has"),
            "data missing": (of_file("data-db.raw", missing), "data-db.raw is missing"),
            "data a link": (of_file("data-db.raw", link), "data-db.raw is not a regular file"),
            "state missing": (of_file(state, missing), f"{state} is missing"),
            "state truncated": (of_file(state, shorter), f"{state} has"),
            "memory truncated": (of_file(memory, shorter), f"{memory} has"),
            "memory a directory": (of_file(memory, folder_instead), f"{memory} is not a regular file"),
            "kernel missing": (of_file("kernel", missing), "kernel is missing"),
            "disk left out": (disks(lambda d: d.pop(index(d, "data"))), "data-db.raw"),
            "disks swapped": (disks(lambda d: d.__setitem__(slice(-2, None), d[-2:][::-1])), "disk"),
            "wrong role": (disks(lambda d: d[index(d, "data")].update(role="cow")), "second disk with role cow"),
            "unknown role": (disks(lambda d: d[-1].update(role="swap")), "role"),
            "writable layer": (disks(lambda d: d[0].update(ro=False)), "layer|read-only"),
            "read-only cow": (disks(lambda d: d[index(d, "cow")].update(ro=True)), "cow|read-only"),
            "foreign path": (disks(lambda d: d[index(d, "cow")].update(path="../../etc/passwd")), "passwd"),
            "other data disk": (disks(lambda d: d[-1].update(serial="other", path="data-other.raw")), "data-other.raw"),
            "disk twice": (disks(lambda d: d.append(dict(d[-1]))), "db"),
            "member twice": (of_record(lambda r: r["members"].append(r["members"][-1])), "twice"),
            "member elsewhere": (of_record(lambda r: r["members"][-1].update(name="../x")), "plain file name"),
            "member not listed": (of_record(lambda r: r.update(members=[m for m in r["members"] if m["name"] != "cow.raw"])),
                                  "cow.raw is not among"),
            "other hypervisor": (of_record(lambda r: r["vm"].update(hypervisor="xen")), "hypervisor|xen"),
            "more NICs": (of_record(lambda r: r["vm"].update(network_configs=[
                {"tap": "tap0", "mac": "02:00:00:00:00:01", "backend": "cni", "netns_path": "/run/netns/x"}])), "(?i)nic|netns|namespace"),
            "no device plan": (of_record(lambda r: r["vm"].update(device_plan={})), "plan"),
            "no record": (lambda: (self.write_text(snapshot, "{"), lambda: self.write_record(snapshot, record))[1], "JSON"),
        }
        for name, (mutate, says) in mutations.items():
            with self.subTest(name):
                count = self.count("src")
                undo = mutate()
                try:
                    result = self.c.run("vm", "restore", "src", "base", seconds=120)
                    clone = self.c.run("vm", "clone", "--name", "bad", "base", seconds=120)
                finally:
                    undo()
                self.assertNotEqual(result.code, 0, result)
                self.assertRegex(cocoon_e2e.error_lines(result)[0], says)
                self.assertNotEqual(clone.code, 0 if name not in self.only_restore() else -1, clone)
                now = self.c.inspect("src")
                self.assertEqual((now["state"], now["pid"], now["op"]), ("running", vm["pid"], None), name)
                wait_for("the guest to count on", lambda: self.count("src") > count, 30)
                if clone.code == 0:
                    self.c.ok("vm", "rm", "--force", "bad")
                self.assertEqual([v["config"]["name"] for v in self.c.list()], ["src"])
        self.c.ok("vm", "restore", "src", "base", seconds=300)   # it is whole again
        self.assertEqual(self.sh("src", "cat /root-file"), "cow")

    @staticmethod
    def only_restore():
        """What is wrong for this VM, but a snapshot in itself."""
        return ()

    def database(self):
        return sqlite3.connect(self.c.root / "cocoon.db", timeout=10)

    def read_record(self, snapshot):
        with self.database() as db:
            return json.loads(db.execute("SELECT record FROM snapshots WHERE id = ?", (snapshot["id"],)).fetchone()[0])

    def write_text(self, snapshot, text):
        with self.database() as db:
            db.execute("UPDATE snapshots SET record = ? WHERE id = ?", (text, snapshot["id"]))

    def write_record(self, snapshot, record):
        self.write_text(snapshot, json.dumps(record))


class Incremental(SnapshotTest):
    def allocated(self, snapshot):
        memory = next(m["name"] for m in snapshot["members"] if m["kind"] == "memory")
        return (self.snapshot_dir(snapshot) / memory).stat().st_blocks * 512

    def junk(self, vm, name, size):
        """Fills guest memory with what cannot be shared; its checksum."""
        return self.sh(vm, f"head -c {size} /dev/urandom > /run/{name}; md5sum < /run/{name}")

    def test_every_link_of_a_chain(self):
        self.need("incremental")
        self.start()
        self.c.fails(NOT_FOUND, "snapshot", "save", "--incremental", "src", says="no snapshot of it yet")
        boot = self.boot_id("src")
        base = self.save("src", "base")
        first = self.junk("src", "first", 12 << 20)
        self.sh("src", "echo one > /root-file")
        one = self.save("src", "one", "--incremental")
        self.sh("src", "rm /run/first; echo two > /root-file")
        second = self.junk("src", "second", 4 << 20)
        two = self.save("src", "two", "--incremental=one")
        self.assertNotIn("parent", base)
        self.assertEqual((one["parent"], two["parent"]), (base["id"], one["id"]))
        for link in (one, two):
            self.assertLess(self.allocated(link), self.allocated(base) / 2)
        hashes = {s["id"]: self.hashes(s) for s in (base, one, two)}

        # clones of every link, and a link on a clone
        for link, name, shows in (("base", "c0", ["cow"]), ("one", "c1", [first.split()[0], "one"]),
                                  ("two", "c2", [second.split()[0], "two"])):
            self.clone(link, name)
            self.assertEqual(self.boot_id(name), boot)
            self.assertEqual(self.sh(name, "cat /run/first /run/second 2>/dev/null | md5sum | cut -c1-32;"
                                           "cat /root-file").split()[-len(shows):], shows)
        third = self.junk("c2", "third", 1 << 20)
        three = self.save("c2", "three", "--incremental=two")
        self.clone("three", "c3")
        self.assertEqual(self.sh("c3", "md5sum < /run/third; md5sum < /run/second"), f"{third}\n{second}")
        now = self.count("c3")
        wait_for("the clone to count on", lambda: self.count("c3") > now, 60)

        # back and forth along the chain
        for link, shows in (("one", "one"), ("two", "two"), ("base", "cow")):
            self.c.ok("vm", "restore", "src", link, seconds=300)
            self.assertEqual(self.sh("src", "cat /root-file"), shows)
        self.assertEqual({s["id"]: self.hashes(s) for s in (base, one, two)}, hashes)

        # what others build on stays, whole or not
        self.c.fails(CONFLICT, "snapshot", "rm", "base", says='is in "one": remove that first')
        self.c.fails(CONFLICT, "snapshot", "rm", "two", says='is in "three"')
        self.c.fails(UNSUPPORTED, "snapshot", "export", "-o", self.c.base / "x.tar", "two", says="holds only what has changed")
        shown = self.c.ok("snapshot", "verify", "-o", "json", "three", seconds=300).json()
        self.assertEqual(shown["compared"] + shown["noted"], sum(len(s["members"]) for s in (base, one, two, three)))
        memory = next(m["name"] for m in one["members"] if m["kind"] == "memory")
        file = self.snapshot_dir(one) / memory
        size = file.stat().st_size
        os.truncate(file, size - 1)
        self.c.fails(FAILURE, "vm", "clone", "--name", "no", "two", says=f"{memory} has {size - 1} bytes instead of {size}")
        self.assertNotIn("no", [vm["config"]["name"] for vm in self.c.list()])
        self.c.ok("snapshot", "rm", "base", "three", "one", "two", seconds=120)
        self.assertEqual(self.snapshot_dirs(), [])
        now = self.count("c3")
        wait_for("the clone to go on without its chain", lambda: self.count("c3") > now, 60)

    def test_what_cannot_be_built_on(self):
        self.need("incremental")
        self.start()
        self.save("src", "base")
        self.c.run_vm("--name", "big", "--memory", "768M", "--wait", "busybox", "--", "/bin/sleep", "1000", seconds=180)
        self.c.fails(USAGE, "snapshot", "save", "--incremental=base", "big", says="the VM's 805306368")
        self.c.fails(NOT_FOUND, "snapshot", "save", "--incremental=nosuch", "big", says="snapshot not found")
        self.c.ok("vm", "hibernate", "big", seconds=300)
        asleep = self.c.inspect("big")["hibernation_snapshot"]
        self.c.fails(USAGE, "snapshot", "save", f"--incremental={asleep}", "src", says="when the VM that sleeps in it wakes")
        self.assertEqual(len(self.snapshot_dirs()), 2)


class Hibernate(SnapshotTest):
    def test_sleep_and_wake(self):
        self.start()
        boot = self.boot_id("src")
        count = self.count("src")
        self.c.ok("vm", "hibernate", "src", seconds=300)
        asleep = self.c.inspect("src")
        self.assertEqual((asleep["state"], asleep["hibernated"], asleep["pid"]), ("stopped", True, 0))
        snapshot = asleep["hibernation_snapshot"]
        self.c.fails(CONFLICT, "snapshot", "rm", snapshot, says="hibernated in it")
        self.c.ok("vm", "hibernate", "src")   # already
        for change in (("disk", "attach", "src", "size=16M"), ("disk", "resize", "src", "root", "12G"),
                       ("net", "src", "--nics", "0")):
            self.c.fails(CONFLICT, "vm", *change, says="hibernated")
        self.c.ok("gc")
        awake = self.c.ok("vm", "start", "-o", "json", "src", seconds=300)
        self.assertEqual(self.c.state("src"), "running", awake)
        self.assertGreaterEqual(self.count("src"), count)
        self.assertEqual(self.boot_id("src"), boot)
        self.assertNotIn("hibernated", self.c.inspect("src"))
        self.assertEqual(self.c.ok("snapshot", "list", "-o", "json").json(), [])
        self.assertEqual(self.sh("src", "cat /root-file /mnt/db/file"), "cow\ndata")
        # removed while it sleeps: nothing is left of the snapshot
        self.c.ok("vm", "hibernate", "src", seconds=300)
        self.c.ok("vm", "rm", "src")
        self.assertEqual(self.snapshot_dirs(), [])

    def test_several_one_by_one(self):
        self.start("one")
        self.start("two")
        counts = {name: self.count(name) for name in ("one", "two")}
        result = self.c.run("vm", "hibernate", "one", "two", seconds=600)
        self.assertEqual((result.code, len(result.out.split())), (0, 2), result.err)
        asleep = [self.c.inspect(name) for name in ("one", "two")]
        self.assertEqual([(vm["state"], vm["hibernated"]) for vm in asleep], [("stopped", True)] * 2)
        self.c.ok("vm", "start", "one", "two", seconds=600)
        for name, count in counts.items():
            self.assertGreaterEqual(self.count(name), count)


class Killed(SnapshotTest):
    """The command dies by kill -9 in the middle; the fault suite does it at every side effect."""

    def test_a_save_that_is_killed_leaves_the_guest_running(self):
        self.start()
        for _ in range(12 if FULL else 4):
            count = self.count("src")
            process = self.c.start("snapshot", "save", "--name", "dead", "src")
            time.sleep(0.05 + 0.06 * _)
            process.kill()
            process.communicate()
            wait_for("the guest to count on", lambda: self.count("src") > count, 60)
            self.assertEqual(self.c.state("src"), "running")
            self.c.ok("gc")
            left = self.c.ok("snapshot", "list", "-o", "json").json()
            if left:   # it was quick enough
                self.c.ok("snapshot", "rm", "dead")
            self.assertEqual(self.snapshot_dirs(), [])
            self.assertEqual([p.name for p in self.c.vm_dir(self.c.inspect("src")["id"]).glob("save-*")], [])


class Mixture(SnapshotTest):
    def test_everything_at_once(self):
        """Workers mix save, clone, restore, stop, start and rm on three VMs: busy is an answer,
        damage is not."""
        seconds = 240 if FULL else 25
        for i in range(3):
            self.start(f"vm{i}")
        self.save("vm0", "base")
        end = time.monotonic() + seconds
        problems = []
        number = iter(range(10 ** 6))
        lock = threading.Lock()

        def expect(*args, codes=(0, 3, 4)):
            result = self.c.run(*args, seconds=300)
            if result.code not in codes:
                problems.append(str(result))
            return result.code == 0

        def worker(seed):
            step = seed
            while time.monotonic() < end and not problems:
                vm = f"vm{step % 3}"
                with lock:
                    name = f"x{next(number)}"
                what = (step * 7 + seed) % 6
                if what == 0:
                    if expect("snapshot", "save", "--name", name, vm):
                        expect("snapshot", "rm", name)
                elif what == 1:
                    if expect("vm", "clone", "--name", name, "base"):
                        if self.sh(name, "cat /root-file /mnt/db/file") != "cow\ndata":
                            problems.append(f"clone {name} is damaged")
                        expect("vm", "rm", "--force", name)
                elif what == 2:
                    expect("vm", "restore", vm, "base") if vm == "vm0" else None
                elif what == 3:
                    expect("vm", "stop", "--force", vm)
                else:
                    expect("vm", "start", vm)
                step += 1

        threads = [threading.Thread(target=worker, args=(i,)) for i in range(8 if FULL else 4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(problems, [])
        for i in range(3):
            self.c.ok("vm", "start", f"vm{i}", seconds=120)
            wait_for("the guest to work", lambda i=i: self.count(f"vm{i}") > 0, 120)
            self.assertEqual(self.sh(f"vm{i}", "cat /root-file /mnt/db/file"), "cow\ndata")


if __name__ == "__main__":
    cocoon_e2e.main()
