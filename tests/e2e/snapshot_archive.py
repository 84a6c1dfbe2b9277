# SPDX-License-Identifier: Apache-2.0
"""Snapshots that travel: out in every form and in again, read by other programs on the way; and what is
damaged or hostile leaves nothing behind."""

import gzip
import hashlib
import io
import json
import os
import shutil
import stat
import subprocess
import tarfile
import time
import unittest
from pathlib import Path

import cocoon_e2e
import snapshot
from cocoon_e2e import CONFLICT, FAILURE, FULL, NOT_FOUND, USAGE, Cocoon, wait_for

PAGE = 4096


def data_pieces(file):
    """Offset and bytes of what is no hole."""
    end = file.seek(0, os.SEEK_END)
    at = 0
    while at < end:
        try:
            at = os.lseek(file.fileno(), at, os.SEEK_DATA)
        except OSError:
            return
        stop = os.lseek(file.fileno(), at, os.SEEK_HOLE)
        while at < stop:
            piece = os.pread(file.fileno(), min(1 << 20, stop - at), at)
            yield at, piece
            at += len(piece)


def pages_sha256(path):
    """The digest of a member as docs/snapshots.md says it."""
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        for offset, piece in data_pieces(file):
            for i in range(0, len(piece), PAGE):   # data begins at a page
                page = piece[i:i + PAGE].ljust(PAGE, b"\0")
                if page.count(0) != PAGE:
                    digest.update((offset + i).to_bytes(8, "little") + page)
        digest.update(os.fstat(file.fileno()).st_size.to_bytes(8, "little"))
    return digest.hexdigest()


class ArchiveTest(snapshot.SnapshotTest):
    def setUp(self):
        self.out = self.c.base / "out"
        self.out.mkdir()
        self.addCleanup(shutil.rmtree, self.out)

    def saved(self, name="team/base:1.4", *flags):
        """A snapshot whose VM is gone; its counter then."""
        self.start("src", *flags)
        made = self.save("src", name, "--description", "as it was")
        count = self.count("src")
        self.c.ok("vm", "rm", "--force", "src")
        return made, count

    def own_members(self, snap):
        return [m for m in snap["members"] if m["kind"] != "shared"]

    def digests(self, snap):
        return {m["name"]: pages_sha256(self.snapshot_dir(snap) / m["name"]) for m in self.own_members(snap)}

    def inspect_snapshot(self, name):
        return self.c.ok("snapshot", "inspect", name).json()

    def assert_no_snapshots(self):
        self.assertEqual(self.c.ok("snapshot", "list", "-o", "json").json(), [])
        self.assertEqual(os.listdir(self.c.root / "snapshots"), [])

    def assert_goes_on(self, name, count):
        """A clone of the snapshot counts on from where it was saved, with its disks as they were."""
        self.clone(name, "clone")
        first = self.count("clone")
        self.assertGreater(first, 0)
        self.assertLess(first, count + 500)
        wait_for("the clone to count on", lambda: self.count("clone") > first, 60)
        self.assertEqual(self.sh("clone", "cat /root-file /mnt/db/file"), "cow\ndata")
        self.c.ok("vm", "rm", "--force", "clone")


