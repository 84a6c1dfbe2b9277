# SPDX-License-Identifier: Apache-2.0
"""`vm disk`: what is attached, taken away and grown is what the guest, the record and the next start
see."""

import json
import os
import re
import signal
import sqlite3
import time

import backends
import cocoon_e2e
from cocoon_e2e import CONFLICT, FAILURE, NOT_FOUND, UNSUPPORTED, USAGE, StoreTest, wait_for

MIB = 1 << 20

# Prints the guest's disks and mounts whenever they change: "disks NAME=SECTORS,… mounts DIR,…".
WATCH = r"""
last=
while :; do
  now="disks"
  for d in /sys/block/vd*; do
    [ -e "$d/size" ] && now="$now $(cat $d/serial 2>/dev/null)=$(cat $d/size)"
  done
  now="$now mounts$(grep -oE ' /(mnt|srv)[^ ]*' /proc/mounts | tr -d '\n')"
  [ "$now" = "$last" ] || echo "$now."
  last=$now
  sleep 0.2
done
"""


class DiskTest(StoreTest):
    def disks(self, name):
        """{name: object} of `vm disk list`."""
        return {disk["name"]: disk for disk in self.c.ok("vm", "disk", "list", "-o", "json", name).json()}

    def watch(self, name, *flags):
        """A running VM whose guest tells what disks it has."""
        return self.c.run_vm("--name", name, *flags, "busybox", "--", "/bin/sh", "-c", WATCH)

    def wait_seen(self, vm, pattern, after=0):
        """Waits for a report of the guest that matches, behind `after` bytes of its console."""
        return wait_for(f"the guest to see /{pattern}/", lambda: re.search(
            rf"^disks.*{pattern}", self.c.console_text(vm["id"])[after:].replace("\r", ""), re.M), 60, 0.2)

    def seen_size(self, name, size):
        return rf" {name}={size // 512} " if backends.has("disk_serials") else rf"={size // 512} "

    def record_disks(self, name):
        return [d["serial"] for d in self.c.inspect(name)["storage_configs"] if d["role"] == "data"]


