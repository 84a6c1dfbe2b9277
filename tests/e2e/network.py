# SPDX-License-Identifier: Apache-2.0
"""Networks of VMs, on a host network of the suite's own and with Debian's CNI plugins: what guests
reach and what reaches them, that nothing is left, and what happens when plugins misbehave."""

import concurrent.futures
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

import cocoon_e2e
import private_host
import tarballs
from cloud_hypervisor import Api
from cocoon_e2e import SLOW, StoreTest, wait_for
from private_host import conflist, run, write_network

SMALL = ("--cpu", "1", "--memory", "512M")
SHOW = r"""
ip addr show; ip route show; cat /etc/resolv.conf; echo shown
"""


class NetworkTest(StoreTest):
    kernel = "kernel"   # with virtio_net among its modules
    # One test waits for it; plugins that run beside many others in the lab need more.
    config = {"cni_timeout_seconds": 5 if SLOW <= 2 else 30}

    def setUp(self):
        for file in Path("/etc/cni/net.d").iterdir():
            file.unlink()
        write_network(conflist())
        self.before = private_host.census()

    def tearDown(self):
        super().tearDown()
        wait_for("the host's network to be as before", lambda: self.left() == set(), 10)

    def left(self):
        left = private_host.census() - self.before
        cache = self.c.root / "cni/cache/results"
        return left | {f"cache {p.name}" for p in cache.glob("*")}

    def create(self, *args):
        return self.c.ok("vm", "create", *SMALL, "-o", "json", *args).json()

    def boot(self, name, script, *flags):
        """Starts a VM with this script and returns its record."""
        self.create("--name", name, *flags, "busybox", "--", "/bin/sh", "-c", script)
        self.c.ok("vm", "start", name)
        return self.c.inspect(name)

    def wait_shown(self, vm):
        return self.c.wait_console(vm["id"], r"^(?:.*\n)*shown\s*$", 90).string