class Forms(ArchiveTest):
    def test_out_and_in_again(self):
        made, count = self.saved()
        digests = self.digests(made)
        name = made["name"]
        plain = self.out / "a.tar"
        self.c.ok("snapshot", "export", name, "-o", plain, seconds=300)
        zst = self.out / "b.tar.zst"
        gz = self.out / "c.tar.gz"
        self.c.ok("snapshot", "export", "--force", "-o", zst, name, seconds=300)
        self.c.ok("snapshot", "export", "-o", gz, name, seconds=300)
        self.c.ok("snapshot", "export", "--to-dir", self.out / "d", name, seconds=300)
        with open(self.out / "e", "wb") as file:
            process = self.c.start("snapshot", "export", name, "-o", "-", stdout=file)
            self.assertEqual(process.communicate(timeout=600)[1], b"")
            self.assertEqual(process.returncode, 0)
        self.assertEqual(zst.read_bytes()[:4], b"\x28\xb5\x2f\xfd")
        self.assertEqual(gz.read_bytes()[:2], b"\x1f\x8b")
        self.assertLess(zst.stat().st_size, plain.stat().st_size)
        self.check_plain(plain, made, digests)
        self.check_plain(self.out / "e", made, digests)
        self.check_tools(plain, zst, gz)
        self.assertEqual({f.name: pages_sha256(f) for f in (self.out / "d").iterdir()
                          if not f.name.endswith(".json") or f.name in digests}, digests)
        # an export takes the digests that were missing, and they are right
        noted = {m["name"]: m["pages_sha256"] for m in self.own_members(self.inspect_snapshot(name))}
        self.assertEqual(noted, digests)
        self.c.ok("snapshot", "rm", name)

        for source in (plain, zst, gz, "dir", "stdin"):
            if source == "stdin":
                got = self.c.ok("snapshot", "import", "-o", "json", "--name", "in:1", "--description", "new",
                                stdin=plain.read_bytes(), seconds=300).json()
                self.assertEqual((got["name"], got["description"]), ("in:1", "new"))
            else:
                where = ("--from-dir", self.out / "d") if source == "dir" else (source,)
                got = self.c.ok("snapshot", "import", "-o", "json", *where, seconds=300).json()
                self.assertEqual((got["name"], got["description"]), (name, "as it was"))
            self.assertTrue(got["imported"])
            self.assertNotIn("source_vm", got)
            self.assertNotEqual(got["id"], made["id"])
            self.assertEqual(self.digests(got), digests, source)
            folder = self.snapshot_dir(got)
            self.assertEqual({f.name for f in folder.iterdir()} - {"cocoon.json"},
                             {m["name"] for m in made["members"]})
            for member in made["members"]:
                info = (folder / member["name"]).stat()
                self.assertEqual((info.st_size, info.st_mode & 0o777, info.st_uid), (member["size"], 0o444, 0))
                self.assertEqual(info.st_nlink > 1, member["kind"] == "shared", member)
            # sparse stays sparse
            self.assertLess((folder / "cow.raw").stat().st_blocks * 512, 1 << 30)
            if source != "stdin":
                self.c.ok("snapshot", "rm", got["id"])
        shown = self.c.ok("snapshot", "verify", "-o", "json", "in:1", seconds=300).json()
        self.assertEqual((shown["compared"], shown["noted"]), (len(made["members"]), 0))
        self.assert_goes_on("in:1", count)
        # a second hop, and one whose byte has changed
        self.c.ok("snapshot", "export", "in:1", "-o", self.out / "f.tar", seconds=300)
        self.c.ok("snapshot", "rm", "in:1")
        got = self.c.ok("snapshot", "import", "-o", "json", self.out / "f.tar", seconds=300).json()
        self.assertEqual(self.digests(got), digests)
        state = self.snapshot_dir(got) / next(m["name"] for m in got["members"] if m["kind"] == "state")
        with open(state, "r+b") as file:
            byte = file.read(1)
            file.seek(0)
            file.write(bytes([byte[0] ^ 1]))
        self.c.fails(FAILURE, "snapshot", "verify", got["id"], says=f"member {state.name} has changed", seconds=300)

    def check_plain(self, path, made, digests):
        """The form that the original reads (spec 04 §11)."""
        with tarfile.open(path, "r:") as tar:
            entries = tar.getmembers()
            names = [e.name for e in entries]
            self.assertEqual(names[0], "snapshot.json")
            self.assertEqual(names[1:], sorted(names[1:]))
            self.assertEqual(set(names[1:]), set(digests) | {"cocoon.json"})
            self.assertTrue(all(e.isreg() for e in entries))
            envelope = tar.extractfile("snapshot.json").read().decode()
            document = json.loads(envelope)
            self.assertEqual(envelope, json.dumps(document, indent=2, ensure_ascii=False) + "\n")
            self.assertEqual(document["version"], 1)
            config = document["config"]
            self.assertEqual((config["name"], config["description"], config["cpu"], config["memory"]),
                             (made["name"], "as it was", 1, 512 << 20))
            sidecar = json.load(tar.extractfile("cocoon.json"))
            self.assertEqual({m["name"]: m["pages_sha256"] for m in sidecar["members"] if m["kind"] != "shared"},
                             digests)
            for member in sidecar["members"]:
                if member["kind"] == "shared":
                    found = self.snapshot_dir(made) / member["name"]
                    self.assertEqual(member["sha256"], hashlib.sha256(found.read_bytes()).hexdigest())
            sparse = {e.name: e for e in entries if "COCOON.sparse.map" in e.pax_headers}
            self.assertIn("cow.raw", sparse)
            for name, entry in sparse.items():
                segments = json.loads(entry.pax_headers["COCOON.sparse.map"]) or []
                self.assertEqual(sum(s["l"] for s in segments), entry.size)
                size = next(m["size"] for m in made["members"] if m["name"] == name)
                self.assertEqual(int(entry.pax_headers["COCOON.sparse.size"]), size)
                body = tar.extractfile(entry)
                with open(self.snapshot_dir(made) / name, "rb") as file:
                    for segment in segments:
                        file.seek(segment["o"])
                        self.assertEqual(body.read(segment["l"]), file.read(segment["l"]), name)

    def check_tools(self, *archives):
        lists = []
        for archive in archives:
            listed = subprocess.run(["tar", "-tf", archive], capture_output=True, text=True, check=True)
            lists.append([line for line in listed.stdout.splitlines()])
            # its remarks on records that it does not know are no complaint
            self.assertFalse([line for line in listed.stderr.splitlines() if "COCOON.sparse" not in line])
        self.assertEqual(len({tuple(names) for names in lists}), 1)

    def test_names_and_refusals(self):
        made, _ = self.saved("a/b:1")
        self.c.fails(NOT_FOUND, "snapshot", "export", "nosuch", says="snapshot not found")
        self.c.fails(NOT_FOUND, "snapshot", "verify", "nosuch", says="snapshot not found")
        self.c.fails(USAGE, "snapshot", "export", "--gzip", "--zstd", "a/b:1", says="exclude each other")
        self.c.fails(USAGE, "snapshot", "export", "--to-dir", self.out, "--gzip", "a/b:1", says="--to-dir")
        self.c.fails(5, "snapshot", "export", "--compat", "-o", self.out / "x.tar", "a/b:1", seconds=300,
                     says="only snapshots of Cloud Hypervisor|a guest that boots with a kernel object")
        self.assertEqual(os.listdir(self.out), [])
        # the file that nobody named
        before = os.getcwd()
        os.chdir(self.out)
        try:
            self.assertEqual(self.c.ok("snapshot", "export", "a/b:1", seconds=300).out, "a_b_1.tar.zst\n")
            self.c.fails(CONFLICT, "snapshot", "export", "a/b:1", says="already exists: use --force")
        finally:
            os.chdir(before)
        self.assertEqual(os.listdir(self.out), ["a_b_1.tar.zst"])
        archive = self.out / "a_b_1.tar.zst"
        first = archive.stat().st_ino
        self.c.ok("snapshot", "export", "a/b:1", "--force", "-o", archive, seconds=300)
        self.assertNotEqual(archive.stat().st_ino, first)
        self.assertEqual(archive.stat().st_mode & 0o777, 0o600)
        self.c.fails(CONFLICT, "snapshot", "export", "a/b:1", "--to-dir", self.out, says="already exists")
        self.c.fails(CONFLICT, "snapshot", "export", "a/b:1", "--to-dir", archive, says="no empty directory")
        self.c.fails(FAILURE, "snapshot", "export", "a/b:1", "-o", self.out / ("n" * 256), says="File name too long")
        # --force is for files: never in the place of a device, or of what a link leads to
        fifo, link = self.out / "fifo", self.out / "link"
        os.mkfifo(fifo)
        link.symlink_to(archive)
        for thing in (fifo, link):
            self.c.fails(CONFLICT, "snapshot", "export", "a/b:1", "--force", "-o", thing, says="no regular file")
        self.assertTrue(stat.S_ISFIFO(os.lstat(fifo).st_mode) and link.is_symlink())
        fifo.unlink(), link.unlink()
        self.assertEqual(os.listdir(self.out), ["a_b_1.tar.zst"])
        # the name it had is taken
        self.c.fails(CONFLICT, "snapshot", "import", archive, says="already exists: --name", seconds=300)
        self.c.fails(CONFLICT, "snapshot", "import", "--name", "a/b:1", archive, says="already exists")
        self.c.fails(USAGE, "snapshot", "import", "--name", "../x", archive, says="invalid snapshot name")
        self.c.fails(USAGE, "snapshot", "import", "--from-dir", self.out, archive, says="exclude each other")
        self.c.fails(FAILURE, "snapshot", "import", self.out / "nosuch", says="No such file")
        self.c.fails(USAGE, "snapshot", "import", self.out, says="not a regular file")
        self.c.fails(FAILURE, "snapshot", "import", "--blobs", self.out / "nosuch", archive, says="--blobs: .*No such file")
        self.assertEqual([s["id"] for s in self.c.ok("snapshot", "list", "-o", "json").json()], [made["id"]])
        self.assertEqual(os.listdir(self.c.root / "snapshots"), [made["id"]])


