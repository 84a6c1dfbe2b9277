# SPDX-License-Identifier: Apache-2.0
"""What users get wrong, and hosts that lack something: one Error: line, the right exit code, nothing
left behind."""

import os
import subprocess

import cocoon_e2e
from cocoon_e2e import (CONFLICT, FAILURE, IMAGES, NOT_FOUND, SMALL, UNSUPPORTED, USAGE, Cocoon,
                        StoreTest)


class References(StoreTest):
    def test_unknown_things(self):
        for command, says in (
                (("vm", "create", *SMALL, "no-such-image"), "image not found"),
                (("vm", "run", *SMALL, "no-such-image"), "image not found"),
                (("vm", "create", *SMALL, "--kernel", "no-such-kernel", "busybox"), "kernel not found"),
                (("vm", "inspect", "no-such-vm"), "vm not found"),
                (("vm", "start", "no-such-vm"), "vm not found"),
                (("vm", "stop", "no-such-vm"), "vm not found"),
                (("vm", "restart", "no-such-vm"), "vm not found"),
                (("vm", "rm", "no-such-vm"), "vm not found"),
                (("vm", "logs", "no-such-vm"), "vm not found"),
                (("image", "inspect", "no-such-image"), "image not found"),
                (("image", "rm", "no-such-image"), "image not found"),
                (("kernel", "inspect", "no-such-kernel"), "kernel not found"),
                (("kernel", "rm", "no-such-kernel"), "kernel not found"),
                (("kernel", "default", "no-such-kernel"), "kernel not found")):
            with self.subTest(command=command):
                self.c.fails(NOT_FOUND, *command, says=says)
                self.assert_clean()

    def test_ambiguous_prefix(self):
        vms = [self.c.create_vm("busybox")]
        # IDs are random base32: with enough of them two share a prefix of three characters.
        while not (prefix := shared_prefix([vm["id"] for vm in vms])):
            self.assertLess(len(vms), 1000)
            # Names never count as prefixes, so the IDs alone decide.
            for _ in range(20):
                self.c.ok("vm", "create", *SMALL, "busybox")
            vms = self.c.list()
        self.c.fails(CONFLICT, "vm", "inspect", prefix, says="ambiguous")
        self.c.fails(CONFLICT, "vm", "rm", "--force", prefix, says="ambiguous")
        unique = next(vm["id"] for vm in vms if not vm["id"].startswith(prefix))
        self.assertEqual(self.c.inspect(unique[:8])["id"], unique)
        self.c.fails(NOT_FOUND, "vm", "inspect", unique[:2])   # too short for a prefix
        # One bad reference and nothing is done.
        self.c.fails(NOT_FOUND, "vm", "rm", unique, "no-such-vm")
        self.assertEqual(len(self.c.list()), len(vms))

    def test_taken_name(self):
        self.c.create_vm("--name", "taken", "busybox")
        self.c.fails(CONFLICT, "vm", "create", *SMALL, "--name", "taken", "busybox", says="already exists")
        self.assertEqual(len(self.c.list()), 1)


def shared_prefix(ids):
    seen = set()
    for vm_id in ids:
        if vm_id[:3] in seen:
            return vm_id[:3]
        seen.add(vm_id[:3])
    return None


