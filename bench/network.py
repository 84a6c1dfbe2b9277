#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures what a VM's network costs beyond the CNI plugins' own run time, on a host network of its
own (bench/run starts it). Prints one JSON object.

The plugins alone: the same chain, ADD and DEL, run from here with the same input in a namespace that
`ip netns add` made. Ours: `vm create` and `vm rm` with one NIC less the same without."""

import json
import os
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "e2e"))
import private_host  # noqa: E402


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
    print(json.dumps(out))


if __name__ == "__main__":
    main()