class Guests(NetworkTest):
    def test_a_guest_reaches_its_gateway_and_the_other(self):
        one = self.boot("one", SHOW + "ping -c 3 -W 2 10.88.0.1 && echo pinged; sleep 1000")
        nic = one["network_configs"][0]
        self.assertEqual(nic["network"]["gateway"], "10.88.0.1")
        self.assertEqual(nic["tap"], "tap0")
        shown = self.wait_shown(one)
        self.assertIn(f"inet {nic['network']['ip']}/16", shown)
        self.assertIn("default via 10.88.0.1", shown)
        self.assertIn(nic["mac"], shown)
        self.assertIn("nameserver 8.8.8.8", shown)
        self.c.wait_console(one["id"], "^pinged", 30)
        two = self.boot("two", f"ping -c 3 -W 2 {nic['network']['ip']} && echo pinged; sleep 1000")
        self.c.wait_console(two["id"], "^pinged", 60)
        self.assertIn(nic["network"]["ip"], self.c.ok("vm", "list").out)
        self.check_packet_path(one)

    def check_packet_path(self, vm):
        """No address in between, both redirects, offloads on, and an unprivileged VMM."""
        netns = f"cocoon-{vm['id']}"
        names = {link["ifname"]: link for link in private_host.links(netns)}
        self.assertLessEqual({"eth0", "tap0"}, set(names))
        addresses = json.loads(run("ip", "-n", netns, "-j", "addr"))
        for device in addresses:
            if device["ifname"] in ("eth0", "tap0"):
                self.assertEqual(device["addr_info"], [], device)
        for device, other in (("eth0", "tap0"), ("tap0", "eth0")):
            filters = run("tc", "-n", netns, "filter", "show", "dev", device, "ingress")
            self.assertIn(f"Egress Redirect to device {other}", filters)
        status = Path(f"/proc/{vm['pid']}/status").read_text()
        self.assertRegex(status, rf"Uid:\s+{vm['uid']}\s")
        self.assertRegex(status, r"CapEff:\s+0+\s")
        self.assertRegex(status, r"CapPrm:\s+0+\s")
        tap = names["tap0"]["linkinfo"]["info_data"]
        self.assertEqual((tap["user"], tap["vnet_hdr"], tap["persist"]), (vm["uid"], True, True))

    def test_published_port(self):
        script = "while true; do echo hello | nc -l -p 80; done"
        vm = self.boot("server", script, "-p", "8080:80")
        self.assertEqual(vm["ports"], [{"host_port": 8080, "guest_port": 80, "protocol": "tcp"}])
        host_ip = "10.88.0.1"

        def answer():
            try:
                with socket.create_connection((host_ip, 8080), timeout=2) as connection:
                    return connection.recv(16) == b"hello\n"
            except OSError:
                return False
        wait_for("the guest's server through the host's port", answer, 60, 0.5)

    def test_two_nics_and_jumbo_frames(self):
        write_network(conflist(mtu=9000))
        vm = self.boot("two-nics", SHOW + "ping -c 2 -W 2 -s 8900 10.88.0.1 && echo pinged; sleep 1000",
                       "--nics", "2")
        nics = vm["network_configs"]
        self.assertEqual([n["tap"] for n in nics], ["tap0", "tap1"])
        self.assertEqual([n["mtu"] for n in nics], [9000, 9000])
        shown = self.wait_shown(vm)
        for i, nic in enumerate(nics):
            self.assertRegex(shown, rf"eth{i}: .*mtu 9000")
            self.assertIn(f"inet {nic['network']['ip']}/16", shown)
        self.c.wait_console(vm["id"], "^pinged", 30)
        # Not a fragment on its way: the host has reassembled nothing.
        counters = Path("/proc/net/snmp").read_text().splitlines()
        ip = dict(zip(counters[0].split()[1:], counters[1].split()[1:]))
        self.assertEqual((ip["ReasmReqds"], ip["FragCreates"]), ("0", "0"))

    def test_dns_of_the_network(self):
        write_network(conflist(dns=["10.88.0.53"]))
        vm = self.boot("dns", SHOW)
        shown = self.wait_shown(vm)
        self.assertIn("nameserver 10.88.0.53", shown)
        self.assertNotIn("nameserver 8.8.8.8", shown)

    def test_dhcp(self):
        run("ip", "link", "add", "br7", "type", "bridge")
        run("ip", "addr", "add", "10.77.0.1/24", "dev", "br7")
        run("ip", "link", "set", "br7", "up")
        leases = self.c.base / "leases"
        server = subprocess.Popen(
            ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--interface=br7",
             "--bind-interfaces", "--dhcp-range=10.77.0.50,10.77.0.99,1h", f"--dhcp-leasefile={leases}",
             "--dhcp-option=option:dns-server,10.77.0.53", "--pid-file", "--user=root"],
            stderr=subprocess.PIPE)
        try:
            script = SHOW + "ping -c 2 -W 2 10.77.0.1 && echo pinged; sleep 1000"
            with self.subTest("bridge mode"):
                vm = self.boot("lease", script, "--bridge", "br7")
                nic = vm["network_configs"][0]
                self.assertEqual((nic["backend"], nic["bridge_dev"]), ("bridge", "br7"))
                self.assertNotIn("network", nic)
                shown = self.wait_shown(vm)
                self.assertRegex(shown, r"inet 10\.77\.0\.\d+/24")
                self.assertIn("nameserver 10.77.0.53", shown)
                self.c.wait_console(vm["id"], "^pinged", 30)
                self.assertIn(nic["mac"], leases.read_text())
                if cocoon_e2e.backends.has("snapshots"):
                    self.check_clone_of_a_lease(leases)
            with self.subTest("CNI without IPAM"):
                write_network(conflist("lan", bridge="br7", ipam={}, ports=False, isGateway=False,
                                       masquerade=False), "20-lan.conflist")
                vm = self.boot("lan", script, "--network", "lan")
                self.assertNotIn("network", vm["network_configs"][0])
                self.c.wait_console(vm["id"], "^pinged", 60)
                self.assertIn(vm["network_configs"][0]["mac"], leases.read_text())
            self.c.remove_vms()
        finally:
            server.kill()
            server.communicate()
            run("ip", "link", "del", "br7")

    def check_clone_of_a_lease(self, leases):
        """A clone gives up its source's lease before it can be heard, and gets one of its own."""
        self.c.ok("snapshot", "save", "--name", "leased", "lease", seconds=300)
        clone = self.c.ok("vm", "clone", "--name", "other", "-o", "json", "leased", seconds=300).json()
        mac = clone["network_configs"][0]["mac"]
        wait_for("a lease of the clone's own", lambda: mac in leases.read_text(), 60)

        def address(vm):
            shown = self.c.run("vm", "exec", vm, "--", "ip", "addr", "show", "eth0", seconds=60).out
            return re.findall(r"inet (10\.77\.0\.\d+)", shown)
        wait_for("the clone to have its address", lambda: address("other"), 60)
        self.assertEqual((len(address("other")), len(address("lease"))), (1, 1))
        self.assertNotEqual(address("other"), address("lease"))
        self.c.ok("vm", "rm", "--force", "other")
        self.c.ok("snapshot", "rm", "leased")

    def test_ptp_and_macvlan(self):
        write_network({"cniVersion": "1.0.0", "name": "ptp", "plugins": [
            {"type": "ptp", "ipMasq": True, "ipam": {"type": "host-local", "subnet": "10.66.0.0/24"}}]},
            "20-ptp.conflist")
        vm = self.boot("ptp", "ping -c 2 -W 2 10.66.0.1 && echo pinged; sleep 1000", "--network", "ptp")
        self.c.wait_console(vm["id"], "^pinged", 60)
        run("ip", "link", "add", "lower", "type", "veth", "peer", "name", "outside")
        self.before |= {"link lower", "link outside"}
        for device in ("lower", "outside"):
            run("ip", "link", "set", device, "up")
        run("ip", "addr", "add", "10.55.0.1/24", "dev", "outside")
        write_network({"cniVersion": "1.0.0", "name": "macvlan", "plugins": [
            {"type": "macvlan", "master": "lower", "ipam":
             {"type": "static", "addresses": [{"address": "10.55.0.9/24", "gateway": "10.55.0.1"}]}}]},
            "30-macvlan.conflist")
        vm = self.boot("macvlan", "ping -c 2 -W 2 10.55.0.1 && echo pinged; sleep 1000",
                       "--network", "macvlan")
        self.assertEqual(vm["network_configs"][0]["network"]["ip"], "10.55.0.9")
        self.c.wait_console(vm["id"], "^pinged", 60)
        self.c.remove_vms()
        run("ip", "link", "del", "lower")

    def test_user_mode(self):
        self.need("user_network")
        if not shutil.which("passt"):
            self.skipTest("no passt")
        # passt wants a way out to imitate.
        run("ip", "link", "add", "out0", "type", "veth", "peer", "name", "world")
        for device in ("out0", "world"):
            run("ip", "link", "set", device, "up")
        run("ip", "addr", "add", "192.0.2.2/24", "dev", "out0")
        run("ip", "route", "add", "default", "via", "192.0.2.1")
        self.before |= {"link out0", "link world"}
        try:
            script = SHOW + "while true; do echo hello | nc -l -p 80; done"
            vm = self.boot("user", script, "--network", "user", "-p", "127.0.0.1:8081:80")
            shown = self.wait_shown(vm)
            self.assertIn("inet 10.0.2.15/24", shown)

            def answer():
                try:
                    with socket.create_connection(("127.0.0.1", 8081), timeout=2) as connection:
                        # Debian 12's passt completes the handshake with the client's first bytes.
                        connection.sendall(b"hi\n")
                        return connection.recv(16) == b"hello\n"
                except OSError:
                    return False
            wait_for("the guest's server through passt", answer, 60, 0.5)
            self.c.ok("vm", "rm", "--force", "user")
        finally:
            run("ip", "link", "del", "out0")

    def test_defaults(self):
        for file in Path("/etc/cni/net.d").iterdir():
            file.unlink()
        result = self.c.ok("vm", "create", *SMALL, "--name", "none", "-o", "json", "busybox")
        self.assertNotIn("network_configs", result.json())
        self.assertEqual(len([line for line in result.err.splitlines() if "doctor --fix" in line]), 1)
        self.c.fails(cocoon_e2e.NOT_FOUND, "vm", "create", *SMALL, "--nics", "1", "busybox",
                     says="no conflist found")
        self.c.run("doctor", "--fix")
        vm = self.create("--name", "one", "busybox")
        self.assertEqual(vm["config"]["network"], "cocoon")
        self.assertEqual(len(vm["network_configs"]), 1)
        self.c.fails(cocoon_e2e.NOT_FOUND, "vm", "create", *SMALL, "--network", "other", "busybox",
                     says='"other" not found; there are: cocoon')
        self.c.fails(cocoon_e2e.NOT_FOUND, "vm", "create", *SMALL, "--bridge", "br9", "busybox",
                     says="bridge br9 not found")
        self.c.fails(cocoon_e2e.USAGE, "vm", "create", *SMALL, "--bridge", "br9", "--network", "x",
                     "busybox", says="exclude each other")