class Values(StoreTest):
    def test_bad_flags(self):
        for flags in (
                ("--name", "-dash"), ("--name", "a b"), ("--name", "a/b"), ("--name", "../x"),
                ("--name", "a" * 64), ("--name", "naïve"), ("--name", "new\nline"),
                ("--memory", "511M"), ("--memory", "0"), ("--memory", "-1G"), ("--memory", "1GG"),
                ("--memory", "much"), ("--memory", ""), ("--memory", "9999999999999T"),
                ("--storage", "1G"), ("--storage", "G"), ("--storage", "-10G"),
                ("--cpu", "0"), ("--cpu", "-1"), ("--cpu", "two"), ("--cpu", "99999999999999999999"),
                ("--nics", "-1"), ("--nics", "one"), ("-e", "=value"), ("-o", "xml"),
                ("--backend", "vmware"), ("--memory-backing", "cloud"), ("--no-such-flag",),
                ("--queue-size", "-1")):
            with self.subTest(flags=flags):
                self.c.fails(USAGE, "vm", "create", "--nics", "0", *flags, "busybox")
                self.assert_clean()

    def test_bad_commands(self):
        for command in (("vm", "create"), ("vm", "bogus"), ("bogus",), ("vm", "start"), ("vm", "rm"),
                        ("image", "import"), ("vm", "list", "extra"), ("version", "extra"),
                        ("vm", "stop", "x", "--timeout", "-1"), ("vm", "list", "-o", "xml"),
                        ("completion", "tcsh"), ("kernel", "import", "k"),
                        ("image", "import", "", IMAGES / "busybox.tar"),
                        ("image", "import", "bad\nname", IMAGES / "busybox.tar")):
            with self.subTest(command=command):
                self.c.fails(USAGE, *command)

    def test_bad_files(self):
        for command in (("image", "import", "x", "/no/such/file"),
                        ("kernel", "import", "x", "--kernel", "/no/such/kernel")):
            with self.subTest(command=command):
                result = self.c.run(*command)
                self.assertIn(result.code, (FAILURE, USAGE, NOT_FOUND), result)
                self.assertEqual(len(cocoon_e2e.error_lines(result)), 1, result)
                self.assert_clean()

    def test_not_a_kernel(self):
        file = self.c.base / "text"
        file.write_text("this is no kernel\n" * 1000)
        result = self.c.run("kernel", "import", "x", "--kernel", file)
        self.assertIn(result.code, (FAILURE, USAGE), result)
        self.assertEqual(len(cocoon_e2e.error_lines(result)), 1, result)
        self.assert_clean()

    def test_more_cpus_than_the_host_has(self):
        result = self.c.run("vm", "create", "--cpu", str((os.cpu_count() or 1) + 1), "--nics", "0", "busybox")
        self.assertIn(result.code, (USAGE, UNSUPPORTED), result)
        self.assertEqual(len(cocoon_e2e.error_lines(result)), 1, result)
        self.assert_clean()

    def test_json_for_failures(self):
        result = self.c.run("vm", "rm", "-o", "json", "no-such-vm")
        self.assertEqual(result.code, NOT_FOUND, result)
        document = result.json()
        self.assertEqual(document["succeeded"], [])
        self.assertEqual([(f["id"], f["kind"]) for f in document["failed"]], [("no-such-vm", "not_found")])
        self.assertIn("vm not found", document["failed"][0]["error"])

    def test_bad_configuration(self):
        for content in ("{", '{"stop_timeout_seconds": 0}', '{"dns": "not-an-address"}',
                        '{"stop_timeout_seconds": "soon"}', '{"log": {"level": "loud"}}', "[]"):
            with self.subTest(content=content):
                config = self.c.base / "bad.json"
                config.write_text(content)
                result = self.c.run("--config", config, "version")
                self.assertEqual(result.code, USAGE, result)
                self.assertEqual(len(cocoon_e2e.error_lines(result)), 1, result)


