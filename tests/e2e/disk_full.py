# SPDX-License-Identifier: Apache-2.0
"""A file system that is full in the middle of the work: one Error: line, and everything is as before."""

import os
import subprocess

import census
import cocoon_e2e
from cocoon_e2e import FAILURE, SMALL, Cocoon, StoreTest


class SmallDisk(cocoon_e2e.unittest.TestCase):
    """The store lies on a small file system of its own, filled up to a few free KiB."""

    @classmethod
    def make_disk(cls, suite, size, block):
        cls.base = cocoon_e2e.make_base(suite)
        cls.addClassCleanup(census.destroy, cls.base)
        image, cls.mount = cls.base / "small.img", cls.base / "small"
        cls.mount.mkdir()
        with open(image, "wb") as file:
            file.truncate(size)
        subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", "-b", str(block), str(image)], check=True)
        mounted = subprocess.run(["mount", "-o", "loop", str(image), str(cls.mount)],
                                 capture_output=True, text=True)
        if mounted.returncode != 0:
            raise cocoon_e2e.unittest.SkipTest(f"no loop mounts here: {mounted.stderr.strip()}")
        cls.c = Cocoon(cls.mount)

    def free(self):
        info = os.statvfs(self.mount)
        return info.f_bavail * info.f_frsize

    def fill(self, leave):
        """Fills the file system up to `leave` free bytes."""
        filler = self.mount / "filler"
        filler.unlink(missing_ok=True)
        os.sync()
        with open(filler, "wb") as file:
            if leave:
                os.posix_fallocate(file.fileno(), 0, self.free() - leave)
            else:
                try:   # the file's own blocks of metadata count as well
                    while os.write(file.fileno(), bytes(1 << 20)):
                        pass
                except OSError:
                    pass


class SmallBlocks(SmallDisk):
    """Blocks of 1 KiB, which mkfs.ext4 chooses for every small disk: memory that SQLite would share
    there is not wholly allocated, and whoever writes to it dies of SIGBUS."""

    @classmethod
    def setUpClass(cls):
        cls.make_disk("small_blocks", 64 << 20, 1024)
        cls.c.import_image("busybox")

    def check(self, *command):
        for leave in [0, *range(4 << 10, 64 << 10, 4 << 10)]:
            with self.subTest(leave=leave):
                self.fill(leave)
                result = self.c.run(*command)
                (self.mount / "filler").unlink()
                if result.code:
                    self.assertEqual(result.code, FAILURE, result)
                    self.assertEqual(len(cocoon_e2e.error_lines(result)), 1, result)

    def test_readers(self):
        self.check("vm", "list")

    def test_writers(self):
        self.check("image", "import", "again", cocoon_e2e.IMAGES / "busybox.tar")
        self.c.ok("image", "list")
        self.c.ok("gc")

    def test_a_store_with_a_write_ahead_log(self):
        """One that an earlier version has made, or that was copied here."""
        store = self.mount / "root" / "cocoon.db"
        subprocess.run(["python3", "-c", "import sqlite3, sys; "
                        "sqlite3.connect(sys.argv[1]).execute('PRAGMA journal_mode = WAL')", str(store)],
                       check=True)
        self.c.ok("image", "list")
        self.check("vm", "list")


class DiskFull(SmallDisk):
    @classmethod
    def setUpClass(cls):
        # A kernel and what is unpacked of it take 70 MiB, and there are two.
        cls.make_disk("disk_full", 256 << 20, 4096)
        cls.c.import_kernel()
        cls.c.import_image("busybox")
        cls.rows = cls.c.census.rows()
        cls.addClassCleanup(cls.check_end)

    @classmethod
    def check_end(cls):
        (cls.mount / "filler").unlink(missing_ok=True)
        cls.c.empty()
        cls.c.census.assert_empty()

    assert_clean = StoreTest.assert_clean
    _callTestMethod = StoreTest._callTestMethod

    def check(self, command, sizes, undo):
        before = self.free()
        failed = 0
        for leave in sizes:
            with self.subTest(leave=leave):
                self.fill(leave)
                result = self.c.run(*command, seconds=300)
                (self.mount / "filler").unlink()
                if result.code == 0:
                    self.c.ok(*undo)
                    self.c.ok("gc")
                else:
                    failed += 1
                    self.assertEqual(result.code, FAILURE, result)
                    lines = cocoon_e2e.error_lines(result)
                    self.assertEqual(len(lines), 1, result)
                    self.assertRegex(lines[0], r"(?i)no space left|full|free")
                self.assert_clean()
                os.sync()
                self.assertGreater(self.free(), before - (1 << 20), "space is lost")
        self.assertGreater(failed, 0, "there was always room enough")

    def test_create(self):
        self.check(("vm", "create", *SMALL, "--name", "full", "busybox"),
                   (8 << 10, 64 << 10, 256 << 10, 1 << 20), ("vm", "rm", "full"))

    def test_image_import(self):
        self.check(("image", "import", "app", cocoon_e2e.IMAGES / "app-docker.tar"),
                   (8 << 10, 128 << 10, 1 << 20, 2 << 20, 4 << 20), ("image", "rm", "app"))

    def test_kernel_import(self):
        folder = cocoon_e2e.ASSETS / "kernel-small"
        version = (folder / ".complete").read_text().strip()
        other = self.mount.parent / "vmlinuz-other"
        # Other bytes than the imported kernel's, or there is nothing to write.
        other.write_bytes((folder / "boot" / f"vmlinuz-{version}").read_bytes() + bytes(512))
        self.check(("kernel", "import", "other", "--kernel", other, "--modules",
                    folder / "lib" / "modules" / version),
                   (64 << 10, 4 << 20, 14 << 20, 40 << 20), ("kernel", "rm", "other"))

    def test_start(self):
        self.c.create_vm("--name", "started", "busybox", "--", "/bin/true")
        self.fill(0)
        result = self.c.run("vm", "start", "started")
        (self.mount / "filler").unlink()
        if result.code:
            self.assertEqual(len(cocoon_e2e.error_lines(result)), 1, result)
            self.assertEqual([str(p) for p in census.processes_of(self.mount)], [])
            self.c.ok("vm", "start", "started")
        self.c.wait_state("started", "stopped")
        self.c.ok("vm", "rm", "started")
        self.assert_clean()


if __name__ == "__main__":
    cocoon_e2e.main()
