# SPDX-License-Identifier: Apache-2.0
"""Data disks: what the guest sees of them, that they keep their data, and that they go with the VM."""

import os
import re
import shutil
import subprocess

import backends
import cocoon_e2e
from cocoon_e2e import SMALL, USAGE, StoreTest

# Prints what a guest can know of its disks, then does what the first argument says.
SHOW = r"""
for d in /sys/block/vd*; do
  echo "disk sectors=$(cat $d/size) serial=$(cat $d/serial 2>/dev/null)"
done
grep -E ' /(mnt|srv)' /proc/mounts | while read -r dev dir type rest; do echo "mounted $dir $type"; done
"""


# How each backend refuses thirty data disks.
TOO_MANY = {
    "qemu": "33 disks, but a QEMU guest has places for 26",
    "cloud-hypervisor": "33 disks, but a Cloud Hypervisor guest of this kind has places for 26",
    "firecracker": r"\d+ disks, but a Firecracker guest has places for \d+",
}


class DataDisks(StoreTest):
    def run_to_end(self, name):
        """Starts the VM, waits for its end; returns the record and what this boot printed."""
        before = len(self.c.console_text(self.c.inspect(name)["id"]))
        self.c.ok("vm", "start", name)
        record = self.c.wait_state(name, "stopped")
        return record, self.c.console_text(record["id"])[before:]

    def shown(self, console):
        """([(serial, bytes) of each disk in its order], [mounts])"""
        lines = console.replace("\r", "").splitlines()
        disks = [re.fullmatch(r"disk sectors=(\d+) serial=(.*)", line).groups()
                 for line in lines if line.startswith("disk ")]
        return ([(serial, int(sectors) * 512) for sectors, serial in disks],
                sorted(line[8:] for line in lines if line.startswith("mounted ")))

    def create(self, name, script, *flags):
        self.c.create_vm("--name", name, *flags, "busybox", "--", "/bin/sh", "-c", SHOW + script)
        return self.c.inspect(name)

    def test_sizes_serials_mounts_and_data(self):
        vm = self.create(
            "three", "if [ -e /srv/db/kept ]; then cat /srv/db/kept; exit 3; fi; "
            "echo from-the-first-boot >/srv/db/kept; sync; exit 0",
            "--data-disk", "size=1G,name=db,mount=/srv/db", "--data-disk", "size=200M,mount=",
            "--data-disk", "size=64M,name=raw,fstype=none")
        roles = [(d["role"], d.get("serial"), d["ro"]) for d in vm["storage_configs"]]
        self.assertEqual(roles[-4:], [("cow", "cocoon-cow", False), ("data", "db", False),
                                      ("data", "data1", False), ("data", "raw", False)])
        folder = self.c.vm_dir(vm["id"])
        for name, size in (("db", 1 << 30), ("data1", 200 << 20), ("raw", 64 << 20)):
            info = os.stat(folder / f"data-{name}.raw")
            self.assertEqual((info.st_size, info.st_uid, info.st_mode & 0o7777),
                             (size, vm["uid"], 0o600), name)
            self.assertLess(info.st_blocks * 512, 40 << 20, f"{name} should be sparse")
        record, console = self.run_to_end("three")
        self.assertEqual(record["exit_code"], 0, console)
        disks, mounts = self.shown(console)
        sizes = [1 << 30, 200 << 20, 64 << 20]
        self.assertEqual([size for _, size in disks[-3:]], sizes)
        if backends.has("disk_serials"):
            self.assertEqual([serial for serial, _ in disks[-3:]], ["db", "data1", "raw"])
        self.assertEqual(mounts, ["/srv/db ext4"])
        record, console = self.run_to_end("three")
        self.assertEqual(record["exit_code"], 3, console)
        self.assertIn("from-the-first-boot", console)
        self.c.ok("vm", "rm", "three")
        self.assertFalse(folder.exists())

    def test_file_systems(self):
        flags, wanted = ["--data-disk", "size=1G"], ["/mnt/data1 ext4"]
        for fstype in ("xfs", "btrfs"):
            spec = f"size=400M,name={fstype},fstype={fstype}"
            if shutil.which(f"mkfs.{fstype}"):
                flags += ["--data-disk", spec]
                wanted.append(f"/mnt/{fstype} {fstype}")
            else:
                package = {"xfs": "xfsprogs", "btrfs": "btrfs-progs"}[fstype]
                self.c.fails(cocoon_e2e.UNSUPPORTED, "vm", "create", *SMALL, "--data-disk", spec,
                             "busybox", says=package)
                self.assert_clean()
        self.create("systems", "exit 0", *flags)
        record, console = self.run_to_end("systems")
        self.assertEqual(record["exit_code"], 0, console)
        self.assertEqual(self.shown(console)[1], sorted(wanted))

    def test_damaged_disk_does_not_stop_the_boot(self):
        vm = self.create("damaged", "touch /srv/good/works && exit 5", "--data-disk",
                         "size=64M,name=bad,mount=/srv/bad", "--data-disk",
                         "size=64M,name=good,mount=/srv/good")
        with open(self.c.vm_dir(vm["id"]) / "data-bad.raw", "r+b") as file:
            file.write(os.urandom(1 << 20))
        record, console = self.run_to_end("damaged")
        self.assertEqual(record["exit_code"], 5, console)
        self.assertEqual(self.shown(console)[1], ["/srv/good ext4"])
        self.assertRegex(console, r"data disk bad at /srv/bad: ")

    def test_refusals_leave_nothing(self):
        for spec, says in (("size=8M", "below the minimum of 16MiB"), ("name=x", "size=SIZE is required"),
                           ("size=1G,name=cocoon-x", "name=cocoon-x"), ("size=1G,color=red", "color"),
                           ("size=1G,fstype=none,mount=/x", "mount=/x"),
                           ("size=1G,mount=/a/../b", r"mount=/a/\.\./b"),
                           ("size=1G,directio=maybe", "directio=maybe")):
            with self.subTest(spec=spec):
                self.c.fails(USAGE, "vm", "create", *SMALL, "--data-disk", spec, "busybox", says=says)
                self.assert_clean()
        twice = ("--data-disk", "size=1G,name=a") * 2
        self.c.fails(USAGE, "vm", "create", *SMALL, *twice, "busybox", says="name=a: two data disks")
        many = ("--data-disk", "size=16M,fstype=none") * 30
        self.c.fails(cocoon_e2e.UNSUPPORTED, "vm", "create", *SMALL, *many, "busybox",
                     says=TOO_MANY[backends.NAME])
        self.assert_clean()

    def test_debug_shows_them_and_makes_nothing(self):
        result = self.c.ok("vm", "debug", *SMALL, "--data-disk", "size=1G,name=db,directio=on", "busybox")
        self.assertIn("data-db.raw", result.out)
        if backends.has("disk_serials"):
            self.assertRegex(result.out, r"serial\W{1,4}db\b")
        self.assertIn("vm debug makes none", result.err)
        # Of what follows the three lines of introduction the launch alone, not the calls after it.
        command = result.out.split("\n", 3)[3].split("\n# and once", 1)[0].rstrip().removesuffix("&")
        words = subprocess.run(["bash", "-c", "set -- " + command.replace("\\\n", " ")
                                + '\nprintf "%s\\n" "$1"'], capture_output=True, text=True, check=True)
        self.assertIn(backends.PROGRAMS[backends.NAME][0], words.stdout)
        self.assert_clean()

    def test_direct_io_is_in_the_launch(self):
        self.need("per_disk_direct_io")
        out = self.c.ok("vm", "debug", *SMALL, "--data-disk", "size=1G,name=on,directio=on", "--data-disk",
                        "size=1G,name=off,directio=off", "busybox").out
        # The line of QEMU's disk, or the object of Cloud Hypervisor's: one has its braces nested.
        pattern = '.*"data-{}".*' if backends.NAME == "qemu" else r'\{{[^{{}}]*"data-{}\.raw"[^{{}}]*\}}'
        nodes = {name: re.search(pattern.format(name), out).group() for name in ("on", "off")}
        self.assertRegex(nodes["on"], '"direct": ?true')
        self.assertNotRegex(nodes["off"], '"direct": ?true')


if __name__ == "__main__":
    cocoon_e2e.main()