class Cold(DiskTest):
    """A VM that does not run: on every backend."""

    def boot(self, name):
        """Starts the VM, reads what its guest reports first, and ends it."""
        before = len(self.c.console_text(self.c.inspect(name)["id"]))
        self.c.ok("vm", "start", name)
        report = self.wait_seen(self.c.inspect(name), r"mounts.*\.$", before).group(0)
        self.c.ok("vm", "stop", "--force", name)
        return report

    def test_attach_resize_detach(self):
        vm = self.c.create_vm("--name", "cold", "--data-disk", "size=64M,name=first",
                              "busybox", "--", "/bin/sh", "-c", WATCH)
        folder = self.c.vm_dir(vm["id"])
        made = self.c.ok("vm", "disk", "attach", "cold", "size=200M,mount=/srv/more")
        self.assertEqual(made.out, "data1\n")
        self.assertIn("mounts it at /srv/more when it starts", made.err)
        info = os.stat(folder / "data-data1.raw")
        self.assertEqual((info.st_size, info.st_uid, info.st_mode & 0o7777), (200 * MIB, vm["uid"], 0o600))
        other = self.c.ok("vm", "disk", "attach", "-o", "json", "cold", "size=32M,name=raw,fstype=none").json()
        self.assertEqual((other["name"], other["size"], other["attached"], other["role"]),
                         ("raw", 32 * MIB, False, "data"))
        self.assertEqual(self.record_disks("cold"), ["first", "data1", "raw"])
        report = self.boot("cold")
        self.assertRegex(report, self.seen_size("data1", 200 * MIB))
        self.assertRegex(report, self.seen_size("raw", 32 * MIB))
        self.assertRegex(report, r"mounts.* /mnt/first.*")
        self.assertIn(" /srv/more", report)

        self.assertEqual(self.c.ok("vm", "disk", "resize", "cold", "raw", "48M").out, "48MiB\n")
        self.assertEqual(self.disks("cold")["raw"]["size"], 48 * MIB)
        self.c.ok("vm", "disk", "resize", "cold", "root", "11G")
        self.assertEqual(self.c.inspect("cold")["config"]["storage"], 11 << 30)
        self.assertEqual(os.stat(folder / "cow.raw").st_size, 11 << 30)

        self.c.ok("vm", "disk", "detach", "--delete", "cold", "first")
        self.assertFalse((folder / "data-first.raw").exists())
        self.assertEqual(self.record_disks("cold"), ["data1", "raw"])
        report = self.boot("cold")
        self.assertRegex(report, self.seen_size("raw", 48 * MIB))
        self.assertRegex(report, rf"={(11 << 30) // 512} ")
        self.assertNotIn("/mnt/first", report)
        self.assertIn(" /srv/more", report)

    def test_the_guest_grows_ext4(self):
        self.c.create_vm("--name", "grow", "--data-disk", "size=64M,name=db", "busybox", "--",
                         "/bin/sh", "-c", "set -- $(df -k /mnt/db | tail -n 1); echo kilobytes=$2.")
        sizes = []
        for size in (None, "256M"):
            if size:
                self.c.ok("vm", "disk", "resize", "grow", "db", size)
            self.c.ok("vm", "start", "grow")
            record = self.c.wait_state("grow", "stopped")
            console = self.c.console_text(record["id"])
            sizes.append(int(re.findall(r"kilobytes=(\d+)\.", console)[-1]))
        self.assertLess(sizes[0], 64 << 10)
        self.assertGreater(sizes[1], 200 << 10, "the file system should have grown with its disk")

    def test_keep_moves_the_data(self):
        vm = self.c.create_vm("--name", "keep", "--data-disk", "size=16M,name=db,fstype=none",
                              "busybox", "--", "/bin/true")
        source = self.c.vm_dir(vm["id"]) / "data-db.raw"
        with open(source, "r+b") as file:
            file.write(b"precious")
        target = self.c.base / "kept.raw"
        self.addCleanup(target.unlink, missing_ok=True)
        self.c.ok("vm", "disk", "detach", "--keep", target, "keep", "db")
        self.assertFalse(source.exists())
        self.assertEqual(self.record_disks("keep"), [])
        info = target.stat()
        self.assertEqual((info.st_uid, info.st_mode & 0o7777, info.st_nlink, info.st_size),
                         (0, 0o600, 1, 16 * MIB))
        self.assertEqual(target.read_bytes()[:8], b"precious")

    def test_keep_needs_it_closed(self):
        """Who holds the file open for writing could go on changing it: nothing happens then."""
        vm = self.c.create_vm("--name", "held", "--data-disk", "size=16M,name=db,fstype=none", "busybox",
                              "--", "/bin/true")
        source, target = self.c.vm_dir(vm["id"]) / "data-db.raw", self.c.base / "kept.raw"
        with open(source, "r+b"):
            self.c.fails(FAILURE, "vm", "disk", "detach", "--keep", target, "held", "db", says="holds .* open")
        self.assertFalse(target.exists())
        self.assertEqual((source.stat().st_uid, source.stat().st_nlink), (vm["uid"], 1))
        self.assertEqual(self.record_disks("held"), ["db"])

    def test_list(self):
        self.c.create_vm("--name", "list", "--data-disk", "size=64M,name=db,mount=/srv/db",
                         "busybox", "--", "/bin/true")
        lines = self.c.ok("vm", "disk", "list", "list").out.splitlines()
        self.assertEqual(lines[0].split(), ["NAME", "SIZE", "USED", "FSTYPE", "MOUNT", "ROLE", "ATTACHED"])
        row = next(line for line in lines if line.startswith("db "))
        self.assertRegex(row, r"^db +64MiB +\S+ +ext4 +/srv/db +data +next start$")
        self.assertRegex(self.c.ok("vm", "disk", "ls", "list").out, r"(?m)^cocoon-cow +10GiB .* cow ")

    def test_refusals_change_nothing(self):
        vm = self.c.create_vm("--name", "refuse", "--data-disk", "size=64M,name=db",
                              "busybox", "--", "/bin/true")
        before = json.dumps(self.c.inspect("refuse"), sort_keys=True)
        files = sorted(p.name for p in self.c.vm_dir(vm["id"]).iterdir())
        kept = self.c.base / "there"
        kept.write_text("mine")
        self.addCleanup(kept.unlink)
        for code, args, says in (
                (NOT_FOUND, ("attach", "nobody", "size=1G"), "vm not found: nobody"),
                (USAGE, ("attach", "refuse", "name=x"), "size=SIZE is required"),
                (USAGE, ("attach", "refuse", "size=1M"), "below the minimum"),
                (CONFLICT, ("attach", "refuse", "size=1G,name=db"), 'data disk "db" already exists'),
                (CONFLICT, ("attach", "refuse", "size=1G,mount=/mnt/db"), "is mounted there"),
                (USAGE, ("detach", "refuse", "db"), "--delete, or --keep FILE"),
                (USAGE, ("detach", "--delete", "--keep", "x", "refuse", "db"), "--delete, or --keep FILE"),
                (NOT_FOUND, ("detach", "--delete", "refuse", "other"), "disk not found: other"),
                (USAGE, ("detach", "--delete", "refuse", "root"), "the root disk"),
                (USAGE, ("detach", "--delete", "refuse", "cocoon-layer0"), "role layer"),
                (CONFLICT, ("detach", "--keep", kept, "refuse", "db"), "already exists"),
                (UNSUPPORTED, ("detach", "--keep", "/proc/x", "refuse", "db"), "not on the file system"),
                (USAGE, ("resize", "refuse", "db", "32M"), "disks only grow"),
                (USAGE, ("resize", "refuse", "db", "much"), "much"),
                (NOT_FOUND, ("resize", "refuse", "other", "1G"), "disk not found: other"),
                (NOT_FOUND, ("list", "nobody"), "vm not found: nobody")):
            with self.subTest(args=args):
                self.c.fails(code, "vm", "disk", *args, says=says)
                self.assertEqual(json.dumps(self.c.inspect("refuse"), sort_keys=True), before)
        self.assertEqual(sorted(p.name for p in self.c.vm_dir(vm["id"]).iterdir()), files)
        self.assertEqual(kept.read_text(), "mine")
        self.c.fails(USAGE, "vm", "disk", "lsit", "refuse")

    def test_a_full_machine_refuses_one_more(self):
        self.c.create_vm("--name", "full", "busybox", "--", "/bin/true")
        able = self.c.inspect("full")["capabilities"]["max_disks"]
        count = len(self.c.inspect("full")["storage_configs"])
        for _ in range(able - count):
            self.c.ok("vm", "disk", "attach", "full", "size=16M,fstype=none")
        self.c.fails(UNSUPPORTED, "vm", "disk", "attach", "full", "size=16M,fstype=none",
                     says=rf"{able + 1} disks, but")
        self.assertEqual(len(self.record_disks("full")), able - count)