class SavedNetworkTest(NetworkTest):
    """Leaves no snapshot behind."""
    capabilities = ("snapshots",)

    def tearDown(self):
        self.c.remove_vms()
        ids = [s["id"] for s in self.c.ok("snapshot", "list", "-o", "json").json()]
        if ids:
            self.c.ok("snapshot", "rm", *ids)
        super().tearDown()


class Clones(SavedNetworkTest):
    """Clones of one snapshot and their source on one network, each under a name and addresses of its
    own before anybody hears of it."""

    def sh(self, vm, script):
        return self.c.run("vm", "exec", vm, "--", "/bin/sh", "-c", script, seconds=120)

    def test_clones_and_source_reach_each_other(self):
        self.boot("src", "hostname > /run/name; sleep 100000")
        self.c.ok("vm", "wait", "src", seconds=120)
        self.c.ok("snapshot", "save", "--name", "base", "src", seconds=300)
        self.c.ok("vm", "clone", "-n", 2, "--name", "c", "base", seconds=300)
        vms = {name: self.c.inspect(name) for name in ("src", "c-1", "c-2")}
        nics = {name: vm["network_configs"][0] for name, vm in vms.items()}
        self.assertEqual(len({nic["mac"] for nic in nics.values()}), 3)
        self.assertEqual(len({nic["network"]["ip"] for nic in nics.values()}), 3)
        for name, nic in nics.items():
            shown = self.sh(name, "hostname; ip addr show; ip route show").out
            self.assertTrue(shown.startswith(f"{name}\n"), shown)
            self.assertIn(nic["mac"], shown)
            self.assertIn(f"inet {nic['network']['ip']}/16", shown)
            self.assertEqual(shown.count("inet 10.88."), 1, shown)
            self.assertIn("default via 10.88.0.1", shown)
            for other in [n["network"]["ip"] for n in nics.values()] + ["10.88.0.1"]:
                pinged = self.sh(name, f"ping -c 2 -W 3 {other}")
                self.assertEqual(pinged.code, 0, pinged)
        self.check_reboot_of_the_network(vms["c-1"])

    def check_reboot_of_the_network(self, clone):
        """What a clone is told holds for its next start too."""
        self.c.ok("vm", "stop", "c-1", seconds=120)
        self.c.ok("vm", "start", "c-1", seconds=120)
        self.c.ok("vm", "wait", "c-1", seconds=120)
        shown = self.sh("c-1", "hostname; ip addr show").out
        self.assertTrue(shown.startswith("c-1\n"), shown)
        self.assertIn(clone["network_configs"][0]["mac"], shown)

    def test_restore_and_hibernate_keep_the_addresses(self):
        vm = self.boot("src", "sleep 100000")
        self.c.ok("vm", "wait", "src", seconds=120)
        self.c.ok("snapshot", "save", "--name", "base", "src", seconds=300)
        ip = vm["network_configs"][0]["network"]["ip"]
        for commands in ((("vm", "restore", "src", "base"),), (("vm", "hibernate", "src"), ("vm", "start", "src"))):
            for command in commands:
                self.c.ok(*command, seconds=300)
            self.assertEqual(self.c.inspect("src")["network_configs"][0]["network"]["ip"], ip)
            pinged = self.sh("src", "ping -c 2 -W 3 10.88.0.1")
            self.assertEqual(pinged.code, 0, pinged)