class FromDirectory(ArchiveTest):
    """`vm clone --from-dir`: the checks of an import, and no snapshot afterwards."""

    def exported(self):
        made, count = self.saved()
        folder = self.out / "d"
        self.c.ok("snapshot", "export", "--to-dir", folder, made["id"], seconds=300)
        self.c.ok("snapshot", "rm", made["id"])
        return made, count, folder

    def clone_from(self, folder, name, *flags):
        trust = ("--trust",) if os.environ.get("COCOON_TEST_BACKEND") == "firecracker" else ()
        return self.c.ok("vm", "clone", "--from-dir", folder, "--name", name, *trust, *flags, seconds=600)

    def assert_nothing_left(self):
        self.assert_no_snapshots()
        self.assertEqual(list((self.c.root / "locks" / "snapshot").glob("*")), [])

    def test_clones_without_a_snapshot(self):
        made, count, folder = self.exported()
        before = {f.name: snapshot.sha256(f) for f in folder.iterdir()}
        self.clone_from(folder, "one")
        self.assert_nothing_left()
        first = self.count("one")
        self.assertGreater(first, 0)
        self.assertLess(first, count + 500)
        self.assertEqual(self.sh("one", "cat /root-file /mnt/db/file; hostname"), "cow\ndata\none")
        more = ("--data-disk", "size=16M,name=late") if cocoon_e2e.backends.has("hotplug") else ()
        made_ids = self.clone_from(folder, "many", "-n", "2", *more).out.split()
        self.assertEqual(len(made_ids), 2)
        self.assertEqual({self.sh(f"many-{i}", "hostname") for i in (1, 2)}, {"many-1", "many-2"})
        if more:
            self.assertIn("/mnt/late", self.sh("many-1", "cat /proc/mounts"))
        self.assertEqual({f.name: snapshot.sha256(f) for f in folder.iterdir()}, before)
        # they need nothing of it any more
        shutil.rmtree(folder)
        self.c.ok("gc")
        for name in ("one", "many-1", "many-2"):
            now = self.count(name)
            wait_for(f"{name} to count on", lambda: self.count(name) > now, 60)
        self.save("one", "again")
        self.assert_goes_on("again", count + 5000)
        self.c.ok("snapshot", "rm", "again")
        self.assert_nothing_left()

    def test_the_checks_of_an_import(self):
        made, _, folder = self.exported()
        memory = next(m["name"] for m in made["members"] if m["kind"] == "memory")

        def with_byte(name):
            with open(folder / name, "r+b") as file:
                at, piece = next(data_pieces(file))
                os.pwrite(file.fileno(), bytes([piece[0] ^ 1]), at)
            return lambda: with_byte(name)

        def shorter(name):
            size = (folder / name).stat().st_size
            os.truncate(folder / name, size - PAGE)
            return lambda: os.truncate(folder / name, size)   # its end is a hole, mostly: see below

        def moved(name, then):
            (folder / name).rename(self.out / name)
            then(folder / name)

            def undo():
                if (folder / name).is_symlink():
                    (folder / name).unlink()
                (self.out / name).rename(folder / name)
            return undo

        def surplus():
            (folder / "more.raw").write_bytes(b"x")
            return lambda: (folder / "more.raw").unlink()

        cases = {
            "damaged disk": (lambda: with_byte("cow.raw"), "cow.raw is damaged"),
            "damaged memory": (lambda: with_byte(memory), f"{memory} is damaged"),
            "short disk": (lambda: shorter("data-db.raw"), "data-db.raw has .* bytes instead of"),
            "no disk": (lambda: moved("data-db.raw", lambda path: None), "data-db.raw is missing"),
            "a link": (lambda: moved("cow.raw", lambda path: path.symlink_to("/etc/passwd")), "cow.raw is missing"),
            "one too many": (surplus, "more.raw is not among the members"),
            "no record": (lambda: moved("cocoon.json", lambda path: None), "it is no snapshot"),
        }
        for what, (spoil, says) in cases.items():
            with self.subTest(what):
                undo = spoil()
                self.c.fails(FAILURE, "vm", "clone", "--name", "no", "--from-dir", folder, seconds=300, says=says)
                undo()
                self.assertEqual(self.c.list(), [])
                self.assert_nothing_left()
        for says, *flags in (("exclude each other", "--from-dir", folder, "base"), ("wanted a SNAPSHOT",),
                             ("belong to --from-dir", "--trust", "base"),
                             ("no such|No such", "--from-dir", self.out / "nosuch")):
            self.c.fails(USAGE if "uch" not in says else FAILURE, "vm", "clone", *flags, says=says)

    def test_whoever_comes_after_a_kill_finds_nothing(self):
        _, _, folder = self.exported()
        begin = time.monotonic()
        self.clone_from(folder, "whole")
        whole = time.monotonic() - begin
        self.c.ok("vm", "rm", "--force", "whole")
        rounds = 10 if FULL else 4
        for i in range(rounds):
            process = self.c.start("vm", "clone", "--from-dir", folder, "--name", "dead")
            time.sleep(whole * (i + 0.5) / rounds)
            process.kill()
            process.communicate()
            self.c.ok("gc")
            self.c.remove_vms()   # it was quick enough
            self.assert_no_snapshots()
            self.assertEqual(self.c.list(), [])


