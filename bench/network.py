#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures what a VM's network costs beyond the CNI plugins' own run time, on a host network of its
own (bench/run starts it). Prints one JSON object.

The plugins alone: the same chain, ADD and DEL, run from here with the same input in a namespace that
`ip netns add` made. Ours: `vm create` and `vm rm` with one NIC less the same without."""

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "e2e"))
import private_host  # noqa: E402


def timed(work):
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) * 1000


def plugin(command, config, name):
    env = dict(os.environ, CNI_COMMAND=command, CNI_CONTAINERID=name, CNI_IFNAME="eth0", CNI_ARGS="",
               CNI_NETNS=f"/run/netns/{name}", CNI_PATH="/usr/lib/cni")
    done = subprocess.run([f"/usr/lib/cni/{config['type']}"], input=json.dumps(config), text=True, env=env,
                          stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout) if done.stdout else None


def plugins_alone(document, number):
    """Milliseconds of ADD and DEL through the chain."""
    name = f"alone{number}"
    private_host.run("ip", "netns", "add", name)
    common = {"name": document["name"], "cniVersion": document["cniVersion"]}
    result = {}

    def add():
        previous = None
        for config in document["plugins"]:
            extra = {"prevResult": previous} if previous else {}
            previous = plugin("ADD", {**config, **common, **extra}, name)
        result.update(previous)

    def delete():
        for config in reversed(document["plugins"]):
            plugin("DEL", {**config, **common, "prevResult": result}, name)
    times = timed(add), timed(delete)
    private_host.run("ip", "netns", "del", name)
    return times


def main():
    binary, base, runs = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    private_host.enter()
    document = private_host.conflist(ports=False)
    private_host.write_network(document)
    flags = [f"--root-dir={base}/root", f"--run-dir={base}/root/run", f"--log-dir={base}/log"]

    def cocoon(*args):
        subprocess.run([binary, *flags, *args], check=True, stdout=subprocess.DEVNULL)

    def create_and_remove(nics):
        name = f"net{nics}"
        create = timed(lambda: cocoon("vm", "create", "--memory", "512M", "--nics", nics, "--name", name,
                                      "busybox"))
        return create, timed(lambda: cocoon("vm", "rm", name))
    create_and_remove("1")   # makes the bridge
    plugins_alone(document, 0)
    rows = []
    for number in range(1, runs + 1):
        with_nic, without = create_and_remove("1"), create_and_remove("0")
        alone = plugins_alone(document, number)
        rows.append([with_nic[i] - without[i] - alone[i] for i in (0, 1)] + list(alone))
    add, delete, alone_add, alone_delete = (statistics.median(column) for column in zip(*rows))
    print(json.dumps({"set_up": add, "tear_down": delete, "plugins_add": alone_add,
                      "plugins_del": alone_delete}))


if __name__ == "__main__":
    main()