# What an image brings that sets its own NICs up by DHCP, and tells on its console which it has. Nobody but
# itself configures it: its kernel and init know nothing of us.
NIC_SCRIPTS = {
    "etc/init.d/rcS": """#!/bin/sh
[ -d /proc/self ] || mount -t proc proc /proc
[ -d /sys/class ] || mount -t sysfs sysfs /sys
[ -c /dev/null ] || mount -t devtmpfs devtmpfs /dev
grep -q ' /run ' /proc/mounts || mount -t tmpfs tmpfs /run
for module in /nics/*.ko; do insmod $module; done
/nics/watch &
""",
    "nics/watch": """#!/bin/sh
seen=
while true; do
  now=
  for nic in /sys/class/net/eth*; do
    [ -e $nic/address ] || continue
    mac=$(cat $nic/address)
    now="$now ${nic##*/}=$mac"
    [ -e /run/$mac ] && continue
    ip link set ${nic##*/} up
    udhcpc -i ${nic##*/} -n -q -t 3 -T 2 -s /nics/lease >/dev/null 2>&1 && : >/run/$mac
  done
  [ "$now" = "$seen" ] || echo "nics:$now"
  seen=$now
  sleep 1
done
""",
    "nics/lease": """#!/bin/sh
[ "$1" = bound ] || exit 0
ip addr flush dev $interface
ip addr add $ip/$mask dev $interface
echo "lease $interface $ip" >/dev/console
""",
}
NIC_MODULES = ("net/core/failover", "drivers/net/net_failover", "drivers/net/virtio_net")   # in this order


def nic_layer(path):
    """A layer over the image own-kernel that makes such a guest of it."""
    modules = cocoon_e2e.ASSETS / "kernel-small/lib/modules"
    folder = modules / (cocoon_e2e.ASSETS / "kernel-small/.complete").read_text().strip() / "kernel"
    entries = [tarballs.directory("nics")]
    entries += [tarballs.entry(name, text.encode(), mode=0o755) for name, text in NIC_SCRIPTS.items()]
    entries += [tarballs.entry(f"nics/{i}.ko", (folder / f"{name}.ko").read_bytes())
                for i, name in enumerate(NIC_MODULES)]
    return tarballs.write_tar(path, entries)


