# SPDX-License-Identifier: Apache-2.0
"""What only Firecracker has: a root directory of its own, and saved state that names files and nobody but
it can read. The lab runs this where it has one."""

import itertools
import json
import os
import string
import struct
import unittest
from pathlib import Path

import backends
import cocoon_e2e
import snapshot_archive
from cocoon_e2e import FAILURE, UNSUPPORTED, wait_for

DEVICES = ("/dev/kvm", "/dev/net/tun", "/dev/urandom")


def crc64(data):
    """Of the end of Firecracker's state: polynomial 0xad93d23594c935a9, reflected, nothing inverted."""
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x95ac9329ac4bc9b5 if value & 1 else 0)
        table.append(value)
    crc = 0
    for byte in data:
        crc = table[(crc ^ byte) & 0xff] ^ crc >> 8
    return crc


def with_name(state, old, new):
    """The state with another file name of the same length, as Firecracker would accept it."""
    body, end = state[:-8], struct.unpack("<Q", state[-8:])[0]
    assert len(old) == len(new) and body.count(old) == 1 and crc64(body) == end
    body = body.replace(old, new)
    return body + struct.pack("<Q", crc64(body))


def names_below(folder):
    """Everything in it, relative; links are not followed."""
    return {os.path.relpath(os.path.join(at, name), folder)
            for at, folders, files in os.walk(f"{folder}/") for name in (*folders, *files)}


def with_parents(path):
    parts = Path(path).parts[1:]
    return {os.path.join(*parts[:i + 1]) for i in range(len(parts))}


def mount_points(pid):
    return [line.split()[4] for line in Path(f"/proc/{pid}/mountinfo").read_text().splitlines()]


@unittest.skipUnless(backends.NAME == "firecracker", "COCOON_TEST_BACKEND is not firecracker")
class OwnRoot(snapshot_archive.ArchiveTest):
    def exported(self):
        """A directory with a snapshot that is as good as from elsewhere, and what its guest had counted."""
        made, count = self.saved("base")
        folder = self.out / "d"
        self.c.ok("snapshot", "export", "--to-dir", folder, made["id"], seconds=300)
        self.c.ok("snapshot", "rm", made["id"])
        return folder, count

    def file_with_short_name(self):
        """A new file, with as many bytes in its name as the root disk has."""
        for letters in itertools.product(string.ascii_lowercase, repeat=2):
            path = Path("/tmp/" + "".join(letters))
            try:
                path.touch(exist_ok=False)
            except FileExistsError:
                continue
            self.addCleanup(path.unlink)
            return path
        raise AssertionError("/tmp is full of short names")

    def assert_sees_only_its_own(self, vm):
        pid, folder = vm["pid"], self.c.vm_dir(vm["id"])
        root = Path(f"/proc/{pid}/root")
        program = os.readlink(f"/proc/{pid}/exe")
        self.assertNotEqual(*(os.readlink(f"/proc/{p}/ns/mnt") for p in (pid, "self")))
        shown = [program, "/proc/self/fd/2", *(device for device in DEVICES if os.path.exists(device))]
        expected = set().union(*map(with_parents, (folder, *shown)))
        expected |= {os.path.relpath(folder / name, "/") for name in names_below(folder)}
        self.assertEqual(names_below(root), expected)
        self.assertEqual(sorted(mount_points(pid)), sorted(("/", str(folder), *shown)))
        self.assertEqual(os.readlink(f"/proc/{pid}/cwd"), str(folder))
        log = self.c.log / backends.DIRECTORY / vm["id"] / "vmm.log"
        self.assertTrue(os.path.samefile(root / "proc/self/fd/2", log))
        self.assertFalse([at for at in mount_points("self") if at.startswith(str(folder))])

    def test_of_a_start_and_of_a_load(self):
        before = mount_points("self")
        self.assert_sees_only_its_own(self.start("src"))
        self.save("src", "base")
        self.assert_sees_only_its_own(self.clone("base", "clone"))
        self.c.ok("vm", "rm", "--force", "src", "clone")
        self.assertEqual(mount_points("self"), before)

    def test_state_from_elsewhere_goes_on_when_it_is_trusted(self):
        folder, count = self.exported()
        doubted = self.c.ok("snapshot", "import", "--name", "doubted", "--from-dir", folder, seconds=300)
        self.assertIn("will not be loaded", doubted.err)
        self.c.fails(UNSUPPORTED, "vm", "clone", "--name", "no", "doubted", says="import it with --trust")
        self.c.ok("snapshot", "import", "--name", "trusted", "--trust", "--from-dir", folder, seconds=300)
        self.assert_sees_only_its_own(self.clone("trusted", "one"))
        first = self.count("one")
        self.assertGreater(first, 0)
        self.assertLess(first, count + 500)
        wait_for("the clone to count on", lambda: self.count("one") > first, 60)
        # what its own snapshots name is still what the imported state named
        self.save("one", "again")
        self.assert_sees_only_its_own(self.clone("again", "two"))
        self.assertEqual(self.sh("two", "cat /root-file /mnt/db/file"), "cow\ndata")

    def test_a_name_in_trusted_state_leads_nowhere(self):
        folder, _ = self.exported()
        # A root disk of another VM, say: there, and readable and writable by all.
        host_file = self.file_with_short_name()
        os.truncate(host_file, (folder / "cow.raw").stat().st_size)
        host_file.chmod(0o666)
        before = host_file.stat()
        state = folder / "vmstate"
        state.write_bytes(with_name(state.read_bytes(), b"cow.raw", str(host_file).encode()))
        record = json.loads((folder / "cocoon.json").read_text())
        for member in record["members"]:
            if member["name"] == "vmstate":
                member["pages_sha256"] = snapshot_archive.pages_sha256(state)
        (folder / "cocoon.json").write_text(json.dumps(record))
        self.c.ok("snapshot", "import", "--name", "hostile", "--trust", "--from-dir", folder, seconds=300)
        self.c.fails(FAILURE, "vm", "clone", "--name", "no", "hostile", seconds=300,
                     says=f"No such file or directory.*{host_file}|{host_file}.*No such file or directory")
        after = host_file.stat()
        self.assertEqual((after.st_atime_ns, after.st_mtime_ns), (before.st_atime_ns, before.st_mtime_ns))
        self.assertEqual(self.c.list(), [])


if __name__ == "__main__":
    cocoon_e2e.main()