class Host(StoreTest):
    """Hosts that lack something."""

    def test_no_qemu(self):
        env = {"COCOON_QEMU_BINARY": "/nonexistent"}
        for verb in ("create", "run"):
            self.c.fails(UNSUPPORTED, "vm", verb, *SMALL, "busybox", env=env, says="/nonexistent")
            self.assert_clean()

    def test_qemu_goes_away(self):
        self.c.create_vm("--name", "later", "busybox", "--", "/bin/true")
        result = self.c.run("vm", "start", "later", env={"COCOON_QEMU_BINARY": "/nonexistent"})
        self.assertIn(result.code, (FAILURE, UNSUPPORTED), result)
        self.assertIn("/nonexistent", result.err)
        self.c.ok("vm", "start", "later")
        self.c.wait_state("later", "stopped")

    def test_qemu_that_refuses(self):
        fake = self.c.base / "fake-qemu"
        fake.write_text('#!/bin/sh\ncase "$*" in *-version*) exec qemu-system-x86_64 "$@";; esac\n'
                        'echo "fake-qemu: no thanks" >&2\nexit 1\n')
        fake.chmod(0o755)
        env = {"COCOON_QEMU_BINARY": str(fake)}
        for parent in fake.parents:   # the VMM's uid has to reach it
            if parent == cocoon_e2e.CACHE / "e2e":
                break
            parent.chmod(parent.stat().st_mode | 0o011)
        result = self.c.run("vm", "run", *SMALL, "--name", "refused", "busybox", env=env)
        self.assertEqual(result.code, FAILURE, result)
        self.assertRegex(result.err, r"(?m)^Error: .*no thanks")
        self.assertEqual(self.c.state("refused"), "error")
        self.c.ok("vm", "rm", "refused")

    def test_kvm_demanded_and_not_usable(self):
        # In a mount namespace of its own, /dev/kvm is something else: there is no KVM for sure.
        hide = ("unshare", "--mount", "sh", "-c",
                'if [ -e /dev/kvm ]; then mount --bind /dev/null /dev/kvm; fi; exec "$@"', "sh")
        self.c.create_vm("--name", "kvm", "busybox", "--", "/bin/true")
        self.c.fails(UNSUPPORTED, "vm", "start", "kvm", env={"COCOON_ACCEL": "kvm"}, prefix=hide,
                     says="/dev/kvm")
        result = self.c.ok("vm", "start", "kvm", env={"COCOON_ACCEL": "tcg"}, prefix=hide)
        self.c.wait_state("kvm", "stopped")
        self.c.fails(USAGE, "vm", "start", "kvm", env={"COCOON_ACCEL": "magic"})

    def test_no_mkfs(self):
        env = {"PATH": "/nonexistent"}
        result = self.c.run("vm", "create", *SMALL, "busybox", env=env)
        self.assertIn(result.code, (FAILURE, UNSUPPORTED), result)
        self.assertEqual(len(cocoon_e2e.error_lines(result)), 1, result)
        self.assert_clean()

    def test_root_and_run_on_different_file_systems(self):
        if os.stat("/dev/shm").st_dev == os.stat(self.c.base).st_dev:
            self.skipTest("/dev/shm is on the cache's file system")
        run = f"/dev/shm/cocoon-e2e-{os.getpid()}"
        self.addCleanup(subprocess.run, ["rm", "-rf", run], check=True)
        self.c.fails(UNSUPPORTED, "--run-dir", run, "vm", "create", *SMALL, "busybox",
                     says="different file systems")

    def test_memory_that_does_not_fit(self):
        # More than any tmpfs here can have free: refused before anything starts.
        self.c.create_vm("--name", "huge", "--memory", "64T", "busybox")
        result = self.c.run("vm", "start", "huge")
        self.assertIn(result.code, (FAILURE, UNSUPPORTED), result)
        self.assertRegex(result.err, r"(?m)^Error: .*memory")
        self.c.ok("vm", "rm", "huge")


class NoKernel(StoreTest):
    kernel = None

    def test_image_without_a_kernel_and_no_default(self):
        self.c.fails(NOT_FOUND, "vm", "create", *SMALL, "busybox", says="kernel")
        self.assert_clean()


class EmptyStore(cocoon_e2e.unittest.TestCase):
    """Reading an empty store is no error, and JSON is always JSON."""

    def test_lists(self):
        base = cocoon_e2e.make_base("empty")
        self.addCleanup(cocoon_e2e.census.destroy, base)
        cocoon = Cocoon(base)
        for thing in ("vm", "image", "kernel"):
            self.assertEqual(cocoon.ok(thing, "list", "-o", "json").json(), [])
            cocoon.ok(thing, "list")
        cocoon.ok("gc")
        cocoon.ok("gc", "--dry-run")
        cocoon.ok("version")
        for shell in ("bash", "zsh", "fish"):
            self.assertIn("cocoon", cocoon.ok("completion", shell).out)
        cocoon.census.assert_empty()


class Light(cocoon_e2e.unittest.TestCase):
    """The program that runs for every `vm` verb links nothing heavy (design decision 9)."""

    def test_libraries(self):
        linked = subprocess.run(["ldd", cocoon_e2e.BIN], capture_output=True, text=True, check=True).stdout
        for heavy in ("libarchive", "libcurl", "libssl", "libcrypto", "libzstd"):
            self.assertNotIn(heavy, linked)


if __name__ == "__main__":
    cocoon_e2e.main()
