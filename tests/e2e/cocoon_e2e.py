# SPDX-License-Identifier: Apache-2.0
"""Harness of the end-to-end suites: the built program, real guests, a store of its own per suite.

A suite is a unittest file that ends with ``cocoon_e2e.main()``. It gets, from the environment:

COCOON_BIN           the program under test (required)
COCOON_CACHE         where test assets and the suites' working directories live
COCOON_TEST_SLOW     factor on every deadline, for slow machines and sanitizer builds (default 1)
COCOON_TEST_FULL     1: everything, else a sample where a suite says so
COCOON_TEST_BACKEND  the hypervisor to run on (default qemu); see backends.py

Exit status: 0 all passed, 1 something failed, 77 nothing failed and something was skipped (the
reasons are printed). A test of what the backend cannot do is named, but is no reason for 77.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

import backends
import census

BIN = os.environ.get("COCOON_BIN", "")
CACHE = Path(os.environ.get("COCOON_CACHE") or "/var/cache/cocoon-dev")
ASSETS = CACHE / "assets"
IMAGES = ASSETS / "images"
SLOW = float(os.environ.get("COCOON_TEST_SLOW") or 1)
FULL = os.environ.get("COCOON_TEST_FULL") == "1"

# A guest under software emulation is up in 2 to 5 s; a busy host may need several times that.
BOOT_SECONDS = 60
# Settings of the machine, not of a test; everything else of ours is kept from the program.
PASSED_ON = ("COCOON_ACCEL", "COCOON_QEMU_BINARY", "COCOON_CH_BINARY", "COCOON_FC_BINARY",
             "COCOON_CH_FIRMWARE")
# Guests of the suites are small; the memory is the least that cocoon accepts.
SMALL = ("--cpu", "1", "--memory", "512M", "--nics", "0")

# Exit codes (design §11).
FAILURE, USAGE, NOT_FOUND, CONFLICT, UNSUPPORTED, INTERRUPTED = 1, 2, 3, 4, 5, 130


def wait_for(what, predicate, seconds=30.0, every=0.05):
    """Polls until predicate() is true and returns its value; AssertionError after the deadline.
    A predicate that takes long, as commands do on an emulated machine, gets a rest as long as it."""
    end = time.monotonic() + seconds * SLOW
    while True:
        asked = time.monotonic()
        value = predicate()
        if value:
            return value
        now = time.monotonic()
        if now >= end:
            raise AssertionError(f"waited {seconds * SLOW:.0f} s in vain for {what}")
        time.sleep(max(every, now - asked))


class Result:
    """How one command ended."""

    def __init__(self, argv, code, out, err):
        self.argv, self.code, self.out, self.err = argv, code, out, err

    def json(self):
        return json.loads(self.out)

    def __str__(self):
        return (f"$ {' '.join(map(str, self.argv))}\nexit status {self.code}\n"
                f"--- stdout\n{self.out}--- stderr\n{self.err}")


def check_sanitizers(result):
    """A report of a sanitizer is a failure, whatever the exit status says."""
    for mark in ("ERROR: AddressSanitizer", "runtime error:", "WARNING: ThreadSanitizer",
                 "ERROR: LeakSanitizer"):
        if mark in result.err:
            raise AssertionError(f"sanitizer report:\n{result}")


class Cocoon:
    """One store (root, run and log directory) below `base`, and the program that works on it."""

    def __init__(self, base, config=None):
        self.base = Path(base)
        self.root, self.run_dir, self.log = (self.base / n for n in ("root", "run", "log"))
        self.config = None
        if config is not None:
            self.config = self.base / "config.json"
            self.config.write_text(json.dumps(config))
        self.census = census.Census(self.base, self.root, self.run_dir, self.log)

    # --- running commands ---

    def argv(self, *args):
        argv = [BIN, "--root-dir", str(self.root), "--run-dir", str(self.run_dir),
                "--log-dir", str(self.log)]
        if self.config is not None:
            argv += ["--config", str(self.config)]
        return argv + [str(a) for a in backends.chosen(args)]

    @staticmethod
    def environment(extra=None):
        env = {k: v for k, v in os.environ.items()
               if not k.startswith("COCOON_") or k in PASSED_ON}
        env["LC_ALL"] = "C.UTF-8"
        env.update(extra or {})
        return env

    def run(self, *args, seconds=120, env=None, stdin=None, prefix=()):
        """Runs a command to its end. `prefix`: a program to run it through."""
        argv = [*prefix, *self.argv(*args)]
        process = subprocess.Popen(argv, env=self.environment(env), stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE,
                                   stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL)
        try:
            out, err = process.communicate(stdin, timeout=seconds * SLOW)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            result = Result(argv, "none: killed by the harness", text(out), text(err))
            raise AssertionError(f"no end after {seconds * SLOW:.0f} s\n{result}") from None
        result = Result(argv, process.returncode, text(out), text(err))
        check_sanitizers(result)
        return result

    def start(self, *args, env=None, **popen):
        """Starts a command and returns the Popen object."""
        popen.setdefault("stdin", subprocess.DEVNULL)
        popen.setdefault("stdout", subprocess.PIPE)
        popen.setdefault("stderr", subprocess.PIPE)
        return subprocess.Popen(self.argv(*args), env=self.environment(env), **popen)

    def ok(self, *args, **how):
        """Runs a command that has to succeed, without any error line."""
        result = self.run(*args, **how)
        if result.code != 0 or error_lines(result):
            raise AssertionError(f"should have succeeded\n{result}")
        return result

    def fails(self, code, *args, says=None, **how):
        """Runs a command that has to fail: with this exit code, one `Error:` line on stderr that
        matches the regular expression `says`, and nothing on stdout."""
        result = self.run(*args, **how)
        lines = error_lines(result)
        if result.code != code:
            raise AssertionError(f"exit status should have been {code}\n{result}")
        if len(lines) != 1:
            raise AssertionError(f"should have printed one Error: line\n{result}")
        if says is not None and not re.search(says, lines[0]):
            raise AssertionError(f"the Error: line should match /{says}/\n{result}")
        if result.out:
            raise AssertionError(f"should have left stdout empty\n{result}")
        return result

    # --- looking at VMs ---

    def list(self):
        return self.ok("vm", "list", "-o", "json").json()

    def inspect(self, vm):
        return self.ok("vm", "inspect", vm).json()

    def state(self, vm):
        return self.inspect(vm)["state"]

    def wait_state(self, vm, state, seconds=BOOT_SECONDS):
        """Waits until the VM is in that state and returns its record."""
        seen = {}

        def check():
            seen.update(self.inspect(vm))
            return seen["state"] == state
        try:
            wait_for(f"VM {vm} to be {state}", check, seconds, every=0.2)
        except AssertionError as error:
            raise AssertionError(f"{error}; it is {json.dumps(seen, indent=2)}") from None
        return seen

    def vm_dir(self, vm_id):
        return self.run_dir / backends.DIRECTORY / vm_id

    def console_text(self, vm_id):
        """All that is kept of the guest's console, oldest first (console.log.1 is newer than .2)."""
        folder = self.log / backends.DIRECTORY / vm_id
        files = sorted(folder.glob("console.log*"),
                       key=lambda p: -int(p.suffix[1:]) if p.suffix[1:].isdigit() else 1)
        return "".join(text(p.read_bytes()) for p in files)

    def wait_console(self, vm_id, pattern, seconds=BOOT_SECONDS):
        """Waits until the console log matches; returns the match."""
        return wait_for(f"/{pattern}/ on the console of {vm_id}",
                        lambda: re.search(pattern, self.console_text(vm_id), re.M), seconds, 0.1)

    def shim_pid(self, vm_id):
        """The pid of the VM's shim, or None."""
        folder = str(self.vm_dir(vm_id))
        for process in census.processes():
            if process.argv and os.path.basename(process.argv[0]) == "cocoon-shim" \
                    and folder in process.argv:
                return process.pid
        return None

    def run_vm(self, *args, seconds=BOOT_SECONDS, env=None):
        """`vm run` of a small VM; returns its record. args as after `vm run`, flags first."""
        return self.ok("vm", "run", *SMALL, "-o", "json", *args, seconds=seconds, env=env).json()

    def create_vm(self, *args, env=None):
        return self.ok("vm", "create", *SMALL, "-o", "json", *args, env=env).json()

    # --- store ---

    def import_kernel(self, which="kernel-small", name="debian"):
        folder = ASSETS / which
        version = (folder / ".complete").read_text().strip()
        self.ok("kernel", "import", name, "--kernel", folder / "boot" / f"vmlinuz-{version}",
                "--modules", folder / "lib" / "modules" / version, seconds=300)

    def import_image(self, name, file=None):
        self.ok("image", "import", name, file or IMAGES / f"{name}.tar", seconds=300)

    def remove_vms(self):
        """Removes all VMs; what the tests do at their end."""
        vms = self.list()
        if vms:
            self.ok("vm", "rm", "--force", *(vm["id"] for vm in vms))

    def settle_kvm(self):
        """Has the store find out that KVM is usable, which it then remembers. The measurement has a
        time limit that an emulated machine on a busy host may miss, so it has some attempts."""
        for _ in range(5):
            checks = self.ok("doctor", "-o", "json").json()["checks"]
            if any(c["name"] == "kvm" and c["status"] == "pass" for c in checks):
                return
            (self.run_dir / "kvm-probe").unlink(missing_ok=True)
        raise AssertionError(f"KVM is demanded and not usable: {checks}")

    def empty(self):
        """Removes VMs, images and kernels the way a user would."""
        self.remove_vms()
        for image in self.ok("image", "list", "-o", "json").json():
            self.ok("image", "rm", image["name"])
        for kernel in self.ok("kernel", "list", "-o", "json").json():
            self.ok("kernel", "rm", kernel["name"])
        self.ok("gc")

    def report(self):
        """Everything that helps to understand a failure, as text."""
        parts = []
        if self.root.exists():
            parts.append(str(self.run("vm", "list", seconds=30)))
        for folder in sorted(self.log.glob("*/*")):
            parts.append(str(self.run("vm", "inspect", folder.name, seconds=30)))
            for file in sorted(folder.iterdir()):
                parts.append(f"--- {file}\n{text(file.read_bytes()[-12000:])}")
        parts.append("--- census\n" + "\n".join(self.census.everything()))
        return "\n".join(parts)


