# SPDX-License-Identifier: Apache-2.0
"""A host network of a suite's own. The suite runs itself again in a network and mount namespace, so
that bridges, NAT rules, leases and namespaces are its own, and nothing of the machine's network is
touched. Everything is gone with the namespace, whatever happens.
"""

import ctypes
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

CLONE_NEWNS, CLONE_NEWNET = 0x00020000, 0x40000000
PRIVATE_DIRS = ("/run/netns", "/run/cocoon", "/run/cni", "/var/lib/cni", "/etc/cni", "/opt/cni")


def missing():
    """Why there can be no such host, or None."""
    if os.geteuid() != 0:
        return "not root"
    for program, package in (("ip", "iproute2"), ("tc", "iproute2"), ("iptables", "iptables"),
                             ("mount", "mount"), ("dnsmasq", "dnsmasq-base")):
        if not shutil.which(program):
            return f"no {program}; the package {package} has it"
    if not Path("/usr/lib/cni/bridge").exists():
        return "no CNI plugins; the package containernetworking-plugins has them"
    if not Path("/dev/net/tun").exists():
        return "no /dev/net/tun"
    return None


def enter():
    """Makes the namespaces for this process and its children."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS | CLONE_NEWNET) != 0:
        print(f"SKIPPED: no namespaces: {os.strerror(ctypes.get_errno())}")
        sys.exit(77)
    run("mount", "--make-rprivate", "/")
    for folder in PRIVATE_DIRS:
        os.makedirs(folder, exist_ok=True)
        run("mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", folder)
    os.makedirs("/etc/cni/net.d")
    # As udev has it on a real host: VMMs are not root.
    node = "/run/cocoon/tun"
    os.mknod(node, 0o020666, os.makedev(10, 200))
    os.chmod(node, 0o666)
    run("mount", "--bind", node, "/dev/net/tun")
    run("ip", "link", "set", "lo", "up")


def run(*argv, check=True, **how):
    """Runs a program; its output."""
    how.setdefault("timeout", 60)
    result = subprocess.run([str(a) for a in argv], capture_output=True, text=True, check=False, **how)
    if check and result.returncode != 0:
        raise AssertionError(f"{argv}: {result.returncode}\n{result.stdout}{result.stderr}")
    return result.stdout


def conflist(name="cocoon", *, bridge="cni0", subnet="10.88.0.0/16", ipam=None, ports=True, mtu=None,
             masquerade=True, dns=None, **more):
    main = {"type": "bridge", "bridge": bridge, "isGateway": True, "ipMasq": masquerade,
            "ipam": ipam if ipam is not None else
            {"type": "host-local", "ranges": [[{"subnet": subnet}]], "routes": [{"dst": "0.0.0.0/0"}]}}
    if mtu:
        main["mtu"] = mtu
    if dns:
        main["dns"] = {"nameservers": dns}
    main.update(more)
    plugins = [main]
    if ports:
        plugins.append({"type": "portmap", "capabilities": {"portMappings": True}})
    return {"cniVersion": "1.0.0", "name": name, "plugins": plugins}


def write_network(document, file="10-cocoon.conflist"):
    Path("/etc/cni/net.d", file).write_text(json.dumps(document))


def links(netns=None):
    where = ("-n", netns) if netns else ()
    return json.loads(run("ip", *where, "-d", "-j", "link") or "[]")


def census():
    """Everything that a VM's network leaves on a host, as a set of texts. The bridge and the files of
    an IPAM's network stay when their last user goes; that is the plugins' way."""
    found = {f"link {link['ifname']}" for link in links() if link.get("linkinfo", {}).get("info_kind")
             not in ("bridge",)}
    found |= {f"netns {p.name}" for p in Path("/run/netns").iterdir()}
    found |= {f"claim {p.name}" for p in Path("/run/cocoon/netns").glob("*")}
    for table in ("nat", "filter"):
        found |= {f"{table}: {line}" for line in run("iptables", "-t", table, "-S").splitlines()
                  if not line.startswith(("-P", "-N CNI-", "-A PREROUTING", "-A OUTPUT",
                                          "-A POSTROUTING -m comment --comment \"CNI portfwd requiring",
                                          "-A CNI-HOSTPORT-"))
                  or "cocoon-" in line or "id:" in line}
    found |= {f"lease {p}" for p in Path("/var/lib/cni/networks").glob("*/*")
              if p.name != "lock" and not p.name.startswith("last_reserved_ip")}
    return found
