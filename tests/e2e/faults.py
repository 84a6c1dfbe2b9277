# SPDX-License-Identifier: Apache-2.0
"""Ends a command as kill -9 would at each of its recorded side effects in turn. One more command and
`gc` must then bring everything back in order. Needs a build with COCOON_FAULTS=ON.

The first tier takes a sample of the side effects, spread evenly; COCOON_TEST_FULL=1 takes them all.
"""

import shutil
import signal
from pathlib import Path

import census
import cocoon_e2e
import registry
from cocoon_e2e import ASSETS, IMAGES, SMALL
from sweep import Sweep

SLEEP = ("busybox", "--", "/bin/sleep", "1000")


class Faults(Sweep):
    def recover(self):
        """What the next user does: looks, collects garbage, and removes what is listed."""
        vms = self.c.list()
        self.assertNotIn("creating", {vm["state"] for vm in vms}, vms)
        self.assertEqual({str(vm["op"]) for vm in vms} - {"None"}, set())
        self.c.ok("gc")
        known = {vm["id"] for vm in vms}
        self.assertEqual({vm["id"] for vm in self.c.list()}, known, "gc must not remove a finished VM")
        self.c.remove_vms()
        for kind, keep in (("image", "busybox"), ("kernel", "debian")):
            for thing in self.c.ok(kind, "list", "-o", "json").json():
                if thing["name"] != keep:
                    self.c.ok(kind, "rm", thing["name"])
        self.c.ok("gc")
        self.assert_clean()

    # --- the commands ---

    def test_vm_create(self):
        self.sweep(("vm", "create", *SMALL, "--name", "made", *SLEEP), again="made")

    def test_vm_run(self):
        self.sweep(("vm", "run", *SMALL, "--name", "made", *SLEEP))

    def test_vm_start(self):
        self.sweep(("vm", "start", "made"), lambda: self.c.create_vm("--name", "made", *SLEEP))

    def test_vm_start_with_the_user_network(self):
        self.need("user_network")
        routes = [line.split() for line in Path("/proc/net/route").read_text().splitlines()[1:]]
        if not shutil.which("passt") or not any(route[1] == "00000000" for route in routes):
            self.skipTest("no passt, or no way out for it to imitate")
        uids = set()

        def prepare():
            uids.add(self.c.create_vm("--name", "made", "--network", "user", *SLEEP)["uid"])
        self.sweep(("vm", "start", "made"), prepare)
        # passt hides in a file system of its own: only its uid says whose it is.
        self.assertEqual([str(p) for p in census.processes() if p.uid in uids], [])

    def test_vm_stop(self):
        tidy_up = self.recover

        def recover():
            self.assertIn(self.c.state("made"), ("running", "stopped"))   # no error: it was asked to end
            tidy_up()
        self.recover = recover
        self.sweep(("vm", "stop", "--force", "made"), lambda: self.c.run_vm("--name", "made", *SLEEP))

    def test_vm_rm(self):
        self.sweep(("vm", "rm", "made"), lambda: self.c.create_vm("--name", "made", *SLEEP))

    def test_vm_rm_of_a_running_vm(self):
        self.sweep(("vm", "rm", "--force", "made"), lambda: self.c.run_vm("--name", "made", *SLEEP))

    def test_vm_disk_attach(self):
        self.sweep(("vm", "disk", "attach", "made", "size=16M,name=db"),
                   lambda: self.c.create_vm("--name", "made", *SLEEP))

    def test_vm_disk_attach_to_a_running_vm(self):
        self.sweep(("vm", "disk", "attach", "made", "size=16M,name=db"),
                   lambda: self.c.run_vm("--name", "made", *SLEEP))

    def test_vm_disk_detach(self):
        self.sweep(("vm", "disk", "detach", "--delete", "made", "db"),
                   lambda: self.c.create_vm("--name", "made", "--data-disk", "size=16M,name=db", *SLEEP))

    def test_vm_disk_resize(self):
        self.sweep(("vm", "disk", "resize", "made", "root", "11G"),
                   lambda: self.c.create_vm("--name", "made", *SLEEP))

    def test_image_import(self):
        self.sweep(("image", "import", "app", IMAGES / "app-docker.tar"))

    def test_image_pull(self):
        server = registry.FakeRegistry()
        self.addCleanup(server.stop)
        reference = server.add(registry.Image([registry.layer(a=b"1"), registry.layer(b=b"2")]))
        self.sweep(("image", "pull", reference))

    def test_image_pull_of_a_disk(self):
        server = registry.FakeRegistry()
        self.addCleanup(server.stop)
        disk = bytes(512) + b"EFI PART" + bytes((1 << 20) - 520)
        server.fault = lambda request, *_: registry.send_range(request, disk) or True
        self.sweep(("image", "pull", f"http://{server.host}/disk.img"))

    def test_image_rm_and_gc(self):
        self.sweep(("image", "rm", "app"), lambda: self.c.import_image("app", IMAGES / "app-docker.tar"))

        def removed():
            self.c.import_image("app", IMAGES / "app-docker.tar")
            self.c.ok("image", "rm", "app")
        self.sweep(("gc",), removed)

    def kernel_import(self):
        folder = ASSETS / "kernel-small"
        version = (folder / ".complete").read_text().strip()
        other = self.c.base / "vmlinuz-other"   # other bytes, so that it is another object
        if not other.exists():
            other.write_bytes((folder / "boot" / f"vmlinuz-{version}").read_bytes() + bytes(512))
        return ("kernel", "import", "other", "--kernel", other,
                "--modules", folder / "lib" / "modules" / version)

    def test_kernel_import(self):
        self.sweep(self.kernel_import())

    def test_kernel_rm(self):
        self.sweep(("kernel", "rm", "other"), lambda: self.c.ok(*self.kernel_import(), seconds=300))

    def test_a_live_vm_is_never_touched(self):
        vm = self.c.run_vm("--name", "bystander", "busybox", "--", "/bin/sh", "-c",
                           "while :; do echo alive-$((i=i+1)); sleep 1; done")
        self.c.wait_console(vm["id"], "alive-1")
        for command in (("vm", "run", *SMALL, "--name", "made", *SLEEP), ("vm", "rm", "--force", "made")):
            for point in (2, 5, 9, 14, 20):
                with self.subTest(command=command[:2], point=point):
                    if command[1] == "rm" and not any(v["config"]["name"] == "made" for v in self.c.list()):
                        self.c.run_vm("--name", "made", *SLEEP)
                    self.c.run(*command, env={"COCOON_FAULT": str(point)})
                    self.c.ok("gc")
                    record = self.c.inspect("bystander")
                    self.assertEqual((record["state"], record["pid"]), ("running", vm["pid"]))
                    for other in self.c.list():
                        if other["id"] != vm["id"] and command[1] == "run":
                            self.c.ok("vm", "rm", "--force", other["id"])
        seen = len(self.c.console_text(vm["id"]).splitlines())
        cocoon_e2e.wait_for("the bystander to go on", lambda:
                            len(self.c.console_text(vm["id"]).splitlines()) > seen + 1, 20)


if __name__ == "__main__":
    cocoon_e2e.main()