def text(data):
    return (data or b"").decode("utf-8", "replace")


def error_lines(result):
    return [line for line in result.err.splitlines() if line.startswith("Error:")]


class StoreTest(unittest.TestCase):
    """Tests that share one store. The class says what is imported; each test must leave no VM
    behind, and after the last one the store must be empty again."""

    kernel = "kernel-small"   # asset to import as the default kernel; None: none
    images = ("busybox",)     # assets to import under their own names
    config = None             # content of the config file
    capabilities = ()         # what the backend must have for any of these tests

    maxDiff = None

    @classmethod
    def setUpClass(cls):
        for capability in cls.capabilities:
            cls.need(capability)
        base = make_base(Path(sys.argv[0]).stem)
        cls.addClassCleanup(census.destroy, base)
        cls.c = Cocoon(base, cls.config)
        if os.environ.get("COCOON_ACCEL") == "kvm":
            cls.c.settle_kvm()
        if cls.kernel:
            cls.c.import_kernel(cls.kernel)
        for image in cls.images:
            cls.c.import_image(image)
        cls.addClassCleanup(cls.check_end)
        cls.rows = cls.c.census.rows()

    @staticmethod
    def need(capability):
        """Skips the test on a backend that cannot do that."""
        if not backends.has(capability):
            raise unittest.SkipTest(f"{backends.NAME} lacks the capability {capability}")

    @staticmethod
    def need_lack(capability):
        """Skips the test of a refusal on a backend that refuses nothing."""
        if backends.has(capability):
            raise unittest.SkipTest(f"{backends.NAME} has the capability {capability}")

    @classmethod
    def check_end(cls):
        cls.c.empty()
        cls.c.census.assert_empty()

    def tearDown(self):
        self.c.remove_vms()
        self.assert_clean()

    def assert_clean(self):
        """No VM and nothing of one; images and kernels as at the start of the class."""
        self.c.census.assert_no_vms()
        rows = self.c.census.rows()   # before its first use a store has not even tables
        self.assertEqual({t: r for t, r in rows.items() if r and t != "meta"},
                         {t: r for t, r in self.rows.items() if r and t != "meta"})

    def _callTestMethod(self, method):
        try:
            method()
        except unittest.SkipTest:
            raise
        except BaseException:
            report_failure(self.id(), self.c)
            raise