class WithoutAgent(NetworkTest):
    """Guests that nobody can tell who they are: a clone gets other NICs, with MACs of its own, in place
    of those that it had when it was saved."""
    kernel = None
    images = ()
    capabilities = ("snapshots", "nic_swap")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        layer = nic_layer(cls.c.base / "nics.tar")
        cls.c.ok("image", "import", "own-nics", cocoon_e2e.IMAGES / "own-kernel.tar", layer, seconds=300)
        cls.rows = cls.c.census.rows()

    def setUp(self):
        super().setUp()
        run("ip", "link", "add", "br7", "type", "bridge")
        self.addCleanup(run, "ip", "link", "del", "br7")
        run("ip", "addr", "add", "10.77.0.1/24", "dev", "br7")
        run("ip", "link", "set", "br7", "up")
        self.leases = self.c.base / "leases"
        self.leases.write_text("")
        self.server = subprocess.Popen(
            ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--interface=br7",
             "--bind-interfaces", "--dhcp-range=10.77.0.50,10.77.0.99,1h", f"--dhcp-leasefile={self.leases}",
             "--pid-file", "--user=root"], stderr=subprocess.DEVNULL)
        self.addCleanup(self.stop_server)
        write_network(conflist("lan", bridge="br7", ipam={}, ports=False, isGateway=False, masquerade=False))

    def tearDown(self):
        self.c.remove_vms()
        ids = [s["id"] for s in self.c.ok("snapshot", "list", "-o", "json").json()]
        if ids:
            self.c.ok("snapshot", "rm", *ids)
        self.stop_server()   # its leases lie in the store's directory, so it would count as left behind
        super().tearDown()

    def stop_server(self):
        self.server.kill()
        self.server.wait()

    def start(self, *flags):
        self.create("--name", "src", *flags, "own-nics")
        self.c.ok("vm", "start", "src", seconds=120)
        vm = self.c.inspect("src")
        for _ in vm["network_configs"]:
            self.wait_leases(vm)
        return vm

    def macs(self, vm):
        return sorted(nic["mac"] for nic in vm["network_configs"])

    def seen(self, vm):
        """MACs of the NICs that the guest had when it last told of a change."""
        told = re.findall(r"^nics:(.*)$", self.c.console_text(vm["id"]), re.M)
        return sorted(re.findall(r"=([0-9a-f:]{17})", told[-1])) if told else []

    def wait_nics(self, vm, macs=None):
        macs = macs or self.macs(vm)
        wait_for(f"the guest of {vm['config']['name']} to have {macs}", lambda: self.seen(vm) == macs, 60, 0.3)

    def address(self, mac):
        """What the DHCP server gave to that MAC."""
        found = re.search(rf"^\d+ {mac} (\S+)", self.leases.read_text(), re.M)
        return found and found.group(1)

    def wait_leases(self, vm):
        """Every NIC of the guest has an address that the host reaches it by; they are returned."""
        addresses = {wait_for(f"a lease of {mac}", lambda mac=mac: self.address(mac), 90, 0.3)
                     for mac in self.macs(vm)}
        for address in addresses:
            wait_for(f"{address} to answer",
                     lambda address=address: "1 received" in run("ping", "-c", "1", "-W", "2", address, check=False),
                     60)
        return addresses

    def clone(self, snapshot, name, *flags):
        result = self.c.ok("vm", "clone", "--name", name, "-o", "json", *flags, snapshot, seconds=300)
        return result.json(), result.err

    def devices(self, vm):
        return {link["ifname"] for link in private_host.links(f"cocoon-{vm['id']}")} - {"lo"}

    def test_a_clone_gets_nics_of_its_own(self):
        source = self.start()
        theirs = self.wait_leases(source)
        saved = self.c.ok("snapshot", "save", "--name", "base", "-o", "json", "src", seconds=300).json()
        self.assertIs(saved["agent"], False)
        one, said = self.clone("base", "one")
        self.assertIn("new NICs with MACs of their own", said)
        self.assertIn("\n  hostnamectl set-hostname one\n", said)
        self.assertNotIn("ip link set", said)
        self.assertNotEqual(self.macs(one), self.macs(source))
        self.wait_nics(one)
        mine = self.wait_leases(one)
        self.assertFalse(mine & theirs)
        self.assertEqual(self.seen(source), self.macs(source), "the source has kept its own")
        self.wait_leases(source)
        self.assertEqual(self.devices(one), {"eth0", "tap0"})
        if cocoon_e2e.backends.NAME == "cloud-hypervisor":
            self.check_device(one)

        # a snapshot of the clone is one like any other
        self.c.ok("snapshot", "save", "--name", "again", "one", seconds=300)
        two, _ = self.clone("again", "two")
        self.wait_nics(two)
        self.assertFalse(self.wait_leases(two) & (mine | theirs))
        self.assertEqual(self.devices(two), {"eth0", "tap0"})
        # restored to its own, it keeps its NICs; to another VM's, it gets its own again
        result = self.c.ok("vm", "restore", "one", "again", seconds=300)
        self.assertNotIn("new NICs", result.err)
        self.wait_nics(one)
        self.assertEqual(self.wait_leases(one), mine)
        result = self.c.ok("vm", "restore", "two", "base", seconds=300)
        self.assertIn("new NICs", result.err)
        self.wait_nics(two)
        self.wait_leases(two)
        self.assertEqual(self.devices(two), {"eth0", "tap0"})
        # and starts anew with them
        self.c.ok("vm", "stop", "--force", "one")
        self.c.ok("vm", "start", "one", seconds=120)
        self.wait_nics(one)
        self.assertEqual(self.wait_leases(one), mine)

    def check_device(self, vm):
        """Cloud Hypervisor itself has the new NIC only."""
        info = Api(self.c.vm_dir(vm["id"]) / "sock").call("GET", "vm.info")
        nics = info["config"]["net"]
        self.assertEqual([(nic["tap"], nic["mac"]) for nic in nics], [("tap0", self.macs(vm)[0])])
        in_tree = {name for name in info["device_tree"] if name.startswith("net")}
        self.assertEqual(in_tree, {nics[0]["id"]})

    def test_two_nics_of_a_bridge(self):
        source = self.start("--bridge", "br7", "--nics", "2")
        self.c.ok("snapshot", "save", "--name", "base", "src", seconds=300)
        before = private_host.census()
        clone, said = self.clone("base", "one")
        self.assertEqual(said.count("MACAddress="), 2, said)
        self.wait_nics(clone)
        self.assertEqual(len(self.wait_leases(clone)), 2)
        self.assertEqual(self.seen(source), self.macs(source))
        self.assertEqual(self.devices(clone), {"eth0", "eth1", "tap0", "tap1"})
        ports = {line for line in private_host.census() - before if line.startswith("link ")}
        self.assertEqual(ports, {f"link cb{clone['id'][:8]}-{i}" for i in range(2)})

    def test_nics_stay_if_asked(self):
        source = self.start()
        self.c.ok("snapshot", "save", "--name", "base", "src", seconds=300)
        clone, said = self.clone("base", "one", "--nic-swap", "off")
        self.assertIn(f"ip link set dev eth0 address {self.macs(clone)[0]}", said)
        self.assertEqual(self.seen(clone) or self.macs(source), self.macs(source))
        self.assertEqual(self.devices(clone), {"eth0", "tap0"})


