# SPDX-License-Identifier: Apache-2.0
"""Counts everything on the host that belongs to one cocoon store: processes, mounts, files, claims,
shared memory, control groups, network devices, rows. The suites compare that with what may be there.
"""

import os
import re
import shutil
import signal
import sqlite3
import stat
import subprocess
import tempfile
import time
from pathlib import Path

UID_CLAIMS = Path("/run/cocoon/uids")
SHARED_MEMORY = Path("/dev/shm")

# What may stay of an empty store. Everything else below root, run and log is a leftover.
KEPT_FILES = re.compile(
    r"root/cocoon\.db(-wal|-shm)?$"
    # facts about the host that hold until the next boot: no VM is named in them
    r"|run/([a-z-]+-version|kvm-probe)$"
)
KEPT_DIRS = re.compile(
    r"(root|run|log)$"
    r"|root/cni(/cache(/results)?)?$"
    r"|root/(blobs|downloads|exports|firmware|kernels|tmp|snapshots|locks)$|root/locks/[a-z]+$"
    r"|run/(exits|qemu|cloudhypervisor|firecracker)$"
    r"|log/(qemu|cloudhypervisor|firecracker)$"
)


class Process:
    def __init__(self, pid, argv, cwd, exe, state, uid):
        self.pid, self.argv, self.cwd, self.exe, self.state, self.uid = pid, argv, cwd, exe, state, uid

    def __str__(self):
        return f"process {self.pid} ({self.state}): {' '.join(self.argv)[:200]} in {self.cwd}"


def _link(path):
    try:
        return os.readlink(path)
    except OSError:
        return ""


def processes():
    """All processes but our own; those that end meanwhile drop out."""
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        try:
            argv = Path(f"/proc/{entry}/cmdline").read_bytes().split(b"\0")[:-1]
            state = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()[0]
            status = Path(f"/proc/{entry}/status").read_text()
            uid = int(re.search(r"^Uid:\s+(\d+)", status, re.M)[1])
        except (OSError, IndexError):
            continue
        found.append(Process(int(entry), [a.decode("utf-8", "replace") for a in argv],
                             _link(f"/proc/{entry}/cwd"), _link(f"/proc/{entry}/exe"), state, uid))
    return found


def _below(path, base):
    base = str(base)
    return path == base or path.startswith(base + "/")


def processes_of(base):
    """Processes that work in, or were told about, a directory."""
    mine = []
    for process in processes():
        if _below(process.cwd, base) or any(str(base) + "/" in arg or arg == str(base)
                                            for arg in process.argv):
            mine.append(process)
    return mine


def mounts_of(base):
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields = line.split()
        where = fields[4].encode().decode("unicode_escape")
        if _below(where, base):
            found.append(where)
    return found


def loops_of(base):
    found = []
    for backing in Path("/sys/block").glob("loop*/loop/backing_file"):
        try:
            if _below(backing.read_text().strip(), base):
                found.append(f"/dev/{backing.parts[3]}")
        except OSError:
            pass
    return found


def _names(folder, pattern="*"):
    try:
        return {str(p) for p in Path(folder).glob(pattern)}
    except OSError:
        return set()


def _network_devices():
    return {f"/sys/class/net/{n}" for n in os.listdir("/sys/class/net")
            if n.startswith(("tap", "bt", "cocoon"))}


def _dead_cgroups(mark):
    """Control groups of a store's VMs without a process in them; those of a live VM are seen by its
    process."""
    found = set()
    for top, _, names in os.walk("/sys/fs/cgroup"):
        parent, name = os.path.split(top)
        if os.path.basename(parent) == "cocoon" and name.startswith(f"{mark}-") and "cgroup.procs" in names:
            try:
                if not Path(top, "cgroup.procs").read_text().strip():
                    found.add(top)
            except OSError:
                pass
    return found


def host_things():
    """What cocoon makes outside of a store's own directories and cannot be told apart by its name."""
    return _names("/run/netns", "cocoon*") | _network_devices()


