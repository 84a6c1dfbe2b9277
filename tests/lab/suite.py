#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs end-to-end suites inside the lab machine, on each of the given backends in turn.

    suite.py --backends 'qemu firecracker' -- TEST...

TEST: smoke, all, the name of a suite, or SUITE:TEST, where TEST is what unittest takes. Ends with a
summary and 0 (passed), 1 (something failed) or 77 (nothing failed, and some suite could not run).
"""

import argparse
import os
import re
import subprocess
import sys
import time
from pathlib import Path

E2E = Path(__file__).resolve().parents[1] / "e2e"
RESULTS = Path("/results")
# What every backend has to pass, and what some run here: QEMU runs the rest on the host.
ALL = ("smoke", "lifecycle", "data_disks", "disk", "console", "crash")
MORE = {"cloud-hypervisor": ("agent", "network", "snapshot", "cloud_hypervisor", "original_archive", "cloud_image"),
        "firecracker": ("agent", "network", "snapshot", "firecracker")}
SKIPPED = 77


def expand(backend, names):
    """[(suite, tests of it)]"""
    found = []
    for name in names:
        suite, _, test = name.partition(":")
        if name == "all":
            found += [(s, []) for s in ALL + MORE.get(backend, ())]
        elif (E2E / f"{suite}.py").exists():
            found.append((suite, [test] if test else []))
        else:
            sys.exit(f"lab: no suite {suite}; there are "
                     f"{', '.join(p.stem for p in sorted(E2E.glob('*.py')))}")
    return found


def run(backend, suite, tests):
    """Runs one suite, shows what it says as it comes and keeps it; returns (status, output)."""
    env = dict(os.environ, COCOON_TEST_BACKEND=backend)
    process = subprocess.Popen([sys.executable, "-u", "-B", E2E / f"{suite}.py", *tests], env=env,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True, errors="replace")
    lines = []
    with open(RESULTS / f"{backend}.{suite}.log", "a", encoding="utf-8") as log:
        for line in process.stdout:
            lines.append(line)
            log.write(line)
            log.flush()
            print(line, end="", flush=True)
    return process.wait(), "".join(lines)


def verdict(status):
    return {0: "passed", SKIPPED: "skipped"}.get(status, f"FAILED ({status})")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--backends", required=True)
    parser.add_argument("tests", nargs="+")
    options = parser.parse_args()
    rows = []
    for backend in options.backends.split():
        for suite, tests in expand(backend, options.tests):
            print(f"=== {backend}: {suite}", flush=True)
            begun = time.monotonic()
            status, output = run(backend, suite, tests)
            skips = re.findall(r"^SKIPPED: (.*)$", output, re.M)
            rows.append((backend, suite, status, time.monotonic() - begun, skips))
    print("=== summary")
    for backend, suite, status, seconds, skips in rows:
        print(f"{verdict(status):12} {seconds:5.0f} s  {backend}: {suite}")
        for skip in skips:
            print(f"lab skipped: {backend}: {suite}: {skip}")
    failed = [r for r in rows if r[2] not in (0, SKIPPED)]
    skipped = [r for r in rows if r[2] == SKIPPED]
    sys.exit(1 if failed else SKIPPED if skipped else 0)


if __name__ == "__main__":
    main()