class Hot(DiskTest):
    """A VM that runs."""

    def test_attach_grow_detach(self):
        self.need("hotplug")
        vm = self.watch("hot", "--data-disk", "size=64M,name=first")
        self.wait_seen(vm, self.seen_size("first", 64 * MIB))
        made = self.c.ok("vm", "disk", "attach", "hot", "size=128M,name=db")
        self.assertEqual(made.out, "db\n")
        self.assertIn("The guest has mounted it at /mnt/db.", made.err)
        self.wait_seen(vm, self.seen_size("db", 128 * MIB))
        self.assertTrue(self.disks("hot")["db"]["attached"])
        self.assertEqual(self.record_disks("hot"), ["first", "db"])

        self.c.ok("vm", "disk", "resize", "hot", "db", "192M")
        self.wait_seen(vm, self.seen_size("db", 192 * MIB))
        self.assertEqual(self.disks("hot")["db"]["size"], 192 * MIB)
        self.c.ok("vm", "disk", "resize", "hot", "root", "12G")
        self.wait_seen(vm, rf"={(12 << 30) // 512} ")
        self.assertEqual(self.c.inspect("hot")["config"]["storage"], 12 << 30)

        # The next start has the same devices, and mounts what is new.
        self.c.ok("vm", "stop", "--force", "hot")
        before = len(self.c.console_text(vm["id"]))
        self.c.ok("vm", "start", "hot")
        self.wait_seen(vm, rf"{self.seen_size('db', 192 * MIB)}.*mounts.*/mnt/db", before)

        # Disks go while the guest runs, the one from the start as well (its mount is left to die).
        for name in ("db", "first"):
            before = len(self.c.console_text(vm["id"]))
            self.c.ok("vm", "disk", "detach", "--delete", "hot", name)
            self.assertFalse((self.c.vm_dir(vm["id"]) / f"data-{name}.raw").exists())
            self.wait_seen(vm, rf"(?!.* {name}=)", before)
        self.assertEqual(self.record_disks("hot"), [])
        self.assertEqual(self.c.state("hot"), "running")
        # Places are free again.
        before = len(self.c.console_text(vm["id"]))
        self.c.ok("vm", "disk", "attach", "hot", "size=16M,name=again,fstype=none")
        self.wait_seen(vm, self.seen_size("again", 16 * MIB), before)

    def test_the_guest_mounts_and_unmounts(self):
        self.need("hotplug")
        vm = self.watch("hot")
        self.c.ok("vm", "wait", "hot", seconds=120)
        self.c.ok("vm", "disk", "attach", "hot", "size=32M,name=db,mount=/srv/data")
        self.wait_seen(vm, "mounts /srv/data")

        def guest(script, **how):
            return self.c.run("vm", "exec", "hot", "--", "/bin/sh", "-c", script, **how)
        self.assertEqual(guest("echo precious >/srv/data/file").code, 0)
        # While somebody works there the guest keeps it, and nothing has changed.
        busy = self.c.start("vm", "exec", "hot", "--", "/bin/sh", "-c", "cd /srv/data; echo in; exec sleep 1000")
        self.assertEqual(busy.stdout.readline(), b"in\n")
        kept = self.c.base / "kept.raw"
        self.addCleanup(kept.unlink, missing_ok=True)
        self.c.fails(FAILURE, "vm", "disk", "detach", "--keep", kept, "hot", "db", says="srv/data: .*(busy|Busy)")
        self.assertFalse(kept.exists())
        self.assertTrue(self.disks("hot")["db"]["attached"])
        self.assertEqual(guest("cat /srv/data/file").out, "precious\n")
        busy.send_signal(signal.SIGTERM)
        busy.communicate(timeout=60)
        wait_for("the guest to be done", lambda: guest("fuser -m /srv/data >/dev/null 2>&1").code != 0, 30, 0.5)
        # Nothing that the guest wrote is lost.
        self.c.ok("vm", "disk", "detach", "--keep", kept, "hot", "db")
        self.assertIn(b"precious", kept.read_bytes())
        self.assertEqual(guest("grep -c /srv/data /proc/mounts").out, "0\n")

    def test_keep_of_a_running_vm(self):
        self.need("hotplug")
        vm = self.watch("keep", "--data-disk", "size=16M,name=db,fstype=none")
        self.wait_seen(vm, self.seen_size("db", 16 * MIB))
        target = self.c.base / "kept.raw"
        self.addCleanup(target.unlink, missing_ok=True)
        self.c.ok("vm", "disk", "detach", "--keep", target, "keep", "db")
        info = target.stat()
        self.assertEqual((info.st_uid, info.st_nlink, info.st_size), (0, 1, 16 * MIB))
        self.assertEqual(self.c.state("keep"), "running")

    def test_refused_without_the_capability(self):
        if backends.has("hotplug"):
            self.skipTest(f"{backends.NAME} has the capability hotplug")
        vm = self.c.run_vm("--name", "cold-only", "--data-disk", "size=16M,name=db,fstype=none",
                           "busybox", "--", "/bin/sleep", "1000")
        for args in (("attach", "cold-only", "size=16M"), ("detach", "--delete", "cold-only", "db"),
                     ("resize", "cold-only", "db", "32M")):
            self.c.fails(UNSUPPORTED, "vm", "disk", *args, says=r"running VM \(capability hotplug\)")
        self.assertTrue(self.disks("cold-only")["db"]["attached"])
        self.assertEqual(self.record_disks("cold-only"), ["db"])
        self.assertIsNone(self.c.inspect(vm["id"])["op"])

    def test_interrupted_detach(self):
        """Either it came through or nothing happened; never half of it."""
        self.need("hotplug")
        vm = self.c.run_vm("--name", "cut", "--data-disk", "size=16M,name=db,fstype=none",
                           "busybox", "--", "/bin/sleep", "1000")
        process = self.c.start("vm", "disk", "detach", "--delete", "cut", "db")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60 * cocoon_e2e.SLOW)
        record = self.c.inspect(vm["id"])
        self.assertIsNone(record["op"])
        there = (self.c.vm_dir(vm["id"]) / "data-db.raw").exists()
        self.assertEqual(self.record_disks("cut"), ["db"] if there else [])
        self.assertEqual("db" in self.disks("cut"), there)