class Census:
    def __init__(self, base, root, run, log):
        self.base, self.root, self.run, self.log = base, root, run, log
        self.before = host_things()

    # --- facts ---

    def files(self):
        """Relative names of everything below root, run and log, with a type letter."""
        found = []
        for top in (self.root, self.run, self.log):
            if not top.exists():
                continue
            found.append((str(top.relative_to(self.base)), "d"))
            for folder, dirs, names in os.walk(top):
                rel = Path(folder).relative_to(self.base)
                found += [(str(rel / d), "d") for d in dirs]
                found += [(str(rel / n), "f") for n in names]
        return found

    def rows(self):
        """All tables as {name: sorted rows}, read from a copy: looking must not change anything."""
        source = self.root / "cocoon.db"
        if not source.exists():
            return {}
        with tempfile.TemporaryDirectory() as folder:
            for suffix in ("", "-wal"):
                if Path(str(source) + suffix).exists():
                    shutil.copy(str(source) + suffix, os.path.join(folder, "db" + suffix))
            db = sqlite3.connect(os.path.join(folder, "db"))
            try:
                tables = [r[0] for r in db.execute(
                    "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")]
                return {t: sorted(db.execute(f'SELECT * FROM "{t}"').fetchall(), key=repr)
                        for t in tables}
            finally:
                db.close()

    def install_id(self):
        """The store's own mark on what it makes elsewhere; None before the first use."""
        return dict(row[:2] for row in self.rows().get("meta", [])).get("install_id")

    def outside(self):
        """What this store has made outside of its directories. Other stores may be at work on this
        host: uid claims (links to "<install id> <VM>"), control groups and guest memory name theirs."""
        found = host_things() - self.before
        mark = self.install_id()
        if mark:
            found |= {c for c in _names(UID_CLAIMS) if _link(c).startswith(mark + " ")}
            memory = SHARED_MEMORY / f"cocoon-{mark}"
            found |= _names(memory) | _dead_cgroups(mark)
        return sorted(found)

    # --- judgements: lists of complaints ---

    def _vm_leftovers(self):
        bad = [str(p) for p in processes_of(self.base)]
        bad += [f"mount {m}" for top in (self.root, self.run, self.log) for m in mounts_of(top)]
        bad += [f"outside the store: {p}" for p in self.outside()]
        rows = self.rows()
        for table in ("vms", "vm_blobs", "snapshots", "snapshot_blobs"):
            bad += [f"row in {table}: {row}" for row in rows.get(table, [])]
        for name, kind in self.files():
            if name.startswith(("run/", "log/", "root/locks/", "root/tmp/")) and \
                    not (KEPT_DIRS if kind == "d" else KEPT_FILES).match(name):
                bad.append(f"{'directory' if kind == 'd' else 'file'} {name}")
        bad += self._blob_leftovers(rows)
        return bad

    def _blob_leftovers(self, rows):
        """Blob files and rows must match, and no directory of a VM may still hold a link."""
        bad = []
        for table in ("blobs", "kernels"):
            bad += [f"unfinished row in {table}: {row}" for row in rows.get(table, [])
                    if "pending" in row or "deleting" in row]
        recorded = {value for row in rows.get("blobs", []) for value in row if isinstance(value, str)}
        for name, kind in self.files():
            if kind != "f" or not name.startswith("root/blobs/"):
                continue
            if name[len("root/"):] not in recorded:
                bad.append(f"file without a row: {name}")
            links = os.stat(self.base / name).st_nlink
            if links != 1:
                bad.append(f"{name} has {links} links")
        return bad

    def _all_leftovers(self):
        bad = self._vm_leftovers()
        if self.install_id() and (SHARED_MEMORY / f"cocoon-{self.install_id()}").exists():
            bad.append("the store's directory for guest memory")
        for table, rows in self.rows().items():
            if table != "meta":
                bad += [f"row in {table}: {row}" for row in rows]
        for name, kind in self.files():
            if not (KEPT_DIRS if kind == "d" else KEPT_FILES).match(name):
                bad.append(f"{'directory' if kind == 'd' else 'file'} {name}")
        return sorted(set(bad))

    # A process that was killed needs a moment until it is gone.
    def _assert(self, judge, seconds=3.0):
        end = time.monotonic() + seconds
        while True:
            bad = judge()
            if not bad:
                return
            if time.monotonic() >= end:
                raise AssertionError("left behind:\n  " + "\n  ".join(bad))
            time.sleep(0.1)

    def assert_no_vms(self):
        """Nothing of any VM is there; images and kernels may be."""
        self._assert(self._vm_leftovers)

    def assert_empty(self):
        """Nothing is there but the empty store itself."""
        self._assert(self._all_leftovers)

    def everything(self):
        """All facts as lines, for a failure report."""
        lines = [str(p) for p in processes_of(self.base)]
        lines += [f"mount {m}" for m in mounts_of(self.base)]
        lines += [f"outside the store: {p}" for p in self.outside()]
        for name, kind in self.files():
            try:
                info = os.lstat(self.base / name)
                lines.append(f"{stat.filemode(info.st_mode)} {info.st_nlink} {info.st_uid}:"
                             f"{info.st_gid} {info.st_size} {name}")
            except OSError:
                lines.append(f"{kind} {name} (vanished)")
        for table, rows in self.rows().items():
            lines += [f"row in {table}: {row}" for row in rows]
        return lines


def destroy(base):
    """Ends what still runs in a suite's directory and removes it: the last resort after a failure."""
    for _ in range(50):
        left = [p for p in processes_of(base) if p.state != "Z"]
        if not left:
            break
        for process in left:
            try:
                os.kill(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.1)
    for thing in Census(base, base / "root", base / "run", base / "log").outside():
        if thing.startswith((str(UID_CLAIMS), str(SHARED_MEMORY))):
            Path(thing).unlink(missing_ok=True)
    for mount in sorted(mounts_of(base), reverse=True):
        subprocess.run(["umount", mount], check=False)
    for loop in loops_of(base):
        subprocess.run(["losetup", "--detach", loop], check=False)
    shutil.rmtree(base, ignore_errors=True)


def destroy_stale(parent):
    """Removes the directories of suites whose process is gone (names end in -<pid>-<random>)."""
    for folder in Path(parent).iterdir():
        match = re.search(r"-(\d+)-[^-]*$", folder.name)
        if match and not Path(f"/proc/{match.group(1)}").exists():
            destroy(folder)