def report_failure(name, cocoon):
    try:
        report = cocoon.report()
    except Exception as error:  # the report must never hide the failure itself
        report = f"no report: {error!r}"
    print(f"\n===== {name} failed; the state at that moment:\n{report}\n=====", file=sys.stderr, flush=True)


def make_base(suite):
    """A directory of this process's own on the cache's file system, with a short path."""
    parent = CACHE / "e2e"
    parent.mkdir(parents=True, exist_ok=True)
    census.destroy_stale(parent)
    return Path(tempfile.mkdtemp(prefix=f"{suite}-{os.getpid()}-", dir=parent))


def missing_requirement(needs):
    """The reason why this machine cannot run the suite, or None."""
    if "root" in needs and os.geteuid() != 0:
        return "not root"
    if "vmm" in needs and backends.missing_program():
        return backends.missing_program()
    if "assets" in needs and not ((ASSETS / "kernel-small" / ".complete").exists()
                                  and (IMAGES / "own-kernel.tar").exists()):
        return f"no test assets in {ASSETS}; scripts/test-assets builds them"
    if "mkfs.erofs" in needs and not shutil.which("mkfs.erofs"):
        return "no mkfs.erofs; scripts/setup run installs it"
    return None


class NamedResult(unittest.TextTestResult):
    """Prints each test with its time, so that a slow one is seen in the log."""

    def startTest(self, test):
        self.begun = time.monotonic()
        super().startTest(test)

    def addSuccess(self, test):
        unittest.TestResult.addSuccess(self, test)
        self.stream.writeln(f"ok ({time.monotonic() - self.begun:.1f} s)")
        self.stream.flush()


def is_lack(reason):
    """Does a skip tell of something that this machine lacks? Not what a capability of the backend
    explains, nor what only the full tier runs."""
    return not backends.inapplicable(reason) and not reason.endswith("COCOON_TEST_FULL=1")


def main(needs=("root", "vmm", "mkfs.erofs", "assets")):
    if not BIN:
        sys.exit("COCOON_BIN must name the program under test")
    # ctest ends a suite that takes too long with SIGTERM; clean-up has to run then as well.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))
    reason = missing_requirement(needs)
    if reason:
        print(f"SKIPPED: {reason}")
        sys.exit(77)
    runner = unittest.TextTestRunner(verbosity=2, resultclass=NamedResult)
    result = unittest.main(exit=False, testRunner=runner, module="__main__").result
    for test, reason in result.skipped:
        print(f"SKIPPED: {test.id()}: {reason}")
    if not result.wasSuccessful():
        sys.exit(1)
    if result.testsRun == 0:
        sys.exit("no test ran")
    sys.exit(77 if any(is_lack(reason) for _, reason in result.skipped) else 0)