class NicSwapRefused(SavedNetworkTest):
    def test_where_it_cannot_be(self):
        self.boot("src", "sleep 100000")
        self.c.ok("vm", "wait", "src", seconds=120)
        saved = self.c.ok("snapshot", "save", "--name", "base", "-o", "json", "src", seconds=300).json()
        self.assertNotIn("agent", saved, "the boot kit's is known to be there")
        self.c.fails(cocoon_e2e.USAGE, "vm", "clone", "--nic-swap", "on", "base", says="has an agent")
        self.c.fails(cocoon_e2e.USAGE, "vm", "clone", "--nic-swap", "maybe", "base", says="nic-swap")


class OwnKernel(NetworkTest):
    """An image with a kernel of its own: told by the kernel's command line."""
    kernel = None
    images = ("own-kernel",)

    def test_kernel_command_line(self):
        vm = self.create("--name", "own", "own-kernel")
        network = vm["network_configs"][0]["network"]
        self.c.ok("vm", "start", "own")
        self.c.wait_console(vm["id"], "init-ready", 90)
        self.assertIn(
            " cocoon.hostname=own net.ifnames=0"
            f" ip={network['ip']}::10.88.0.1:255.255.0.0:own:eth0:off:8.8.8.8:1.1.1.1",
            self.c.console_text(vm["id"]))


CLOUD_IMAGE = cocoon_e2e.ASSETS / "cloud" / "debian-cloud.qcow2"


@unittest.skipUnless(cocoon_e2e.FULL, "a whole distribution boots: COCOON_TEST_FULL=1")
class CloudGuest(NetworkTest):
    """A cloud image: told by its NoCloud disk."""
    kernel = None
    images = ()

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if not CLOUD_IMAGE.exists():
            raise unittest.SkipTest(f"no {CLOUD_IMAGE}; scripts/test-cloud-image builds it")
        cls.c.import_image("debian", CLOUD_IMAGE)
        cls.rows = cls.c.census.rows()

    def test_static_address(self):
        data = self.c.base / "user-data"
        data.write_text("#cloud-config\nruncmd:\n- [sh, -c, 'ip -4 addr show >/dev/console; "
                        "ping -c 3 10.88.0.1 >/dev/console && echo cloud-pinged >/dev/console']\n")
        vm = self.c.ok("vm", "run", "-o", "json", "--cpu", "1", "--memory", "1G", "--name", "cloud",
                       "--user-data", data, "debian").json()
        match = self.c.wait_console(vm["id"], "^cloud-pinged", 600)
        self.assertIn(vm["network_configs"][0]["network"]["ip"] + "/16", match.string)


class Recovery(NetworkTest):
    PING = "ping -c 2 -W 2 10.88.0.1 && echo pinged-$(cat /proc/sys/kernel/random/boot_id); sleep 1000"

    def pings(self, vm):
        return len(re.findall(r"^pinged-", self.c.console_text(vm["id"]), re.M))

    def start_and_ping(self, vm):
        count = self.pings(vm)
        self.c.ok("vm", "start", vm["id"])
        wait_for("the ping", lambda: self.pings(vm) > count, 60)

    def identity(self, vm):
        return [(n["mac"], n["network"]) for n in self.c.inspect(vm["id"])["network_configs"]]

    def test_namespace_and_tap_come_back(self):
        vm = self.boot("phoenix", self.PING)
        wait_for("the ping", lambda: self.pings(vm), 60)
        identity = self.identity(vm)
        netns = f"cocoon-{vm['id']}"
        with self.subTest("namespace deleted under the running VM"):
            run("ip", "netns", "del", netns)
            self.assertEqual(self.c.state("phoenix"), "running")
            self.c.ok("vm", "stop", "--force", "phoenix")
            self.start_and_ping(vm)
            self.assertEqual(self.identity(vm), identity)
        with self.subTest("TAP gone"):
            self.c.ok("vm", "stop", "--force", "phoenix")
            run("ip", "-n", netns, "link", "del", "tap0")
            self.start_and_ping(vm)
            self.assertEqual(self.identity(vm), identity)
        with self.subTest("a reboot: namespaces, claims and rules gone, leases kept"):
            self.c.ok("vm", "stop", "--force", "phoenix")
            run("ip", "netns", "del", netns)
            shutil.rmtree("/run/cocoon/netns")
            run("iptables", "-t", "nat", "-F")
            self.start_and_ping(vm)
            self.assertEqual(self.identity(vm), identity)
        with self.subTest("the address is taken"):
            self.c.ok("vm", "stop", "--force", "phoenix")
            run("ip", "netns", "del", netns)
            lease = Path("/var/lib/cni/networks/cocoon", identity[0][1]["ip"])
            lease.write_text("somebody-else\r\neth0")
            self.c.fails(cocoon_e2e.FAILURE, "vm", "start", "phoenix", says=identity[0][1]["ip"])
            lease.unlink()
            self.start_and_ping(vm)
            self.assertEqual(self.identity(vm), identity)

    def test_namespace_deleted_and_removed(self):
        vm = self.boot("gone", "sleep 1000", "-p", "8090:80")
        run("ip", "netns", "del", f"cocoon-{vm['id']}")
        self.c.ok("vm", "rm", "--force", "gone")   # tearDown looks for what is left

    def test_vm_net(self):
        vm = self.create("--name", "grows", "busybox", "--", "/bin/sh", "-c", SHOW + "sleep 1000")
        first = self.identity(vm)
        self.c.ok("vm", "net", "grows", "--nics", "2")
        identity = self.identity(vm)
        self.assertEqual(identity[:1], first)
        self.assertEqual(len(identity), 2)
        self.c.ok("vm", "start", "grows")
        shown = self.wait_shown(vm)
        for _, network in identity:
            self.assertIn(f"inet {network['ip']}/16", shown)
        self.c.fails(cocoon_e2e.CONFLICT, "vm", "net", "grows", "--nics", "1", says="running")
        self.c.ok("vm", "stop", "--force", "grows")
        self.c.ok("vm", "net", "grows", "--nics", "1")
        self.assertEqual(self.identity(vm), first)
        self.c.ok("vm", "net", "grows", "--nics", "0")
        self.assertNotIn("network_configs", self.c.inspect("grows"))
        self.assertEqual(self.left(), set())
        self.c.ok("vm", "net", "grows", "--nics", "1")
        self.c.ok("vm", "start", "grows")


