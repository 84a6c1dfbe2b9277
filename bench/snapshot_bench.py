# SPDX-License-Identifier: Apache-2.0
"""Clones, pauses and archives of snapshots: on a file system with reflinks (XFS in a loop file), with the
guest's memory in a file, so that nothing is copied; and, for what that is worth, with memory on tmpfs and
on the file system of the bench's own directory (ext4, mostly). Clones are measured against
bench/clone_driver.cpp, pauses against the same calls to the VMM by hand, archives against zstd."""

import base64
import json
import os
import re
import secrets
import shutil
import socket
import statistics
import subprocess
import time
from pathlib import Path

IMAGE_BYTES = 48 << 30   # of the loop file, sparse
RESIDENT = 64
KIB_PER_RESIDENT = 160 << 10   # of RAM, generously
KIB_TO_SPARE = 4 << 20
# Writes a quarter of a megabyte twice a second, whatever the size of its memory.
WRITER = "while true; do head -c 262144 /dev/zero > /run/scratch; sleep 0.5; done"
SLEEPER = "sleep 100000"


class Reflinks:
    """XFS with reflinks in a loop file, at `b.dir/xfs`."""

    def __init__(self, b):
        self.image, self.mount = b.dir / "xfs.img", b.dir / "xfs"

    def __enter__(self):
        with open(self.image, "wb") as file:
            file.truncate(IMAGE_BYTES)
        subprocess.run(["mkfs.xfs", "-q", "-m", "reflink=1", str(self.image)], check=True)
        self.mount.mkdir()
        subprocess.run(["mount", "-o", "loop", str(self.image), str(self.mount)], check=True)
        return self

    def __exit__(self, *_):
        subprocess.run(["umount", str(self.mount)], check=True)
        self.image.unlink()