class Elsewhere(ArchiveTest):
    """Onto a host that has nothing of it: another store."""

    def setUp(self):
        super().setUp()
        self.other = Cocoon(self.c.base / "other")
        self.addCleanup(self.check_other)

    def check_other(self):
        self.other.remove_vms()
        ids = [s["id"] for s in self.other.ok("snapshot", "list", "-o", "json").json()]
        if ids:
            self.other.ok("snapshot", "rm", *ids)
        self.other.empty()
        self.other.census.assert_empty()
        shutil.rmtree(self.other.base)

    def test_the_image_comes_along(self):
        self.other.base.mkdir()
        made, count = self.saved()
        bare, whole = self.out / "bare.tar", self.out / "whole.tar.zst"
        self.c.ok("snapshot", "export", made["id"], "-o", bare, seconds=300)
        self.c.ok("snapshot", "export", made["id"], "--with-image", "-o", whole, seconds=300)
        self.c.ok("snapshot", "rm", made["id"])
        self.other.fails(NOT_FOUND, "snapshot", "import", bare, seconds=300,
                         says='blob .* is not here: import image "busybox" first')
        self.assertEqual(os.listdir(self.other.root / "snapshots"), [])

        got = self.other.ok("snapshot", "import", "-o", "json", whole, seconds=300).json()
        here, self.c = self.c, self.other
        try:
            self.assertEqual({f.name for f in self.snapshot_dir(got).iterdir()} - {"cocoon.json"},
                             {m["name"] for m in made["members"]})
            self.c.ok("gc")
            self.assert_goes_on(got["name"], count)
            # it boots anew, too: the kernel object is whole
            self.clone(got["name"], "again")
            self.c.ok("vm", "stop", "--force", "again")
            self.c.ok("vm", "start", "again", seconds=180)
            wait_for("the clone to boot", lambda: self.count("again") > 2, 120)
            self.c.ok("vm", "rm", "--force", "again")
            # what is there already is shared
            blobs = sorted(os.listdir(self.c.root / "blobs"))
            self.c.ok("snapshot", "import", "--name", "twice", whole, seconds=300)
            self.assertEqual(sorted(os.listdir(self.c.root / "blobs")), blobs)
            # and goes with the last snapshot
            self.c.ok("snapshot", "rm", "twice", got["id"])
            self.c.ok("gc")
            self.assertEqual(os.listdir(self.c.root / "blobs"), [])
            self.assertEqual(os.listdir(self.c.root / "kernels"), [])
        finally:
            self.c = here
        # layers that the user has somewhere
        self.other.import_kernel()
        got = self.other.ok("snapshot", "import", "-o", "json", "--blobs", self.c.root / "blobs", bare,
                            seconds=300).json()
        layers = [m for m in got["members"] if m["name"].startswith("layer")]
        self.assertTrue(layers)

    def test_no_room(self):
        mount = self.c.base / "small"
        mount.mkdir()
        self.other.base.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", mount], capture_output=True)
        if done.returncode != 0:
            raise unittest.SkipTest("no tmpfs mounts here")
        self.addCleanup(lambda: (subprocess.run(["umount", mount], check=True), mount.rmdir()))
        made, _ = self.saved()
        for packing in ("x.tar", "x.tar.zst", "x.tar.gz"):
            self.c.fails(FAILURE, "snapshot", "export", made["id"], "-o", mount / packing, seconds=300,
                         says="No space left on device")
            self.assertEqual(os.listdir(mount), [])
        archive = self.out / "a.tar"
        self.c.ok("snapshot", "export", made["id"], "-o", archive, seconds=300)
        small = Cocoon(mount)
        small.fails(FAILURE, "snapshot", "import", archive, seconds=300, says="No space left on device")
        self.assertEqual(os.listdir(mount / "root" / "snapshots"), [])
        self.assertEqual(small.ok("snapshot", "list", "-o", "json").json(), [])
        small.census.assert_empty()


