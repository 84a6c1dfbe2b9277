#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures what a VM's network costs beyond the CNI plugins' own run time, and what it carries, on a
host network of its own (bench/run starts it). Prints one JSON object.

The plugins alone: the same chain, ADD and DEL, run from here with the same input in a namespace that
`ip netns add` made. Ours: `vm create` and `vm rm` with one NIC less the same without.

Throughput: TCP between the host and a guest, through the redirect; then the running guest's TAP is
made a port of the bridge itself, and the same is measured again."""

import json
import os
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "e2e"))
import private_host  # noqa: E402

CACHE = Path(os.environ.get("COCOON_CACHE", "/var/cache/cocoon-dev"))


class Cost:
    """Wall time and processor time, in milliseconds, of a program and the programs that it waited for."""

    def __init__(self, wall=0.0, cpu=0.0):
        self.wall, self.cpu = wall, cpu

    def __add__(self, other):
        return Cost(self.wall + other.wall, self.cpu + other.cpu)


def run_timed(argv, env=None, stdin="/dev/null", stdout="/dev/null"):
    actions = [(os.POSIX_SPAWN_OPEN, 0, stdin, os.O_RDONLY, 0),
               (os.POSIX_SPAWN_OPEN, 1, stdout, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600),
               (os.POSIX_SPAWN_OPEN, 2, "/dev/null", os.O_WRONLY, 0)]
    start = time.perf_counter()
    pid = os.posix_spawn(argv[0], argv, env or os.environ, file_actions=actions)
    _, status, usage = os.wait4(pid, 0)
    wall = time.perf_counter() - start
    if status != 0:
        raise RuntimeError(f"{argv}: status {status}")
    return Cost(wall * 1000, (usage.ru_utime + usage.ru_stime) * 1000)


def plugin(command, config, name):
    """Runs a plugin; its cost and result."""
    env = dict(os.environ, CNI_COMMAND=command, CNI_CONTAINERID=name, CNI_IFNAME="eth0", CNI_ARGS="",
               CNI_NETNS=f"/run/netns/{name}", CNI_PATH="/usr/lib/cni")
    Path("/run/cocoon/in").write_text(json.dumps(config))
    cost = run_timed([f"/usr/lib/cni/{config['type']}"], env, "/run/cocoon/in", "/run/cocoon/out")
    text = Path("/run/cocoon/out").read_text()
    return cost, json.loads(text) if text else None


def plugins_alone(document, number):
    """Costs of ADD and DEL through the chain."""
    name = f"alone{number}"
    private_host.run("ip", "netns", "add", name)
    common = {"name": document["name"], "cniVersion": document["cniVersion"]}
    add, delete, previous = Cost(), Cost(), None
    for config in document["plugins"]:
        extra = {"prevResult": previous} if previous else {}
        cost, previous = plugin("ADD", {**config, **common, **extra}, name)
        add += cost
    for config in reversed(document["plugins"]):
        delete += plugin("DEL", {**config, **common, "prevResult": previous}, name)[0]
    private_host.run("ip", "netns", "del", name)
    return add, delete


SERVERS = """
nc -ll -p 5000 -e /bin/sh -c 'cat > /dev/null; echo done' &
nc -ll -p 5001 -e /bin/sh -c 'exec dd if=/dev/zero bs=64k count=512 2> /dev/null' &
echo servers-are-up
wait
"""
MEGABYTES = 32


def connect(address, port, seconds=60):
    end = time.monotonic() + seconds
    while True:
        try:
            return socket.create_connection((address, port), timeout=seconds)
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


def to_guest(address):
    """Seconds for MEGABYTES, up to the guest's word that all of it has come."""
    with connect(address, 5000) as peer:
        start = time.perf_counter()
        for _ in range(MEGABYTES):
            peer.sendall(bytes(1 << 20))
        peer.shutdown(socket.SHUT_WR)
        if peer.recv(16) != b"done\n":
            raise RuntimeError("the guest did not take it all")
        return time.perf_counter() - start


def from_guest(address):
    with connect(address, 5001) as peer:
        start, total = time.perf_counter(), 0
        while piece := peer.recv(1 << 18):
            total += len(piece)
        if total != MEGABYTES << 20:
            raise RuntimeError(f"{total} bytes of the guest have come")
        return time.perf_counter() - start


def throughput(cocoon, runs):
    """Medians in MB/s of both directions, through the redirect and on the plain bridge."""
    cocoon("vm", "create", "--cpu", "1", "--memory", "512M", "--nics", "1", "--kernel", "network", "--name", "carrier",
           "busybox", "--", "/bin/sh", "-c", SERVERS)
    cocoon("vm", "start", "carrier")
    vm = json.loads(cocoon("vm", "inspect", "carrier"))
    nic = vm["network_configs"][0]
    address = nic["network"]["ip"]

    def measure():
        to_guest(address), from_guest(address)   # neighbours are known, buffers grown
        rows = [(to_guest(address), from_guest(address)) for _ in range(runs)]
        return [MEGABYTES * 1.048576 / statistics.median(column) for column in zip(*rows)]
    try:
        redirect = measure()
        private_host.run("ip", "-n", f"cocoon-{vm['id']}", "link", "set", nic["tap"], "netns", os.getpid())
        private_host.run("ip", "link", "set", nic["tap"], "master", "cni0", "up")
        return {"redirect": redirect, "bridge": measure()}
    finally:
        cocoon("vm", "rm", "--force", "carrier")


def main():
    binary, base, runs = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    private_host.enter()
    document = private_host.conflist(ports=False)
    private_host.write_network(document)
    flags = [f"--root-dir={base}/root", f"--run-dir={base}/root/run", f"--log-dir={base}/log"]

    def create_and_remove(nics):
        create = [binary, *flags, "vm", "create", "--memory", "512M", "--nics", nics, "--name", f"net{nics}",
                  "busybox"]
        return run_timed(create), run_timed([binary, *flags, "vm", "rm", f"net{nics}"])
    create_and_remove("1")   # makes the bridge
    plugins_alone(document, 0)
    rows = [(create_and_remove("1"), create_and_remove("0"), plugins_alone(document, number))
            for number in range(1, runs + 1)]
    out = {}
    for index, key in enumerate(("set_up", "tear_down")):
        # Processor time does not depend on who else is at work; wall time at its least hardly does.
        with_nic, without, alone = ([row[kind][index] for row in rows] for kind in range(3))
        cpu = [statistics.median(c.cpu for c in costs) for costs in (with_nic, without, alone)]
        wall = [min(c.wall for c in costs) for costs in (with_nic, without, alone)]
        out[key] = {"cpu": cpu[0] - cpu[1] - cpu[2], "wall": wall[0] - wall[1] - wall[2],
                    "plugins_cpu": cpu[2], "plugins_wall": wall[2]}

    def cocoon(*args):
        return subprocess.run([binary, *flags, *args], check=True, stdout=subprocess.PIPE, text=True).stdout
    folder = CACHE / "assets" / "kernel"   # the bench's own has no NIC driver
    version = (folder / ".complete").read_text().strip()
    cocoon("kernel", "import", "network", "--kernel", folder / "boot" / f"vmlinuz-{version}",
           "--modules", folder / "lib" / "modules" / version)
    out["throughput"] = throughput(cocoon, runs)
    print(json.dumps(out))


if __name__ == "__main__":
    main()