def cpu_of(pid):
    """Milliseconds that a process has computed."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e6


def find_process(comm, mark):
    """The process of this name that has `mark` in its command line or among its open files."""
    for entry in Path("/proc").iterdir():
        try:
            if not entry.name.isdigit() or (entry / "comm").read_text() != comm + "\n":
                continue
            if mark.encode() in (entry / "cmdline").read_bytes() or any(
                    mark in os.readlink(fd) for fd in (entry / "fd").iterdir()):
                return int(entry.name)
        except OSError:
            continue
    raise RuntimeError(f"no {comm} of {mark}")


class Guests:
    """A store with a kernel and an image, and what is made in it."""

    def __init__(self, b, store):
        self.b, self.store, self.count = b, store, 0

    def cocoon(self, *args):
        return self.b.cocoon(*args, name=self.store)

    def directory(self, vm):
        return self.b.dir / self.store / "root" / "run" / "qemu" / vm["id"]

    def snapshot_dir(self, name):
        record = json.loads(self.cocoon("snapshot", "inspect", name))
        return self.b.dir / self.store / "root" / "snapshots" / record["id"]

    def run(self, name, script, *flags):
        self.cocoon("vm", "run", "--wait", "--name", name, "--cpu", "1", "--nics", "0", *flags, "busybox",
                    "--", "/bin/sh", "-c", script)
        self.cocoon("vm", "exec", name, "--", "true")

    def save(self, vm, name):
        """Milliseconds of the pause."""
        self.cocoon("snapshot", "save", "--name", name, vm)
        return json.loads(self.cocoon("snapshot", "inspect", name))["pause_us"] / 1000

    def clone(self, snapshot, keep=False):
        """(wall, CPU of all our processes) in milliseconds, the VM's record."""
        self.count += 1
        name = f"clone{self.count}"
        start = time.perf_counter()
        process = subprocess.Popen([str(self.b.bin), *self.b.flags(self.store), "vm", "clone", "--name", name,
                                    snapshot], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        wall = (time.perf_counter() - start) * 1000
        process.stdout.close()
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise RuntimeError(f"vm clone: status {process.returncode}")
        vm = json.loads(self.cocoon("vm", "inspect", name))
        cpu = (usage.ru_utime + usage.ru_stime) * 1000
        cpu += cpu_of(find_process("cocoon-shim", vm["id"])) + cpu_of(find_process("cocoon-mux", vm["id"]))
        if not keep:
            self.cocoon("vm", "rm", "--force", name)
        return wall, cpu, vm

    def close(self):
        for kind in ("vm", "snapshot"):
            made = json.loads(self.b.cocoon(kind, "list", "-o", "json", name=self.store, check=False) or "[]")
            for line in made:
                self.b.cocoon(kind, "rm", *(["--force"] if kind == "vm" else []), line["id"], name=self.store,
                              check=False)
        self.b.cocoon("gc", name=self.store, check=False)


class ByHand:
    """The driver, with the files and the command line of a clone of ours."""

    def __init__(self, guests, snapshot, memory_in_file):
        self.driver = guests.b.build / "bench" / "clone_driver"
        self.base = guests.b.dir / guests.store / "driver"
        self.base.mkdir(exist_ok=True)
        self.memory = "memory" if memory_in_file else "/dev/shm/cocoon-bench-clone"
        _, _, vm = guests.clone(snapshot, keep=True)
        fields = (guests.directory(vm) / "shim.conf").read_bytes().split(b"\0")
        self.argv = [f[8:] for f in fields if f.startswith(b"program=")]
        self.argv += [f[4:] for f in fields if f.startswith(b"arg=")]
        self.saved = self.base / f"saved-{snapshot}"
        self.saved.mkdir()
        for member in guests.snapshot_dir(snapshot).iterdir():
            if member.name != "cocoon.json":
                os.link(member, self.saved / member.name)
        os.link(guests.directory(vm) / "initrd", self.saved / "initrd")
        guests.cocoon("vm", "rm", "--force", vm["id"])

    def identity(self):
        fields = {"session": 1, "type": "identity", "time_ns": time.time_ns(),
                  "entropy": base64.b64encode(os.urandom(512)).decode(), "hostname": "by-hand",
                  "machine_id": secrets.token_hex(16)}
        reset = {"type": "reset", "token": secrets.token_hex(16)}
        lines = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in (reset, fields))
        path = self.base / "identity"
        path.write_text("\n" + lines)
        return path

    def clone(self):
        """(wall, CPU) in milliseconds."""
        folder = self.base / "vm"
        folder.mkdir()
        try:
            done = subprocess.run([self.driver, self.saved, self.memory, self.identity(), *self.argv], cwd=folder,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=120)
            if done.returncode != 0:
                raise RuntimeError(f"clone_driver: {done.stderr}")
            return tuple(int(word) / 1000 for word in done.stdout.split())
        finally:
            shutil.rmtree(folder)
            if self.memory != "memory":
                Path(self.memory).unlink(missing_ok=True)

    def close(self):
        shutil.rmtree(self.saved)


def median(rows, at):
    return statistics.median(row[at] for row in rows)


def bench_clone(b, guests, snapshot, where, memory_in_file, budgets):
    driver = ByHand(guests, snapshot, memory_in_file)
    ours, hand = [], []
    for _ in range(b.runs * 2):
        ours.append(guests.clone(snapshot))
        hand.append(driver.clone())
    driver.close()
    rate, cpu = median(hand, 0) / median(ours, 0), median(ours, 1)
    b.report(f"clones per second over a driver by hand, {where}", rate, "x", ">= 0.95" if budgets else "-",
             rate >= 0.95 if budgets else None,
             f"{median(ours, 0):.0f} ms and {median(hand, 0):.0f} ms each")
    b.report(f"CPU of our processes per clone, {where}", cpu, "ms", "<= 4" if budgets else "-",
             cpu <= 4 if budgets else None, f"the driver: {median(hand, 1):.1f} ms")