def entries_of(path):
    """[name, bytes, pax records] of each entry."""
    with tarfile.open(path, "r:") as tar:
        return [[e.name, tar.extractfile(e).read(), dict(e.pax_headers)] for e in tar.getmembers()]


def make_tar(entries, extra=()):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, data, pax in entries:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            info.pax_headers = {k: v for k, v in pax.items() if k.startswith("COCOON")}
            tar.addfile(info, io.BytesIO(data))
        for info in extra:
            tar.addfile(info)
    return buffer.getvalue()


class Hostile(ArchiveTest):
    def test_nothing_is_left_of_a_bad_archive(self):
        made, _ = self.saved()
        archive = self.out / "a.tar"
        self.c.ok("snapshot", "export", made["id"], "-o", archive, seconds=300)
        self.c.ok("snapshot", "rm", made["id"])
        good = entries_of(archive)
        index = {entry[0]: i for i, entry in enumerate(good)}
        state, memory = (next(m["name"] for m in made["members"] if m["kind"] == kind)
                         for kind in ("state", "memory"))

        # What is refused before its digest is looked at needs no memory, and state is looked at first.
        light = [[name, b"", {**pax, "COCOON.sparse.map": "null"}] if name == memory else [name, data, pax]
                 for name, data, pax in good]

        def changed(name, change):
            entries = [[name, data, dict(pax)] for name, data, pax in light]
            change(entries[index[name]])
            return make_tar(entries)

        def sidecar(change):
            def edit(entry):
                document = json.loads(entry[1])
                change(document)
                entry[1] = json.dumps(document).encode()
            return changed("cocoon.json", edit)

        def set_bytes(data):
            return lambda entry: entry.__setitem__(1, data)

        def set_map(value):
            return lambda entry: entry[2].__setitem__("COCOON.sparse.map", value)

        def member(document, name):
            return next(m for m in document["members"] if m["name"] == name)

        def disk(document, role):
            return next(d for d in document["vm"]["storage_configs"] if d["role"] == role)

        def kind_of(name, type_, target=""):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = type_, target
            return info

        def without(name, *extra):
            return make_tar([e for e in light if e[0] != name], extra)

        plain = archive.read_bytes()
        packed = gzip.compress(make_tar(light), 1)
        bad_crc = bytearray(packed)
        bad_crc[-8] ^= 1
        cases = {
            "nothing": (b"", "truncated"),
            "one byte": (b"x", "truncated"),
            "no tar": (b"garbage " * 4096, "no tar archive"),
            "cut off": (plain[:-1024], "truncated"),
            "memory left out": (make_tar(light), f"{memory} is damaged"),
            "cut off in a member": (plain[:len(plain) // 2], "truncated"),
            "more behind": (plain + b"x", "behind the end"),
            "gzip cut off": (packed[:-100], "truncated"),
            "gzip with a wrong sum": (bytes(bad_crc), "damaged"),
            "gzip with more behind": (packed + b"x", "behind the gzip stream"),
            "xz": (b"\xfd7zXZ\0" + bytes(100), "xz"),
            "no envelope": (without("snapshot.json"), "no snapshot.json"),
            "no sidecar": (without("cocoon.json"), "no cocoon.json"),
            "no disk": (make_tar([e for e in good if e[0] != "cow.raw"]), "cow.raw is missing"),
            "no state": (without(state), f"{state} is missing"),
            "one more": (make_tar(good + [["evil.raw", b"x", {}]]), "evil.raw is not among the members"),
            "outside": (make_tar(good + [["../../evil.raw", b"x", {}]]), "evil.raw is not among the members"),
            "twice": (make_tar(light + [[state, b"x", {}]]), "there twice"),
            "twice, below a directory": (make_tar(light + [["x/" + state, b"x", {}]]), "there twice"),
            "hidden": (make_tar(light + [[".x", b"x", {}]]), "no name"),
            "a link instead": (without(state, kind_of(state, tarfile.SYMTYPE, "/etc/passwd")), f"{state} is missing"),
            "a hard link instead": (without(state, kind_of(state, tarfile.LNKTYPE, "/etc/passwd")),
                                    f"{state} is missing"),
            "a device instead": (without(state, kind_of(state, tarfile.BLKTYPE)), f"{state} is missing"),
            "other version": (changed("snapshot.json", set_bytes(b'{"config":{},"version":2}')), "archive version 2"),
            "envelope no JSON": (changed("snapshot.json", set_bytes(b"{")), "no JSON"),
            "sidecar no JSON": (changed("cocoon.json", set_bytes(b"[]")), "no JSON"),
            "sidecar of another program": (changed("cocoon.json", set_bytes(b'{"volumes":[]}')),
                                           "storage_configs is no list|only those of Cloud Hypervisor"),
            "map overlaps": (changed("cow.raw", set_map('[{"o":0,"l":4096},{"o":0,"l":4096}]')), "out of order"),
            "map lies": (changed("cow.raw", set_map('[{"o":0,"l":4096}]')), "speaks of"),
            "map no JSON": (changed("cow.raw", set_map("x")), "no JSON"),
            "state shorter": (changed(state, lambda e: set_bytes(e[1][:-1])(e)), f"{state} has"),
            "state changed": (changed(state, lambda e: set_bytes(bytes([e[1][0] ^ 1]) + e[1][1:])(e)), f"{state} is damaged"),
            "other format": (sidecar(lambda d: d.update(format=9)), "format 9"),
            "foreign path": (sidecar(lambda d: disk(d, "cow").update(path="../../etc/passwd")), "passwd"),
            "member elsewhere": (sidecar(lambda d: member(d, state).update(name="../x")), "plain file name"),
            "member twice": (sidecar(lambda d: d["members"].append(d["members"][0])), "twice"),
            "member not listed": (sidecar(lambda d: d.update(members=[m for m in d["members"] if m["name"] != "cow.raw"])),
                                  "cow.raw is not among"),
            "wrong role": (sidecar(lambda d: disk(d, "data").update(role="layer", ro=True)), "data-db.raw|fstype|mount"),
            "read-only root": (sidecar(lambda d: disk(d, "cow").update(ro=True)), "cow|writable"),
            "own disk said to be shared": (sidecar(lambda d: member(d, "cow.raw").update(kind="shared", sha256="0" * 64)),
                                           "cow.raw"),
            "unknown blob": (sidecar(lambda d: (disk(d, "layer").update(blob="nosuch"),
                                                d["shared"]["layer0.erofs"].update(id="nosuch"))), "is not here"),
            "blob of another name": (sidecar(lambda d: d["shared"]["layer0.erofs"].update(id="../x")), "does not say"),
            "other bytes of the layer": (sidecar(lambda d: member(d, "layer0.erofs").update(sha256="0" * 64)), "other bytes"),
            "layer not described": (sidecar(lambda d: d["shared"].pop("layer0.erofs")), "does not say"),
            "other kernel": (sidecar(lambda d: (d["vm"]["boot_config"].update(kernel_id="0" * 64),
                                                d["shared"]["kernel"].update(id="0" * 64))), "kernel object .* is not here"),
            "kernel elsewhere": (sidecar(lambda d: d["shared"]["kernel"].update(file="../../cocoon.db")), "does not say"),
            "an initrd of the host": (sidecar(lambda d: d["vm"]["boot_config"].update(initrd="../../../../etc/passwd")),
                                      "it is called initrd"),
            "an argument for the VMM": (sidecar(lambda d: d["vm"]["boot_config"].update(cmdline="x\0arg=-S")),
                                        "control characters"),
            "a layer in the shim's place": (sidecar(lambda d: (
                disk(d, "layer").update(path="shim.lock"), member(d, "layer0.erofs").update(name="shim.lock"),
                d["shared"].update({"shim.lock": d["shared"]["layer0.erofs"]}))), '"shim.lock" is not what'),
            "a disk that nobody asked for": (sidecar(lambda d: d["members"].append(
                {"name": "shim.lock", "kind": "disk", "size": 1})), "shim.lock belongs to nothing"),
            "a state that nobody saves": (sidecar(lambda d: d["members"].append(
                {"name": "other", "kind": "state", "size": 1})), "other is nothing that"),
            "no memory": (sidecar(lambda d: d.update(members=[m for m in d["members"] if m["name"] != memory])),
                          f"{memory} is not among"),
            "a kernel of no object": (sidecar(lambda d: d["shared"]["kernel"].update(
                home="blob", id=d["shared"]["layer0.erofs"]["id"], kind="boot")), "does not say"),
            "another hypervisor": (sidecar(lambda d: d["vm"].update(hypervisor="moon")), "unknown hypervisor"),
            "a name that is none": (sidecar(lambda d: d.update(name="../x")), "invalid snapshot name"),
        }
        for name, (data, says) in cases.items():
            with self.subTest(name):
                result = self.c.run("snapshot", "import", stdin=data, seconds=300)
                self.assertNotIn(result.code, (0, USAGE), result)   # nobody called it wrongly
                self.assertRegex(cocoon_e2e.error_lines(result)[0], says)
                self.assert_no_snapshots()
                self.assertEqual(list((self.c.root / "locks" / "snapshot").glob("*")), [])
        # the same, unharmed
        self.c.ok("snapshot", "import", stdin=make_tar(good), seconds=300)


class Killed(ArchiveTest):
    def test_whoever_comes_next_finds_nothing(self):
        made, _ = self.saved()
        archive = self.out / "a.tar.zst"
        for i in range(3):
            process = self.c.start("snapshot", "export", made["id"], "--with-image", "-o", archive)
            time.sleep(0.05 + 0.15 * i)
            process.kill()
            process.communicate()
            self.assertIn(os.listdir(self.out), ([], [archive.name]))   # whole or not at all
            archive.unlink(missing_ok=True)
        process = self.c.start("snapshot", "export", made["id"], "--to-dir", self.out / "d")
        wait_for("the copy to begin", lambda: os.listdir(self.out), 60, 0.001)
        process.kill()
        process.communicate()
        self.assertRegex(" ".join(os.listdir(self.out)), r"^\.cocoon-export-[A-Z2-7]{26}$")
        self.assertIn(str(self.out), self.c.ok("gc", "--dry-run").out)
        self.assertIn(str(self.out), self.c.ok("gc").out)
        self.assertEqual(os.listdir(self.out), [])
        self.c.ok("snapshot", "export", made["id"], "--with-image", "-o", archive, seconds=300)
        self.c.ok("snapshot", "rm", made["id"])
        begin = time.monotonic()
        self.c.ok("snapshot", "import", "--name", "whole", archive, seconds=300)
        whole = time.monotonic() - begin
        self.c.ok("snapshot", "rm", "whole")
        rounds = 12 if FULL else 4
        for i in range(rounds):
            process = self.c.start("snapshot", "import", "--name", "dead", archive)
            time.sleep(whole * (i + 0.5) / rounds)
            process.kill()
            process.communicate()
            if i % 2 == 0:   # the name is free again at once, for whoever wants it
                done = self.c.run("snapshot", "import", "--name", "dead", archive, seconds=300)
                self.assertIn(done.code, (0, CONFLICT), done)   # CONFLICT: the first was quick enough
                self.c.ok("snapshot", "rm", "dead")
            self.c.ok("gc")
            for left in self.c.ok("snapshot", "list", "-o", "json").json():
                self.c.ok("snapshot", "rm", left["id"])   # quick enough
            self.assert_no_snapshots()


if __name__ == "__main__":
    cocoon_e2e.main()
