# SPDX-License-Identifier: Apache-2.0
"""Ends save, clone, restore, hibernate, export and import as kill -9 would at each of their recorded side effects. The
source must run on, and one `gc` brings the host to a clean census. Needs a build with COCOON_FAULTS=ON.
"""

import os
import shutil

import backends
import cocoon_e2e
from cocoon_e2e import SMALL, Cocoon, wait_for
from sweep import Sweep

COUNT = ("busybox", "--", "/bin/sh", "-c",
         "i=0; while true; do i=$((i+1)); echo $i > /run/next; mv /run/next /run/count; sleep 0.2; done")


class SnapshotFaults(Sweep):
    capabilities = ("snapshots",)

    def source(self):
        """A running guest; the one of the point before, where it still runs."""
        if not any(vm["config"]["name"] == "src" and vm["state"] == "running" for vm in self.c.list()):
            self.remove_all()
            self.c.run_vm("--name", "src", "--wait", "--data-disk", "size=16M,name=db", *COUNT, seconds=180)
        wait_for("the guest to count", lambda: self.count() > 0, 60)

    def saved(self):
        self.source()
        if not self.c.ok("snapshot", "list", "-o", "json").json():
            self.c.ok("snapshot", "save", "--name", "base", "src", seconds=300)

    def count(self):
        shown = self.c.run("vm", "exec", "src", "--", "cat", "/run/count", seconds=120).out.strip()
        return int(shown) if shown.isdigit() else 0

    def remove_all(self):
        self.c.remove_vms()
        ids = [s["id"] for s in self.c.ok("snapshot", "list", "-o", "json").json()]
        if ids:
            self.c.ok("snapshot", "rm", *ids)

    def tearDown(self):
        self.remove_all()
        super().tearDown()

    def settle(self):
        """Looks, as the next user does, and collects; everything but source and base goes."""
        vms = self.c.list()
        self.assertNotIn("creating", {vm["state"] for vm in vms}, vms)
        self.assertEqual({str(vm["op"]) for vm in vms} - {"None"}, set())
        self.c.ok("gc")
        for vm in self.c.list():
            if vm["config"]["name"] != "src":
                self.c.ok("vm", "rm", "--force", vm["id"])
        for snapshot in self.c.ok("snapshot", "list", "-o", "json").json():
            if snapshot["name"] != "base" and not snapshot.get("hibernated"):
                self.c.ok("snapshot", "rm", snapshot["id"])
        self.c.ok("gc")
        source = [vm for vm in self.c.list() if vm["config"]["name"] == "src"][0]
        self.assertEqual([p.name for p in self.c.vm_dir(source["id"]).iterdir()
                          if p.name.startswith(("save-", "restore-"))], [])
        kept = {s["id"] for s in self.c.ok("snapshot", "list", "-o", "json").json()}
        there = {p.name for p in (self.c.root / "snapshots").glob("*")}
        self.assertEqual(there, kept)
        return source

    def recover(self):
        source = self.settle()
        self.assertEqual(source["state"], "running")
        before = self.count()
        wait_for("the source to go on", lambda: self.count() > before, 60)

    def recover_stopped(self):
        """After a restore or a hibernation: the VM runs, or is stopped and can be started."""
        source = self.settle()
        if source["state"] != "running":
            self.c.ok("vm", "start", "src", seconds=180)
        wait_for("the guest to count", lambda: self.count() > 0, 120)

    def test_save(self):
        self.sweep(("snapshot", "save", "--name", "made", "src"), self.source)

    def test_incremental_save(self):
        self.need("incremental")
        self.sweep(("snapshot", "save", "--incremental=base", "--name", "made", "src"), self.saved)

    def test_clone(self):
        other_disk = ("--drop-disk", "db", "--data-disk", "size=16M,name=db") if backends.has("hotplug") else ()
        self.sweep(("vm", "clone", "--name", "made", *other_disk, "base"), self.saved, again="made")

    def test_restore(self):
        self.recover = self.recover_stopped
        self.sweep(("vm", "restore", "src", "base"), self.saved)

    def test_hibernate(self):
        self.recover = self.recover_stopped
        self.sweep(("vm", "hibernate", "src"), self.source)

    def test_import(self):
        self.saved()
        archive = self.c.base / "base.tar"
        self.addCleanup(archive.unlink)
        self.c.ok("snapshot", "export", "--with-image", "--force", "-o", archive, "base", seconds=300)
        self.sweep(("snapshot", "import", "--name", "made", archive), self.saved)

    def test_import_onto_another_host(self):
        """Layers, module tree and kernel object come out of the archive, with side effects of their own."""
        self.saved()
        archive = self.c.base / "whole.tar"
        self.addCleanup(archive.unlink)
        self.c.ok("snapshot", "export", "--with-image", "--force", "-o", archive, "base", seconds=300)
        here, self.c = self.c, Cocoon(self.c.base / "other")
        self.c.base.mkdir()
        self.recover = self.recover_empty
        try:
            self.sweep(("snapshot", "import", "--name", "made", archive))
        finally:
            other, self.c = self.c, here
            shutil.rmtree(other.base)

    def recover_empty(self):
        """Nothing but the snapshot can be there, and with it everything goes."""
        self.c.ok("gc")
        for snapshot in self.c.ok("snapshot", "list", "-o", "json").json():
            self.c.ok("snapshot", "verify", snapshot["id"], seconds=300)
            self.c.ok("snapshot", "rm", snapshot["id"])
        self.c.empty()
        self.c.census.assert_empty()

    def test_export(self):
        archive = self.c.base / "made.tar"
        self.addCleanup(lambda: archive.unlink(missing_ok=True))

        def exported():
            self.saved()
            archive.unlink(missing_ok=True)

        def recover():
            # a file that is there is whole
            if archive.exists():
                self.c.ok("snapshot", "import", "--name", "made", archive, seconds=300)
            self.settle()
        self.recover = recover
        self.sweep(("snapshot", "export", "-o", archive, "base"), exported)

    def test_export_to_a_directory(self):
        out = self.c.base / "out"
        self.addCleanup(lambda: shutil.rmtree(out, ignore_errors=True))

        def exported():
            self.saved()
            shutil.rmtree(out, ignore_errors=True)
            out.mkdir()

        def recover():
            self.c.ok("gc")
            self.assertIn(os.listdir(out), ([], ["d"]))
            if (out / "d").exists():   # it is whole
                self.c.ok("vm", "clone", "--from-dir", out / "d", "--name", "made", seconds=300)
            self.settle()
        self.recover = recover
        self.sweep(("snapshot", "export", "--to-dir", out / "d", "base"), exported)

    def test_snapshot_rm(self):
        def two():
            self.source()
            self.c.ok("snapshot", "save", "--name", "made", "src", seconds=300)
        self.sweep(("snapshot", "rm", "made"), two)


if __name__ == "__main__":
    cocoon_e2e.main()