def bench_sizes(b, guests):
    """512 MiB, the least that there is, and 4 GiB: clones of them in turn."""
    rows = {"512M": [], "4G": []}
    for size in rows:
        guests.run(f"size-{size}", SLEEPER, "--memory", size, "--memory-backing", "file")
        guests.save(f"size-{size}", f"size-{size}")
        guests.cocoon("vm", "rm", "--force", f"size-{size}")
    for _ in range(b.runs * 2):
        for size, walls in rows.items():
            walls.append(guests.clone(f"size-{size}"))
    ratio = median(rows["4G"], 0) / median(rows["512M"], 0)
    b.report("clone latency, 4 GiB guest over 512 MiB", ratio, "x", "<= 1.2", ratio <= 1.2,
             f"{median(rows['4G'], 0):.0f} ms and {median(rows['512M'], 0):.0f} ms")
    guests.cocoon("snapshot", "rm", *(f"size-{size}" for size in rows))


def private_kib(pid):
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(x) for x in re.findall(r"^Private_\w+:\s+(\d+) kB", text, re.M))


def private_memory(guests, vm):
    """MiB that go when this clone goes: of its VMM, shim and mux, and its memory on tmpfs if it is there."""
    pid = vm["pid"]
    kib = private_kib(pid) + sum(private_kib(find_process(comm, vm["id"])) for comm in ("cocoon-shim", "cocoon-mux"))
    memory = guests.directory(vm) / "memory"
    if memory.is_symlink():   # what the guest has not touched yet is there too
        maps = Path(f"/proc/{pid}/smaps").read_text()
        block = re.search(r"^\S+ rw-s .*" + re.escape(str(memory.resolve())) + r"\n(?:\w+:.*\n)*?Rss:\s+(\d+)", maps, re.M)
        kib += memory.resolve().stat().st_blocks // 2 - (int(block.group(1)) if block else 0)
    return kib / 1024


def bench_private(b, guests, snapshot, where):
    clones = [guests.clone(snapshot, keep=True)[2] for _ in range(3)]
    mib = statistics.median(private_memory(guests, vm) for vm in clones)
    b.report(f"memory private to a clone, {where}", mib, "MiB", "-", None, "3 of them resident")
    guests.cocoon("vm", "rm", "--force", *(vm["id"] for vm in clones))


def free_kib():
    return int(re.search(r"^MemAvailable:\s+(\d+)", Path("/proc/meminfo").read_text(), re.M).group(1))


