# SPDX-License-Identifier: Apache-2.0
"""The hypervisor that a suite runs on (COCOON_TEST_BACKEND, default qemu) and what it can do.

The suites are written once. Where backends differ, a test asks ``has(capability)``, or says what it
cannot do without by ``StoreTest.need(capability)``; its skip then names the capability.
"""

import os
import shutil
from pathlib import Path

NAME = os.environ.get("COCOON_TEST_BACKEND") or "qemu"

# The capabilities that tests ask for, by the names of vmm/capabilities.h, and who has them.
CAPABILITIES = {
    "qemu": {"uefi", "qcow2", "disk_serials", "per_disk_direct_io", "reboot_in_place",
             "software_emulation"},
    "cloud-hypervisor": {"uefi", "qcow2", "disk_serials", "per_disk_direct_io", "reboot_in_place",
                         "windows"},
    "firecracker": set(),
}
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
LACKS = "lacks the capability"


def has(capability):
    return capability in CAPABILITIES[NAME]


def lack(capability):
    """Why a test that needs the capability is skipped, or None."""
    return None if has(capability) else f"{NAME} {LACKS} {capability}"


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
