# SPDX-License-Identifier: Apache-2.0
"""The hypervisor that a suite runs on (COCOON_TEST_BACKEND, default qemu) and what it can do.

The suites are written once. Where backends differ, a test asks ``has(capability)``, or says by
``StoreTest.need(capability)`` what it cannot do without, and by ``StoreTest.need_lack(capability)``
that it is about the refusal; a skip then names the backend and the capability.
"""

import os
import re
import shutil
from pathlib import Path

NAME = os.environ.get("COCOON_TEST_BACKEND") or "qemu"

# The capabilities that tests ask for, and who has them. It is what we expect, not what the program
# says: a backend that forgot one would have its tests skipped. lifecycle.py compares the two.
CAPABILITIES = {
    "qemu": {"uefi", "qcow2", "disk_serials", "per_disk_direct_io", "reboot_in_place",
             "compressed_kernel", "hotplug", "software_emulation", "snapshots", "incremental"},
    "cloud-hypervisor": {"uefi", "qcow2", "disk_serials", "per_disk_direct_io", "reboot_in_place",
                         "compressed_kernel", "hotplug", "windows", "snapshots", "mmap_restore",
                         "ondemand_restore", "incremental", "nic_swap"},
    "firecracker": {"snapshots", "mmap_restore", "incremental"},
}
# Those of them that the program reports under the same name.
REPORTED = ("uefi", "qcow2", "disk_serials", "per_disk_direct_io", "hotplug", "reboot_in_place",
            "windows", "snapshots", "mmap_restore", "ondemand_restore", "incremental",
            "nic_swap")
# Program, variable that names another one, how to get it.
PROGRAMS = {
    "qemu": ("qemu-system-x86_64", "COCOON_QEMU_BINARY", "scripts/setup run installs it"),
    "cloud-hypervisor": ("cloud-hypervisor", "COCOON_CH_BINARY", "name it with COCOON_CH_BINARY"),
    "firecracker": ("firecracker", "COCOON_FC_BINARY", "name it with COCOON_FC_BINARY"),
}
if NAME not in PROGRAMS:
    raise SystemExit(f"COCOON_TEST_BACKEND={NAME}: there are {', '.join(PROGRAMS)}")

# Its directory below run and log.
DIRECTORY = NAME.replace("-", "")


def has(capability):
    return capability in CAPABILITIES[NAME]


def inapplicable(reason):
    """True for a skip that a capability explains: nothing on this machine is missing."""
    return re.match(rf"{NAME} (has|lacks) the capability \w+$", reason) is not None


def missing_program():
    """Why this machine cannot run the backend, or None."""
    program, variable, remedy = PROGRAMS[NAME]
    if os.environ.get(variable) or shutil.which(program):
        return None
    return f"no {program}; {remedy}"


def missing_firmware():
    """Why guests cannot boot through UEFI here, or None."""
    if NAME != "cloud-hypervisor":
        return None
    named = os.environ.get("COCOON_CH_FIRMWARE")
    if named and Path(named).exists() or Path("/usr/local/share/cloud-hypervisor/CLOUDHV.fd").exists():
        return None
    return "no CLOUDHV firmware; name one with COCOON_CH_FIRMWARE"


def chosen(args):
    """The arguments of a command, with the backend where one is chosen."""
    if args[:1] != ("vm",) or args[1:2] not in (("create",), ("run",), ("debug",)):
        return args
    flags = args[:args.index("--")] if "--" in args else args
    if {"--backend", "--fc", "--qemu"} & set(flags):
        return args
    return (*args[:2], "--backend", NAME, *args[2:])