def bench_resident(b, guests, snapshot):
    """Clones while one other is resident, then while 64 are; in turn with clones by hand, which tell how
    much of the difference is the host's."""
    wanted = min(RESIDENT, max(2, (free_kib() - KIB_TO_SPARE) // KIB_PER_RESIDENT))
    driver = ByHand(guests, snapshot, True)

    def measure():
        rows = [(guests.clone(snapshot), driver.clone()) for _ in range(b.runs * 2)]
        return [row[0] for row in rows], [row[1] for row in rows]
    resident = [guests.clone(snapshot, keep=True)[2]["id"]]
    few, few_by_hand = measure()
    resident += [guests.clone(snapshot, keep=True)[2]["id"] for _ in range(wanted - 1)]
    many, many_by_hand = measure()
    driver.close()
    ratio, by_hand = median(many, 0) / median(few, 0), median(many_by_hand, 0) / median(few_by_hand, 0)
    b.report(f"clone latency, {wanted} resident over 1", ratio, "x", "<= 1.2", ratio <= 1.2,
             f"{median(many, 0):.0f} ms and {median(few, 0):.0f} ms; by hand {by_hand:.2f} x")
    cpu = median(many, 1) / median(few, 1)
    b.report(f"CPU of our processes per clone, {wanted} resident over 1", cpu, "x", "-", None,
             f"{median(many, 1):.1f} ms and {median(few, 1):.1f} ms")
    guests.cocoon("vm", "rm", "--force", *resident)


class Qmp:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        here = os.open(path.parent, os.O_PATH)
        self.socket.connect(f"/proc/self/fd/{here}/{path.name}")
        os.close(here)
        self.rest = b""
        self.line()
        self.call("qmp_capabilities")

    def line(self):
        while b"\n" not in self.rest:
            self.rest += self.socket.recv(1 << 16)
        line, self.rest = self.rest.split(b"\n", 1)
        return json.loads(line)

    def call(self, command, fd=None, **arguments):
        text = json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n"
        if fd is None:
            self.socket.sendall(text)
        else:
            socket.send_fds(self.socket, [text], [fd])
        while True:
            answer = self.line()
            if "return" in answer:
                return answer["return"]
            if "error" in answer:
                raise RuntimeError(f"{command}: {answer['error']}")


def pause_by_hand(vm_dir, scratch):
    """Milliseconds from `stop` to the answer to `cont`, with the VMM's state written between."""
    qmp = Qmp(vm_dir / "sock" / "qmp")
    qmp.call("migrate-set-capabilities",
             capabilities=[{"capability": name, "state": True} for name in ("events", "x-ignore-shared")])
    with open(scratch, "wb") as state:
        start = time.perf_counter()
        qmp.call("stop")
        qmp.call("getfd", fd=state.fileno(), fdname="state")
        qmp.call("migrate", uri="fd:state")
        while qmp.call("query-migrate")["status"] != "completed":
            pass
        while True:
            try:
                qmp.call("cont")
                break
            except RuntimeError:   # not tidied up yet
                pass
        took = (time.perf_counter() - start) * 1000
    qmp.socket.close()
    return took


def bench_pause(b, guests):
    """With memory in a file, on reflinks: our pause over the VMM's own, and small over large guests."""
    saves = {}
    for size in ("512M", "4G"):
        name = f"pause-{size}"
        guests.run(name, WRITER, "--memory", size, "--memory-backing", "file")
        vm = json.loads(guests.cocoon("vm", "inspect", name))
        rows = []
        for number in range(b.runs * 2):
            by_hand = pause_by_hand(guests.directory(vm), b.dir / guests.store / "state")
            rows.append((guests.save(name, f"{name}-{number}"), by_hand))
            guests.cocoon("snapshot", "rm", f"{name}-{number}")
        guests.cocoon("vm", "rm", "--force", name)
        saves[size] = rows
        extra = median(rows, 0) - median(rows, 1)
        b.report(f"pause of a save beyond the VMM's own, {size} guest", extra, "ms", "<= 10", extra <= 10,
                 f"{median(rows, 0):.1f} ms and {median(rows, 1):.1f} ms")
    ratio, by_hand = (median(saves["4G"], at) / median(saves["512M"], at) for at in (0, 1))
    b.report("pause, 4 GiB guest over 512 MiB at one write rate", ratio, "x", "<= 1.2", ratio <= 1.2,
             f"the VMM's own: {by_hand:.2f} x")


def seconds(*argv):
    start = time.perf_counter()
    subprocess.run([str(a) for a in argv], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def zstd_seconds(target, *argv):
    """Of zstd, and until the disk has what it wrote: ours wait for that too."""
    target.unlink(missing_ok=True)
    start = time.perf_counter()
    subprocess.run(["zstd", "-q", *(str(a) for a in argv), "-o", str(target)], check=True)
    with open(target, "rb") as file:
        os.fsync(file.fileno())
    return time.perf_counter() - start


def bench_archive(b, guests, snapshot):
    folder = b.dir / guests.store / "archives"
    folder.mkdir()
    plain, packed, theirs = folder / "a.tar", folder / "a.tar.zst", folder / "b.tar.zst"
    ours = [str(b.bin), *b.flags(guests.store), "snapshot"]
    seconds(*ours, "export", "-o", plain, snapshot)   # its digests are taken here
    rows = []
    for number in range(max(3, b.runs // 2)):
        row = [seconds(*ours, "export", "--force", "-o", packed, snapshot),
               zstd_seconds(theirs, "-T0", "-3", plain),
               seconds(*ours, "import", "--name", f"back{number}", packed),
               zstd_seconds(folder / "c.tar", "-d", theirs)]
        guests.cocoon("snapshot", "rm", f"back{number}")
        rows.append(row)
    for what, mine, other in (("export over zstd -T0 -3", 0, 1), ("import over zstd -d", 2, 3)):
        ratio = median(rows, mine) / median(rows, other)
        b.report(f"snapshot {what} of the same bytes", ratio, "x", "<= 1.2", ratio <= 1.2,
                 f"{plain.stat().st_size / 1e6:.0f} MB: {median(rows, mine):.2f} s and {median(rows, other):.2f} s")
    shutil.rmtree(folder)


def bench_disks(b, guests, where):
    """A data disk with nothing on it and with 512 MiB, both of 100 GiB."""
    rows = {"empty": [], "full": []}
    for kind in rows:
        guests.run(f"disk-{kind}", SLEEPER, "--memory", "512M", "--memory-backing", "file", "--data-disk",
                   "size=100G,name=db,mount=/mnt/db")
        if kind == "full":
            guests.cocoon("vm", "exec", "disk-full", "--", "/bin/sh", "-c",
                          "tr '\\0' x < /dev/zero | dd bs=1M count=512 iflag=fullblock of=/mnt/db/file && sync")
        guests.cocoon("vm", "exec", f"disk-{kind}", "--", "/bin/sh", "-c", "echo 3 > /proc/sys/vm/drop_caches")
        guests.save(f"disk-{kind}", f"disk-{kind}")
        guests.cocoon("vm", "rm", "--force", f"disk-{kind}")
    for _ in range(b.runs):
        for kind, walls in rows.items():
            walls.append(guests.clone(f"disk-{kind}"))
    ratio = median(rows["full"], 0) / median(rows["empty"], 0)
    b.report(f"clone latency, 512 MiB on a disk over none, {where}", ratio, "x", "-", None,
             f"{median(rows['full'], 0):.0f} ms and {median(rows['empty'], 0):.0f} ms")
    guests.cocoon("snapshot", "rm", *(f"disk-{kind}" for kind in rows))


def make_base(guests, name, *flags):
    guests.run(name, SLEEPER, "--memory", "512M", *flags)
    guests.save(name, name)
    guests.cocoon("vm", "rm", "--force", name)


def on_reflinks(b, prepare, parts):
    with Reflinks(b):
        guests = Guests(b, "xfs/store")
        try:
            prepare(b, guests.store)
            make_base(guests, "in-file", "--memory-backing", "file")
            make_base(guests, "on-tmpfs")
            if "clone" in parts:
                bench_clone(b, guests, "in-file", "reflinks", True, True)
                bench_clone(b, guests, "on-tmpfs", "memory on tmpfs", False, False)
                bench_sizes(b, guests)
            if "private" in parts:
                bench_private(b, guests, "in-file", "reflinks")
                bench_private(b, guests, "on-tmpfs", "memory on tmpfs")
            if "pause" in parts:
                bench_pause(b, guests)
            if "archive" in parts:
                bench_archive(b, guests, "in-file")
            if "disks" in parts:
                bench_disks(b, guests, "reflinks")
            if "resident" in parts:
                bench_resident(b, guests, "in-file")
        finally:
            guests.close()


def on_plain(b, prepare, parts):
    guests = Guests(b, "plain-store")
    where = "no reflinks"
    try:
        prepare(b, guests.store)
        make_base(guests, "in-file", "--memory-backing", "file")
        if "clone" in parts:
            bench_clone(b, guests, "in-file", where, True, False)
        if "disks" in parts:
            bench_disks(b, guests, where)
    finally:
        guests.close()


def run(b, prepare, parts):
    if not shutil.which("mkfs.xfs"):
        print("clone: skipped, no mkfs.xfs (package xfsprogs)")
        return
    on_reflinks(b, prepare, parts)
    if {"clone", "disks"} & set(parts):
        on_plain(b, prepare, parts)