class DeadCommands(DiskTest):
    """What a command leaves that was killed half-way, written down as it would have been; the next
    command settles it. faults.py kills real ones, in builds that can do so at each step."""

    def record(self, name, change):
        """Changes the stored record; returns it as it was."""
        with sqlite3.connect(self.c.root / "cocoon.db") as db:
            text = db.execute("select record from vms where name = ?", (name,)).fetchone()[0]
            record = json.loads(text)
            change(record)
            db.execute("update vms set record = ? where name = ?", (json.dumps(record), name))
        db.close()
        return json.loads(text)

    def die(self, name, verb, phase, record=None):
        """A dead command's op on this record, or on the VM's own."""
        def change(now):
            now.update(record or {})
            now["op"] = {"verb": verb, "pid": 1, "start_time": 1, "phase": phase}
        self.record(name, change)

    def settled(self, name):
        """Names of the data disks, once a reader has settled the VM."""
        # A helper of the dead command (mkfs) may hold the lock a moment longer.
        wait_for("the op to be settled", lambda: all(vm["op"] is None for vm in self.c.list()), 10)
        record = self.c.inspect(name)
        folder = self.c.vm_dir(record["id"])
        files = sorted(p.name for p in folder.glob("data-*"))
        names = [d["serial"] for d in record["storage_configs"] if d["role"] == "data"]
        self.assertEqual(files, sorted(f"data-{n}.raw" for n in names), "files and record must agree")
        return names

    def create(self, name):
        vm = self.c.create_vm("--name", name, "--data-disk", "size=16M,name=db,fstype=none",
                              "busybox", "--", "/bin/true")
        return self.c.vm_dir(vm["id"])

    def test_attach(self):
        self.create("made")
        self.c.ok("vm", "disk", "attach", "made", "size=16M,name=new")
        self.die("made", "disk attach", "plug data-new.raw")
        self.assertEqual(self.settled("made"), ["db", "new"], "a complete disk stays")
        self.die("made", "disk attach", "make data-new.raw")
        self.assertEqual(self.settled("made"), ["db"], "a half-made one goes")
        self.c.ok("vm", "start", "made")
        self.c.wait_state("made", "stopped")

    def test_detach(self):
        folder = self.create("made")
        self.die("made", "disk detach", "data-db.raw")
        self.assertEqual(self.settled("made"), ["db"])
        self.c.ok("vm", "disk", "detach", "--delete", "made", "db")
        (folder / "data-db.raw").write_bytes(b"left")
        self.die("made", "disk detach", "data-db.raw")
        self.assertEqual(self.settled("made"), [])

    def test_detach_that_keeps(self):
        folder = self.create("made")
        kept = self.c.base / "kept.raw"
        self.addCleanup(kept.unlink, missing_ok=True)
        os.link(folder / "data-db.raw", kept)
        self.die("made", "disk detach", f"data-db.raw -> {kept}")
        self.assertEqual(self.settled("made"), ["db"])
        self.assertFalse(kept.exists(), "the VM has the disk, and alone")
        # Taken over from the VMM, and no further.
        os.chown(folder / "data-db.raw", 0, 0)
        self.die("made", "disk detach", f"data-db.raw -> {kept}")
        self.assertEqual(self.settled("made"), ["db"])
        self.assertEqual((folder / "data-db.raw").stat().st_uid, self.c.inspect("made")["uid"])
        self.c.ok("vm", "disk", "detach", "--keep", kept, "made", "db")
        # The kept file has a new owner, who does with it what they want, before the row is settled.
        elsewhere = self.c.base / "elsewhere.raw"
        self.addCleanup(elsewhere.unlink, missing_ok=True)
        os.rename(kept, elsewhere)
        self.die("made", "disk detach", f"data-db.raw -> {kept}")
        self.assertEqual(self.settled("made"), [])
        os.link(elsewhere, kept)
        self.die("made", "disk detach", f"data-db.raw -> {kept}")
        self.assertEqual(self.settled("made"), [])
        self.assertEqual(elsewhere.stat().st_nlink, 2)
        elsewhere.unlink()
        os.link(kept, folder / "data-db.raw")
        self.die("made", "disk detach", f"data-db.raw -> {kept}")
        self.assertEqual(self.settled("made"), [])
        self.assertEqual(kept.stat().st_nlink, 1)

    def test_resize(self):
        folder = self.create("made")
        os.truncate(folder / "cow.raw", 11 << 30)
        self.die("made", "disk resize", "cow.raw")
        self.assertEqual(self.settled("made"), ["db"])
        self.assertEqual(self.c.inspect("made")["config"]["storage"], 11 << 30)

    def test_of_a_running_vm(self):
        self.need("hotplug")
        vm = self.watch("made")
        self.wait_seen(vm, "mounts")
        self.c.ok("vm", "disk", "attach", "made", "size=16M,name=db,fstype=none")
        self.wait_seen(vm, self.seen_size("db", 16 * MIB))
        with_disk = self.record("made", lambda record: None)
        places = {key: with_disk[key] for key in ("storage_configs", "device_plan")}
        self.die("made", "disk attach", "plug data-db.raw")
        self.assertEqual(self.settled("made"), ["db"], "the guest has it")
        self.die("made", "disk detach", "data-db.raw")
        self.assertEqual(self.settled("made"), ["db"], "and still has it")
        self.die("made", "disk attach", "make data-db.raw")
        before = len(self.c.console_text(vm["id"]))
        self.assertEqual(self.settled("made"), [])
        self.c.ok("vm", "disk", "attach", "made", "size=16M,name=other,fstype=none")
        self.wait_seen(vm, self.seen_size("other", 16 * MIB), before)
        self.c.ok("vm", "disk", "detach", "--delete", "made", "other")
        # In the record and not in the VMM.
        os.close(os.open(self.c.vm_dir(vm["id"]) / "data-db.raw", os.O_CREAT | os.O_WRONLY, 0o600))
        self.die("made", "disk attach", "plug data-db.raw", places)
        self.assertEqual(self.settled("made"), [])
        self.assertEqual(self.c.state("made"), "running")

    def test_killed_at_any_time(self):
        self.create("made")
        for delay in (0.01, 0.02, 0.03, 0.05, 0.08, 0.12):
            for args in (("attach", "made", "size=16M,name=new"), ("detach", "--delete", "made", "new")):
                process = self.c.start("vm", "disk", *args)
                time.sleep(delay * cocoon_e2e.SLOW)
                process.kill()
                process.communicate()
                self.assertIn(self.settled("made"), (["db"], ["db", "new"]), (delay, args))


if __name__ == "__main__":
    cocoon_e2e.main()
