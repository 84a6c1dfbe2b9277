# SPDX-License-Identifier: Apache-2.0
"""faults.py for VMs with networks: a command ends as kill -9 would at each of its recorded side
effects; one more command and `gc` must bring VM and host network back in order. Needs a build with
COCOON_FAULTS=ON."""

import sys

import cocoon_e2e
import faults
import private_host
from cocoon_e2e import wait_for

NICS = ("--cpu", "1", "--memory", "512M", "--nics", "2", "--name", "made")
IMAGE = ("busybox", "--", "/bin/sleep", "1000")


class NetworkFaults(faults.Faults):
    def setUp(self):
        super().setUp()
        private_host.write_network(private_host.conflist())
        self.before = private_host.census()

    def recover(self):
        super().recover()

        def clean():
            self.c.ok("gc")   # a plugin that outlived its command holds the VM's lock for a moment
            left = private_host.census() - self.before
            left |= {p.name for p in (self.c.root / "cni/cache/results").glob("*")}
            return not left
        wait_for("the host's network to be as before", clean, 15, 0.3)

    def create(self):
        self.c.ok("vm", "create", *NICS, *IMAGE)

    def test_vm_create(self):
        self.sweep(("vm", "create", *NICS, "-p", "8099:80", *IMAGE))

    def test_vm_rm(self):
        self.sweep(("vm", "rm", "made"), self.create)

    def test_vm_net(self):
        self.sweep(("vm", "net", "made", "--nics", "3"), self.create)
        self.sweep(("vm", "net", "made", "--nics", "1"), self.create)

    def test_rebuild(self):
        def gone():
            self.create()
            vm = self.c.inspect("made")
            private_host.run("ip", "netns", "del", f"cocoon-{vm['id']}")
        self.sweep(("vm", "start", "made"), gone)


# What faults.py has for VMs without a network is its own affair.
for name in dir(faults.Faults):
    if name.startswith("test_") and name not in vars(NetworkFaults):
        setattr(NetworkFaults, name, None)


if __name__ == "__main__":
    reason = private_host.missing()
    if reason:
        print(f"SKIPPED: {reason}")
        sys.exit(77)
    private_host.enter()
    cocoon_e2e.main()