class Killed(NetworkTest):
    """kill -9 at any moment; gc then brings the host back to what it was."""

    def settle(self):
        def clean():
            self.c.ok("gc")   # a plugin that outlived us holds the VM's lock for a moment
            self.c.remove_vms()
            return self.left() == set()
        wait_for("gc to bring everything back", clean, 15, 0.3)
        self.assert_clean()

    def kill_after(self, seconds, *command):
        process = self.c.start(*command)
        try:
            process.communicate(timeout=seconds)
            return False
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            return True

    def duration(self, *command):
        begun = time.monotonic()
        self.c.ok(*command)
        return time.monotonic() - begun

    def test_create_and_rm(self):
        points = 24 if cocoon_e2e.FULL else 10
        create = ("vm", "create", *SMALL, "--nics", "2", "--name", "victim", "-p", "8099:80", "busybox")
        remove = ("vm", "rm", "victim")
        whole = self.duration(*create)
        whole_removal = self.duration(*remove)
        killed = 0
        for point in range(1, points + 1):
            with self.subTest(create=point):
                killed += self.kill_after(whole * point / (points + 1), *create)
                self.settle()
            with self.subTest(rm=point):
                self.c.ok(*create)
                killed += self.kill_after(whole_removal * point / (points + 1), *remove)
                self.settle()
        print(f"killed {killed} of {2 * points} commands before their end", flush=True)
        self.assertGreater(killed, points // 2)

    def test_interrupt(self):
        """Ctrl-C undoes at once, with the plugins' help."""
        create = ("vm", "create", *SMALL, "--nics", "2", "--name", "victim", "busybox")
        whole = self.duration(*create)
        self.c.ok("vm", "rm", "victim")
        process = self.c.start(*create)
        time.sleep(whole / 3)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        if process.returncode == 0:
            self.c.remove_vms()
        else:
            self.assertEqual(process.returncode, cocoon_e2e.INTERRUPTED)
        self.assertEqual(self.left(), set())


class Misbehaviour(NetworkTest):
    def plugin(self, name, script):
        path = Path("/opt/cni/bin", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#!/bin/sh\n" + script)
        path.chmod(0o755)

    def network_with(self, plugin):
        document = conflist()
        document["plugins"].append({"type": plugin})
        write_network(document)

    def create_fails(self, says, *flags, code=cocoon_e2e.FAILURE):
        self.c.fails(code, "vm", "create", *SMALL, *flags, "busybox", says=says)
        self.assert_clean()
        self.assertEqual(self.left(), set())

    def test_missing(self):
        self.network_with("nowhere")
        self.create_fails('needs CNI plugin "nowhere"', code=cocoon_e2e.NOT_FOUND)

    def test_fails_at_the_second_nic(self):
        self.plugin("second", """
[ "$CNI_COMMAND" = DEL ] && exit 0
[ "$CNI_IFNAME" = eth1 ] && { echo '{"code":11,"msg":"no second one"}'; exit 1; }
exec sed 's/.*"prevResult":\\(.*\\),"type".*/\\1/'
""")
        self.network_with("second")
        self.create_fails("NIC 1: .*no second one", "--nics", "2")

    def test_fails_once(self):
        """As portmap does when another VM is the first of a host at the same moment."""
        with tempfile.TemporaryDirectory() as folder:
            self.plugin("shy", f"""
echo "$CNI_COMMAND" >> {folder}/calls
[ "$CNI_COMMAND" = DEL ] && exit 0
mkdir {folder}/been 2>/dev/null && {{ echo '{{"code":11,"msg":"not yet"}}'; exit 1; }}
exec sed 's/.*"prevResult":\\(.*\\),"type".*/\\1/'
""")
            self.network_with("shy")
            self.create("--name", "second", "busybox")
            self.assertEqual(Path(folder, "calls").read_text().split(), ["ADD", "DEL", "ADD"])
            self.c.ok("vm", "rm", "second")
            self.assertEqual(self.left(), set())

    def test_garbage(self):
        for output in ("hello", "[]", '{"cniVersion":"1.0.0","ips":[{"address":"nonsense"}]}'):
            with self.subTest(output):
                self.plugin("garbage", f"[ \"$CNI_COMMAND\" = DEL ] || echo '{output}'\n")
                self.network_with("garbage")
                self.create_fails("")

    def test_hangs(self):
        self.plugin("hangs", "[ \"$CNI_COMMAND\" = DEL ] && exit 0\nsleep 300 & sleep 300\n")
        self.network_with("hangs")
        begun = time.monotonic()
        self.create_fails("no end in time")
        self.assertLess(time.monotonic() - begun, 60 if SLOW <= 2 else 180)

    def test_del_fails(self):
        self.plugin("sticky", """
[ "$CNI_COMMAND" = DEL ] && { echo '{"code":11,"msg":"stuck"}'; exit 1; }
exec sed 's/.*"prevResult":\\(.*\\),"type".*/\\1/'
""")
        self.network_with("sticky")
        self.create("--name", "stuck", "busybox")
        result = self.c.ok("vm", "rm", "stuck")   # the VM is gone, what is left is gc's
        self.assertRegex(result.err, "stuck.*cocoon gc")
        self.assertTrue(any(x.startswith("cache ") for x in self.left()))
        self.plugin("sticky", "exit 0\n")
        self.c.ok("gc")
        self.assertEqual(self.left(), set())

    def test_del_fails_while_the_vm_stays(self):
        """A NIC is taken off, and its plugin does not let go of it: everything else is."""
        self.plugin("sticky", """
[ "$CNI_COMMAND" = DEL ] && [ "$CNI_IFNAME" = eth1 ] && { echo '{"code":11,"msg":"stuck"}'; exit 1; }
[ "$CNI_COMMAND" = DEL ] && exit 0
exec sed 's/.*"prevResult":\\(.*\\),"type".*/\\1/'
""")
        self.network_with("sticky")
        vm = self.create("--name", "stuck", "--nics", "3", "busybox")
        result = self.c.ok("vm", "net", "stuck", "--nics", "1")
        self.assertRegex(result.err, "cocoon gc.*stuck")

        def devices():
            return {link["ifname"] for link in private_host.links(f"cocoon-{vm['id']}")} - {"lo"}
        self.assertEqual(devices(), {"eth0", "tap0"})

        def lost():
            return {p.name.rpartition("-")[2] for p in (self.c.root / "cni/cache/results").glob("*")}
        self.assertEqual(lost(), {"eth0", "eth1"})
        self.assertIn("stuck", self.c.ok("gc").err)
        self.assertEqual(lost(), {"eth0", "eth1"}, "it is tried again")
        self.plugin("sticky", "exit 0\n")
        self.assertIn("nic", self.c.ok("gc").out)
        self.assertEqual((lost(), devices()), ({"eth0"}, {"eth0", "tap0"}))

    def test_conflist_is_gone(self):
        self.create("--name", "orphan", "busybox")
        Path("/etc/cni/net.d/10-cocoon.conflist").unlink()
        self.c.ok("vm", "rm", "orphan")

    def test_two_engines(self):
        other = cocoon_e2e.Cocoon(cocoon_e2e.make_base("network-other"), self.config)
        self.addCleanup(cocoon_e2e.census.destroy, other.base)
        other.import_kernel("kernel")
        other.import_image("busybox")
        theirs = other.ok("vm", "create", *SMALL, "-o", "json", "busybox").json()
        mine = self.create("busybox")
        self.c.ok("gc")
        self.c.ok("vm", "rm", mine["id"])
        self.c.ok("gc")
        self.assertTrue(Path("/run/netns", f"cocoon-{theirs['id']}").exists())
        self.assertTrue(run("ip", "netns", "exec", f"cocoon-{theirs['id']}", "ip", "link", "show", "tap0"))
        other.empty()

    def test_many_in_parallel(self):
        count = 50 if cocoon_e2e.FULL else 12

        def one(number):
            vm = self.create("--name", f"many-{number}", "-p", f"{9000 + number}:80", "busybox")
            self.c.ok("vm", "rm", f"many-{number}")
            return vm["network_configs"][0]["network"]["ip"]
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            addresses = list(pool.map(one, range(count)))
        self.assertEqual(len(addresses), count)


if __name__ == "__main__":
    reason = private_host.missing()
    if reason:
        print(f"SKIPPED: {reason}")
        sys.exit(77)
    private_host.enter()
    cocoon_e2e.main()
