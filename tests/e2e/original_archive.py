# SPDX-License-Identifier: Apache-2.0
"""Archives of the original engine: taken in with its store or with ours, refused with one clear line, and
written so that it could take them. Nothing here starts a guest but Travels, which needs Cloud Hypervisor."""

import gzip
import hashlib
import json
import os
import re
import shutil
import stat
import subprocess
import tarfile

import cocoon_e2e
import original_form as form
from cocoon_e2e import FAILURE, NOT_FOUND, USAGE, StoreTest, wait_for
from terminal import Terminal

UNSUPPORTED = 5


def sha256(data):
    return hashlib.sha256(data).hexdigest()


class OriginalTest(StoreTest):
    kernel = None
    images = ()

    def setUp(self):
        self.out = self.c.base / "out"
        self.out.mkdir()
        self.addCleanup(shutil.rmtree, self.out)

    def tearDown(self):
        ids = [s["id"] for s in self.c.ok("snapshot", "list", "-o", "json").json()]
        if ids:
            self.c.ok("snapshot", "rm", *ids)
        self.c.ok("gc")
        super().tearDown()

    def take(self, data, *flags, **more):
        return self.c.ok("snapshot", "import", "-o", "json", *flags, stdin=data, seconds=300, **more).json()

    def folder(self, snap):
        return self.c.root / "snapshots" / snap["id"]

    def record(self, snap):
        return json.loads((self.folder(snap) / "cocoon.json").read_text())

    def assert_nothing_left(self):
        self.assertEqual(self.c.ok("snapshot", "list", "-o", "json").json(), [])
        self.assertEqual(os.listdir(self.c.root / "snapshots"), [])
        self.assertEqual(list((self.c.root / "locks" / "snapshot").glob("*")), [])

    def read(self, path):
        """Entries as a program sees them that knows the original's sparse records."""
        entries = {}
        with tarfile.open(path, "r:") as tar:
            for info in tar.getmembers():
                self.assertTrue(info.isreg(), info.name)
                self.assertNotIn(info.name, entries)
                entries[info.name] = (tar.extractfile(info).read(), dict(info.pax_headers))
        return entries

    def repack(self, entries, change=lambda documents: None):
        documents = {name: json.loads(entries[name][0]) for name in ("snapshot.json", "cocoon.json", "config.json")}
        change(documents)
        out = b""
        for name, (data, pax) in entries.items():
            if name in documents and json.loads(data) != documents[name]:
                data = json.dumps(documents[name]).encode()
            if pax:
                pieces, at = [], 0
                for piece in json.loads(pax["COCOON.sparse.map"]) or []:
                    pieces.append((piece["o"], data[at:at + piece["l"]]))
                    at += piece["l"]
                data = form.Sparse(int(pax["COCOON.sparse.size"]), *pieces)
            out += form.member(name, data)
        return out + bytes(1024)

    @staticmethod
    def strip(documents):
        """What the original itself would have written."""
        documents["cocoon.json"] = {key: documents["cocoon.json"][key] for key in ("storage_configs", "boot_config")}

    def make_store(self, layers=2):
        """A store of the original with an image in it; its guest's layers, bottom first."""
        store = self.out / "store"
        digests = [sha256(b"layer %d" % i) for i in range(layers)]
        for digest in digests:
            path = store / "oci" / "blobs" / f"{digest}.erofs"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"EROFS of " + digest.encode())
        boot = store / "oci" / "boot" / digests[-1]
        boot.mkdir(parents=True)
        (boot / "vmlinuz").write_bytes(b"a kernel")
        (boot / "initrd.img").write_bytes(b"an initrd")
        return store, digests

    def make_cloud_store(self):
        """A store of the original with a cloud image: its base's digest, and the same disk as a raw file."""
        store = self.out / "store"
        blobs = store / "cloudimg" / "blobs"
        blobs.mkdir(parents=True)
        raw = self.out / "base.raw"
        raw.write_bytes(b"cloud" * 100_000)
        os.truncate(raw, 16 << 20)
        qcow2 = self.out / "base.qcow2"
        subprocess.run(["qemu-img", "convert", "-O", "qcow2", raw, qcow2], check=True)
        base = sha256(qcow2.read_bytes())
        shutil.copy(qcow2, blobs / f"{base}.qcow2")
        (store / "firmware").mkdir()
        (store / "firmware" / "CLOUDHV.fd").write_bytes(b"firmware")
        return store, base, raw

    def overlay(self, backing, backing_format="qcow2", options=None):
        path = self.out / "overlay"
        path.unlink(missing_ok=True)
        more = ["-b", backing, "-F", backing_format] if backing else []
        if options:
            more += ["-o", options]
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-u", *more, path, "10G"], check=True)
        return path.read_bytes()


class WithItsStore(OriginalTest):
    """--blobs names the original's store."""

    def test_a_container(self):
        store, layers = self.make_store()
        guest = form.container(*layers)
        got = self.take(guest.pack(), "--blobs", store)
        self.assertEqual((got["name"], got["description"], got["hypervisor"], got["cpu"], got["memory"], got["nics"]),
                         ("there:1", "made elsewhere", "cloud-hypervisor", 1, form.MEMORY, 1))
        self.assertTrue(got["imported"])
        self.assertNotIn("untrusted", got)
        self.assertEqual({f.name for f in self.folder(got).iterdir()},
                         {"cocoon.json", "config.json", "state.json", "memory-ranges", "cow.raw", "data-db.raw",
                          "layer0.erofs", "layer1.erofs", "kernel", "initrd"})
        for i, digest in enumerate(layers):
            self.assertEqual((self.folder(got) / f"layer{i}.erofs").read_bytes(), b"EROFS of " + digest.encode())
        self.assertEqual((self.folder(got) / "kernel").read_bytes(), b"a kernel")
        for file in self.folder(got).iterdir():
            self.assertEqual((stat.S_IMODE(file.stat().st_mode), file.stat().st_uid), (0o444, 0), file)
        self.assertEqual((self.folder(got) / "cow.raw").stat().st_size, 10 << 30)
        self.assertLess((self.folder(got) / "cow.raw").stat().st_blocks, 1 << 10)
        # the devices are those of the archive, and the plan knows that there is no vsock
        vm = self.record(got)["vm"]
        self.assertEqual([(d["path"], d["role"], d["serial"]) for d in vm["storage_configs"]],
                         [("layer0.erofs", "layer", "cocoon-layer0"), ("layer1.erofs", "layer", "cocoon-layer1"),
                          ("cow.raw", "cow", "cocoon-cow"), ("data-db.raw", "data", "db")])
        self.assertEqual(vm["storage_configs"][3]["mount_point"], "/mnt/db")
        plan = vm["device_plan"]
        self.assertEqual([d["id"] for d in plan["disks"]], ["_disk0", "_disk1", "_disk2", "_disk3"])
        self.assertIs(plan["vsock"], False)
        self.assertEqual([n["mac"] for n in vm["network_configs"]], ["02:00:00:00:00:01"])
        # nothing of its host is left in what a VMM will read
        for name in ("config.json", "state.json", "cocoon.json"):
            kept = (self.folder(got) / name).read_text()
            for theirs in (form.ROOT, "/dev/pts", "btQZ3", "6a:75", str(store)):
                self.assertNotIn(theirs, kept, name)
        config = json.loads((self.folder(got) / "config.json").read_text())
        self.assertEqual(config["rng"]["src"], "/dev/urandom")
        self.assertEqual(config["console"], {"mode": "Tty"})
        self.assertEqual(config["cpus"]["max_vcpus"], 8)
        self.c.ok("snapshot", "verify", got["id"], seconds=300)
        # the same again shares the blobs, packed or from a directory; nothing is left of them in the end
        blobs = sorted(os.listdir(self.c.root / "blobs"))
        self.take(gzip.compress(guest.pack(), 1), "--blobs", store, "--name", "twice")
        folder = self.out / "unpacked"
        folder.mkdir()
        guest.write_to(folder)
        self.c.ok("snapshot", "import", "--from-dir", folder, "--blobs", store, "--name", "plain", seconds=300)
        self.c.ok("snapshot", "rm", "plain")
        # a clone of it asks the same
        self.c.fails(UNSUPPORTED, "vm", "clone", "--from-dir", folder, says="--blobs, or say --assume-same-blobs")
        self.c.fails(NOT_FOUND, "vm", "clone", "--from-dir", folder, "--assume-same-blobs",
                     says=f"{layers[0]}.erofs .* is not here: import image")
        self.c.fails(USAGE, "vm", "clone", "--assume-same-blobs", "there:1", says="belong to --from-dir")
        self.c.ok("snapshot", "export", "--to-dir", self.out / "again", got["id"], seconds=300)
        self.assertEqual(sorted(os.listdir(self.c.root / "blobs")), blobs)
        self.c.ok("snapshot", "rm", got["id"], "twice")
        self.c.ok("gc")
        self.assertEqual(os.listdir(self.c.root / "blobs"), [])
        # it has become one of ours: its own archive says all that the original's did not
        self.c.fails(NOT_FOUND, "snapshot", "import", "--from-dir", self.out / "again", seconds=300,
                     says="blob file-.* is not here")

    def test_a_cloud_image(self):
        store, base, raw = self.make_cloud_store()
        overlay = self.overlay(f"{form.ROOT}/cloudimg/blobs/{base}.qcow2")
        guest = form.cloud(base, overlay)
        got = self.take(guest.pack(), "--blobs", store)
        folder = self.folder(got)
        self.assertEqual({f.name for f in folder.iterdir()},
                         {"cocoon.json", "config.json", "state.json", "memory-ranges", "overlay.qcow2", "data-db.raw",
                          "cidata.img", "base.raw", "firmware.fd"})
        self.assertEqual((folder / "base.raw").read_bytes(), raw.read_bytes())
        self.assertEqual((folder / "firmware.fd").read_bytes(), b"firmware")
        shown = json.loads(subprocess.run(["qemu-img", "info", "--output=json", folder / "overlay.qcow2"],
                                          capture_output=True, check=True).stdout)
        self.assertEqual((shown["backing-filename"], shown["backing-filename-format"], shown["virtual-size"]),
                         ("base.raw", "raw", 10 << 30))
        # and the guest's disk is the same, block by block
        subprocess.run(["qemu-img", "check", "-q", folder / "overlay.qcow2"], check=True)
        self.assertEqual(got["storage"], 10 << 30)
        self.c.ok("snapshot", "verify", got["id"], seconds=300)
        self.c.ok("snapshot", "rm", got["id"])
        # a NoCloud disk that a restart has left behind is no disk of the guest
        guest.sidecar["storage_configs"].pop()
        form.remove_device(guest.state, guest.config["disks"].pop()["id"])
        got = self.take(guest.pack(), "--blobs", store)
        self.assertNotIn("cidata.img", {f.name for f in self.folder(got).iterdir()})
        self.c.ok("snapshot", "rm", got["id"])

        hostile = {
            "another base": (form.cloud(sha256(b"x"), overlay), "its backing file is .*, but the snapshot rests on"),
            "a base elsewhere": (form.cloud(base, self.overlay("/etc/shadow")), "no place of the original's store"),
            "no base": (form.cloud(base, self.overlay(None)), "no place of the original's store"),
            "a raw base": (form.cloud(base, self.overlay(f"{form.ROOT}/cloudimg/blobs/{base}.qcow2", "raw")),
                           "format of a backing file"),
            "no qcow2": (form.cloud(base, b"x" * 65536), "no place of the original's store"),
            "an external data file": (form.cloud(base, self.overlay(
                f"{form.ROOT}/cloudimg/blobs/{base}.qcow2", options=f"data_file={self.out / 'data'},data_file_raw=off")),
                "external data file"),
        }
        for what, (guest, says) in hostile.items():
            with self.subTest(what):
                self.c.fails(FAILURE if "external" not in what and "raw" not in what else UNSUPPORTED, "snapshot",
                             "import", "--blobs", store, stdin=guest.pack(), seconds=300, says=says)
                self.assert_nothing_left()

    def test_what_is_missing(self):
        store, layers = self.make_store()
        archive = form.container(*layers).pack()
        # neither word nor store
        self.c.fails(UNSUPPORTED, "snapshot", "import", stdin=archive, seconds=300,
                     says="name the original's store with --blobs, or say --assume-same-blobs")
        for place in (f"oci/blobs/{layers[1]}.erofs", f"oci/boot/{layers[1]}/initrd.img"):
            (store / place).rename(self.out / "away")
            self.c.fails(NOT_FOUND, "snapshot", "import", "--blobs", store, stdin=archive, seconds=300,
                         says=f"{place} of the original's store is not in .*--assume-same-blobs")
            self.c.fails(NOT_FOUND, "snapshot", "import", "--blobs", store, "--assume-same-blobs", stdin=archive,
                         seconds=300, says=f'{place} .* import image "own-kernel" first')
            (store / place).symlink_to("/etc/passwd")
            self.c.fails(FAILURE, "snapshot", "import", "--blobs", store, stdin=archive, seconds=300,
                         says="symbolic links")
            (store / place).unlink()
            (self.out / "away").rename(store / place)
        self.assert_nothing_left()
        self.c.ok("gc")
        self.assertEqual(os.listdir(self.c.root / "blobs"), [])


class Hostile(OriginalTest):
    def test_nothing_is_left_of_a_bad_archive(self):
        store, layers = self.make_store()

        def changed(change, **pack):
            guest = form.container(*layers)
            change(guest)
            return guest.pack(**pack)

        def config(**more):
            return changed(lambda g: g.config.update(more))

        def disk(index, **more):
            return changed(lambda g: g.config["disks"][index].update(more))

        def entry(index, **more):
            return changed(lambda g: g.sidecar["storage_configs"][index].update(more))

        def without(name):
            guest = form.container(*layers)
            files = guest.documents()
            del files[name]
            return guest.pack(files=files)

        def both(index, path):
            def change(guest):
                guest.config["disks"][index]["path"] = path
                guest.sidecar["storage_configs"][index]["path"] = path
            return changed(change)

        cases = {
            "pmem": (config(pmem=[{"file": "/etc/shadow"}]), 'config.json: "pmem"'),
            "fs": (config(fs=[{"socket": "/run/x", "tag": "x"}]), 'config.json: "fs"'),
            "devices": (config(devices=[{"path": "/sys/bus/pci/devices/0000:00:02.0"}]), 'config.json: "devices"'),
            "user devices": (config(user_devices=[{"socket": "/x"}]), 'config.json: "user_devices"'),
            "vdpa": (config(vdpa=[{"path": "/dev/vhost-vdpa-0"}]), 'config.json: "vdpa"'),
            "tpm": (config(tpm={"socket": "/x"}), 'config.json: "tpm"'),
            "a vsock of nowhere": (config(vsock={"cid": 3, "socket": "/etc/x", "id": "_vsock5"}), "state.json.*_vsock5"),
            "another cid": (config(vsock={"cid": 4, "socket": "/x", "id": "_vsock5"}), "vsock: cid is 4"),
            "console into a file": (config(console={"mode": "File", "file": "/etc/x"}), "console: mode is"),
            "debug console": (config(debug_console={"mode": "File", "file": "/etc/x"}), "debug_console"),
            "memory in a file": (changed(lambda g: g.config["memory"].update(
                zones=[{"id": "ram", "size": form.MEMORY, "file": "/dev/sda"}])), "memory.zones"),
            "a TAP of vhost-user": (changed(lambda g: g.config["net"][0].update(vhost_socket="/x")), "vhost_socket"),
            "a disk of vhost-user": (disk(2, vhost_socket="/x"), "vhost_socket"),
            "unknown key": (disk(2, more=1), '"more" is not expected'),
            "a disk more": (changed(lambda g: g.config["disks"].append(g.config["disks"][0])), "has 5 disks"),
            "a disk less": (changed(lambda g: g.config["disks"].pop()), "has 3 disks"),
            "a path of its own": (disk(2, path="/dev/sda"), 'disks\\[2\\]: path is "/dev/sda"'),
            "disks exchanged": (changed(lambda g: g.config["disks"].reverse()), "disks\\[0\\]: path is"),
            "writable layer": (disk(0, readonly=False), "disks\\[0\\]: readonly"),
            "roles exchanged": (changed(lambda g: (g.sidecar["storage_configs"][2].update(role="data"),
                                                   g.sidecar["storage_configs"][3].update(role="cow"))),
                                "not called|not a disk name|cow"),
            "no role": (changed(lambda g: g.sidecar["storage_configs"][2].pop("role")), "unknown disk role"),
            "two roots": (entry(3, role="cow", serial="x", path=f"{form.RUN}/x/cow.raw"), "second disk|path|direct"),
            "layer elsewhere": (both(0, "/etc/shadow"), "no place of the original's store"),
            "layer by a way round": (both(0, form.layer_path("../../" + layers[0])), "no absolute path"),
            "root elsewhere": (both(2, f"{form.RUN}/shim.lock"), "is not called cow.raw"),
            "relative": (both(2, "cow.raw"), "no absolute path"),
            "kernel elsewhere": (changed(lambda g: (g.sidecar["boot_config"].update(kernel_path="/boot/vmlinuz"),
                                                    g.config["payload"].update(kernel="/boot/vmlinuz"))),
                                 "no place of the original's store"),
            "another kernel": (changed(lambda g: g.config["payload"].update(kernel="/boot/vmlinuz")),
                               "payload: kernel is"),
            "layer that nobody pinned": (changed(lambda g: g.pins(layers[1])), "is not among the image_blob_ids"),
            "another version": (changed(lambda g: None, version=2), "archive version 2"),
            "firecracker's": (changed(lambda g: g.envelope.update(hypervisor="firecracker")), "snapshot of firecracker"),
            "other processors": (changed(lambda g: g.envelope.update(cpu=4)), "boot_vcpus is 1, but snapshot.json says 4"),
            "other memory": (changed(lambda g: g.envelope.update(memory=1 << 30)), "memory: size is"),
            "other NICs": (changed(lambda g: g.envelope.update(nics=2)), "the guest has 1 NICs"),
            "another image type": (changed(lambda g: g.envelope.update(image_type="cloudimg")), "image_type"),
            "a name that is none": (changed(lambda g: g.envelope.update(name="../x")), "invalid snapshot name"),
            "no state": (without("state.json"), "state.json is missing"),
            "no memory": (without("memory-ranges"), "memory-ranges is missing"),
            "no root disk": (without("cow.raw"), "cow.raw is missing"),
            "no sidecar": (without("cocoon.json"), "no cocoon.json"),
            "one more": (changed(lambda g: g.files.update({"evil.raw": b"x"})), "evil.raw is none of the guest's files"),
            "a layer of its own": (changed(lambda g: g.files.update({"layer0.erofs": b"x"})),
                                   "layer0.erofs is none of the guest's files"),
            "short memory": (changed(lambda g: g.files.update({"memory-ranges": form.Sparse(4096)})), "memory-ranges"),
            "small root": (changed(lambda g: g.files.update({"cow.raw": form.Sparse(1 << 20)})), "storage"),
            "config no JSON": (changed(lambda g: g.files.update({"config.json": b"{"})), "config.json: no JSON"),
            "state no JSON": (changed(lambda g: g.files.update({"state.json": b"["})), "state.json: no JSON"),
            "config too large": (changed(lambda g: g.files.update({"config.json": b" " * (1 << 20)})), "config.json"),
        }
        for what, (data, says) in cases.items():
            with self.subTest(what):
                result = self.c.run("snapshot", "import", "--blobs", store, stdin=data, seconds=300)
                self.assertNotIn(result.code, (0, USAGE), result)   # nobody called it wrongly
                lines = cocoon_e2e.error_lines(result)
                self.assertEqual(len(lines), 1, result)
                self.assertRegex(lines[0], says)
                self.assert_nothing_left()
        self.take(form.container(*layers).pack(), "--blobs", store)


class WithOurStore(OriginalTest):
    """--assume-same-blobs: the image is here, and the user answers for its bytes."""

    images = ("own-kernel",)

    def test_by_the_image(self):
        layer = sha256(b"what a registry calls it")
        got = self.take(form.container(layer).pack(), "--assume-same-blobs")
        vm = self.record(got)["vm"]
        image = self.c.ok("image", "inspect", "own-kernel").json()
        self.assertEqual([d.get("blob", "").split("-")[0] for d in vm["storage_configs"]],
                         [image["layers"][0].split(":")[1], "", ""])
        for name in ("layer0.erofs", "kernel", "initrd"):
            self.assertGreater((self.folder(got) / name).stat().st_nlink, 1, name)
        self.c.ok("snapshot", "verify", got["id"], seconds=300)

    def test_by_the_names_of_its_files(self):
        image = self.c.ok("image", "inspect", "own-kernel").json()
        layer = image["layers"][0].split(":")[1]
        guest = form.container(layer)
        guest.envelope["image"] = "nosuch"
        # the kernel is known by the image only
        self.c.fails(NOT_FOUND, "snapshot", "import", "--assume-same-blobs", stdin=guest.pack(), seconds=300,
                     says=f"oci/boot/{layer}/vmlinuz .* is not here")
        guest.envelope["image"] = "own-kernel"
        self.take(guest.pack(), "--assume-same-blobs")

    def test_another_image(self):
        layers = [sha256(b"a"), sha256(b"b")]
        self.c.fails(NOT_FOUND, "snapshot", "import", "--assume-same-blobs", stdin=form.container(*layers).pack(),
                     seconds=300, says='is not here: import image "own-kernel" first')
        self.assert_nothing_left()


class There(OriginalTest):
    """--compat: ours as the original takes it, and as we take it back."""

    def taken(self):
        store, layers = self.make_store()
        return self.take(form.container(*layers).pack(), "--blobs", store)

    def exported(self, snap, *flags):
        path = self.out / "there.tar"
        path.unlink(missing_ok=True)
        self.c.ok("snapshot", "export", "--compat", "-o", path, *flags, snap["id"], seconds=300)
        return path

    def test_what_the_original_reads(self):
        got = self.taken()
        path = self.exported(got)
        listed = subprocess.run(["tar", "-tf", path], capture_output=True, text=True, check=True)
        names = listed.stdout.splitlines()
        self.assertEqual(names, ["snapshot.json", "cocoon.json", "config.json", "cow.raw", "data-db.raw",
                                 "memory-ranges", "state.json"])
        self.assertFalse([line for line in listed.stderr.splitlines() if "COCOON.sparse" not in line])
        entries = self.read(path)
        self.assertEqual(list(entries), names)
        envelope = json.loads(entries["snapshot.json"][0])
        self.assertEqual(entries["snapshot.json"][0].decode(), json.dumps(envelope, indent=2) + "\n")
        self.assertEqual(envelope["version"], 1)
        keys = {"cpu": 1, "memory": form.MEMORY, "storage": 10 << 30, "image": "own-kernel", "image_type": "oci",
                "name": "there:1", "hypervisor": "cloud-hypervisor", "nics": 1, "network": "default"}
        self.assertEqual({k: envelope["config"][k] for k in keys}, keys)
        self.assertLessEqual(set(envelope["config"]), {
            "cpu", "memory", "storage", "queue_size", "disk_queue_size", "image", "image_digest", "image_type",
            "network", "no_direct_io", "windows", "id", "name", "description", "image_blob_ids", "hypervisor", "nics"})
        sidecar = json.loads(entries["cocoon.json"][0])
        config = json.loads(entries["config.json"][0])
        state = json.loads(entries["state.json"][0])
        # what its clone asks before it does anything (spec 04 §2.3)
        self.assertEqual([(d["path"], d["ro"]) for d in sidecar["storage_configs"]],
                         [(d["path"], d.get("readonly", False)) for d in config["disks"]])
        self.assertEqual([d["role"] for d in sidecar["storage_configs"]], ["layer", "layer", "cow", "data"])
        for disk in sidecar["storage_configs"]:
            self.assertLessEqual(set(disk), {"path", "ro", "serial", "role", "mount_point", "fstype", "direct_io"})
            if disk["role"] == "layer":
                self.assertRegex(disk["path"], f"^{form.ROOT}/oci/blobs/[0-9a-f]{{64}}[.]erofs$")
                self.assertIn(disk["path"].split("/")[-1][:64], envelope["config"]["image_blob_ids"])
            else:
                self.assertIn(os.path.basename(disk["path"]), names)
        self.assertEqual(sidecar["boot_config"]["kernel_path"], config["payload"]["kernel"])
        self.assertEqual(sidecar["boot_config"]["initrd_path"], config["payload"]["initramfs"])
        self.assertEqual((config["console"], config["serial"]), ({"mode": "Pty"}, {"mode": "Off"}))
        self.assertNotIn("vsock", config)
        self.assertEqual([d["id"] for d in config["disks"]], ["_disk0", "_disk1", "_disk2", "_disk3"])
        devices = state["snapshots"]["device-manager"]["snapshots"]
        for disk in config["disks"]:
            self.assertEqual(json.loads(devices[disk["id"]]["snapshot_data"]["state"])["disk_path"], disk["path"])
        # the headers that Go writes: ustar where it fits, pax records of a sparse file before it
        raw = path.read_bytes()
        self.assertEqual((raw[257:265], raw[156:157]), (b"ustar\00000", b"0"))
        self.assertIn(b"PaxHeaders.0/cow.raw\0", raw)
        self.assertEqual(raw[-1024:], bytes(1024))

        # standard output has the same without being asked
        with open(self.out / "stdout.tar", "wb") as file:
            process = self.c.start("snapshot", "export", got["id"], "-o", "-", stdout=file)
            self.assertEqual(process.communicate(timeout=600)[1], b"")
        other = self.read(self.out / "stdout.tar")
        self.assertEqual({n: e for n, e in other.items()}, entries)
        # and a file of ours has not
        self.c.ok("snapshot", "export", got["id"], "-o", self.out / "ours.tar", seconds=300)
        self.assertNotIn("storage_configs", json.loads(self.read(self.out / "ours.tar")["cocoon.json"][0]))
        with open(self.out / "whole.tar", "wb") as file:
            self.c.start("snapshot", "export", got["id"], "--with-image", "-o", "-", stdout=file).communicate()
        self.assertIn("layer0.erofs", self.read(self.out / "whole.tar"))

    def opened(self, snap):
        """The state, with what is text in it as JSON: the order of its keys is of no account."""
        def open_texts(node):
            if isinstance(node, dict):
                return {key: json.loads(value) if key == "state" and isinstance(value, str) else open_texts(value)
                        for key, value in node.items()}
            return node
        return open_texts(json.loads((self.folder(snap) / "state.json").read_text()))

    def test_we_take_it_back_as_ours(self):
        got = self.taken()
        before = self.record(got)
        entries = self.read(self.exported(got))
        digests = {m["name"]: m for m in before["members"]}
        # no word about blobs is needed: our part of the sidecar has their digests
        again = self.take(self.repack(entries), "--name", "back")
        after = self.record(again)
        for key in ("device_plan", "storage_configs", "boot_config", "config"):
            self.assertEqual(after["vm"][key], before["vm"][key], key)
        self.assertEqual([n["mac"] for n in after["vm"]["network_configs"]],
                         [n["mac"] for n in before["vm"]["network_configs"]])
        pages = {m["name"]: m.get("pages_sha256") for m in before["members"]}
        for member in after["members"]:
            if member["kind"] in ("disk", "memory"):
                self.assertEqual(member["pages_sha256"], pages[member["name"]], member)
        for name in ("layer0.erofs", "kernel"):
            self.assertEqual((self.folder(again) / name).read_bytes(), (self.folder(got) / name).read_bytes(), name)
        self.assertEqual(self.opened(again), self.opened(got))
        configs = [json.loads((self.folder(snap) / "config.json").read_text()) for snap in (again, got)]
        for config in configs:
            del config["platform"]   # a clone has a UUID of its own
        self.assertEqual(*configs)
        shown = self.c.ok("snapshot", "verify", "-o", "json", again["id"], seconds=300).json()
        self.assertEqual((shown["compared"], shown["noted"]), (len(digests), 0))
        # packed as the original packs it, under the name that is usual
        before_dir = os.getcwd()
        os.chdir(self.out)
        try:
            self.assertEqual(self.c.ok("snapshot", "export", "--compat", "back", seconds=300).out, "back.tar\n")
            self.assertEqual(self.c.ok("snapshot", "export", "--compat", "--gzip", "back", seconds=300).out,
                             "back.tar.gz\n")
        finally:
            os.chdir(before_dir)
        self.c.ok("snapshot", "import", "--name", "zipped", self.out / "back.tar.gz", seconds=300)

        def at(*path, value):
            def change(documents):
                node = documents
                for key in path[:-1]:
                    node = node[key]
                node[path[-1]] = value
            return change
        hostile = {
            "a configuration of somebody": (at("config.json", "watchdog", value=False), "watchdog"),
            "another console": (at("config.json", "serial", "mode", value="Null"), "config.json is damaged"),
            "another layer": (at("cocoon.json", "storage_configs", 0, "path", value=form.layer_path("c" * 64)),
                              "image_blob_ids"),
            "another disk": (at("cocoon.json", "storage_configs", 3, "serial", value="other"), "not called|two different"),
            "another order": (lambda d: d["cocoon.json"]["vm"]["storage_configs"].reverse(), "two different|cow|layer"),
            "another plan": (at("cocoon.json", "vm", "device_plan", "disks", 2, "queue_size", value=256),
                             "not of the guest that"),
            "another NIC": (at("cocoon.json", "vm", "network_configs", 0, "mac", value="02:00:00:00:00:09"),
                            "not of the guest that"),
            "another form": (at("cocoon.json", "form", value="odd"), 'unknown form "odd"'),
            "no form": (lambda d: d["cocoon.json"].pop("form"), "config.json"),
            "not its digest": (lambda d: next(m for m in d["cocoon.json"]["members"] if m["name"] == "state.json").update(
                pages_sha256="0" * 64), "state.json is damaged"),
        }
        known = sorted(s["id"] for s in self.c.ok("snapshot", "list", "-o", "json").json())
        for what, (change, says) in hostile.items():
            with self.subTest(what):
                if what == "no form":
                    # then the files are taken as they are, and no VMM ever reads them
                    self.take(self.repack(entries, change), "--name", "odd")
                    self.c.ok("snapshot", "rm", "odd")
                    continue
                result = self.c.run("snapshot", "import", "--name", "bad", stdin=self.repack(entries, change),
                                    seconds=300)
                self.assertNotIn(result.code, (0, USAGE), result)
                self.assertRegex(cocoon_e2e.error_lines(result)[0], says)
                self.assertEqual(sorted(s["id"] for s in self.c.ok("snapshot", "list", "-o", "json").json()), known)

    def test_an_overlay(self):
        store, base, _ = self.make_cloud_store()
        theirs = f"{form.ROOT}/cloudimg/blobs/{base}.qcow2"
        got = self.take(form.cloud(base, self.overlay(theirs)).pack(), "--blobs", store)
        path = self.exported(got)
        entries = self.read(path)
        (self.out / "overlay").write_bytes(entries["overlay.qcow2"][0][:1 << 16])
        names = set(json.loads(entries["snapshot.json"][0])["config"]["image_blob_ids"])
        self.assertEqual(len(names), 1)
        head = entries["overlay.qcow2"][0][:4096]
        self.assertIn(f"{form.ROOT}/cloudimg/blobs/{names.pop()}.qcow2".encode(), head)
        self.assertNotIn(b"base.raw", head)
        sidecar, config = (json.loads(entries[name][0]) for name in ("cocoon.json", "config.json"))
        self.assertEqual([d["role"] for d in sidecar["storage_configs"]], ["cow", "data", "cidata"])
        self.assertEqual(sidecar["boot_config"], {"firmware_path": f"{form.ROOT}/firmware/CLOUDHV.fd"})
        self.assertEqual(config["serial"]["mode"], "Socket")
        # as ours, and as the original's; this firmware is installed here
        firmware = self.c.root / "firmware" / "CLOUDHV.fd"
        firmware.parent.mkdir()
        firmware.write_bytes(b"firmware")
        self.addCleanup(shutil.rmtree, firmware.parent)
        ours = self.take(path.read_bytes(), "--name", "ours")
        self.assertEqual([m for m in ours["members"] if m["name"] == "overlay.qcow2"],
                         [m for m in self.record(got)["members"] if m["name"] == "overlay.qcow2"])
        self.c.ok("snapshot", "verify", "ours", seconds=300)
        again = self.take(self.repack(entries, self.strip), "--name", "again", "--assume-same-blobs", "--blobs", store)
        self.assertTrue(os.path.samefile(self.folder(again) / "base.raw", self.folder(got) / "base.raw"))

    def test_there_and_back_through_the_original(self):
        got = self.taken()
        entries = self.read(self.exported(got))
        stripped = self.repack(entries, self.strip)
        self.c.fails(UNSUPPORTED, "snapshot", "import", "--name", "no", stdin=stripped, seconds=300,
                     says="--assume-same-blobs")
        again = self.take(stripped, "--name", "again", "--assume-same-blobs")
        self.assertEqual(self.record(again)["vm"]["device_plan"], self.record(got)["vm"]["device_plan"])
        self.assertRegex(self.record(again)["vm"]["nonce"], "^[0-9a-f]{32}$")   # the shim of its clones wants one
        self.assertEqual(sorted(m["name"] for m in again["members"]), sorted(m["name"] for m in got["members"]))
        for name in ("layer0.erofs", "layer1.erofs", "kernel", "initrd"):
            self.assertTrue(os.path.samefile(self.folder(again) / name, self.folder(got) / name), name)

    def test_refusals(self):
        got = self.taken()
        for flags in (("--zstd",), ("--with-image",)):
            self.c.fails(USAGE, "snapshot", "export", "--compat", *flags, got["id"], says="--compat goes with none of")
        self.c.fails(USAGE, "snapshot", "export", "--compat", "--to-dir", self.out / "d", got["id"],
                     says="--compat goes with none of")
        self.c.fails(UNSUPPORTED, "snapshot", "export", "--compat", "-o", self.out / "x.tar.zst", got["id"],
                     says="reads no zstd")
        # a file system that the original does not know
        store, layers = self.make_other_store()
        guest = form.container(*layers)
        guest.envelope["name"] = "xfs"
        guest.sidecar["storage_configs"][3]["fstype"] = "xfs"
        xfs = self.take(guest.pack(), "--blobs", store)
        self.c.fails(UNSUPPORTED, "snapshot", "export", "--compat", "-o", self.out / "x.tar", xfs["id"], seconds=300,
                     says='no place for data disk "db" with the file system xfs')
        self.assertFalse((self.out / "x.tar").exists())
        # what cannot have its form comes out of standard output in ours
        with open(self.out / "xfs.tar", "wb") as file:
            process = self.c.start("snapshot", "export", xfs["id"], "-o", "-", stdout=file)
            self.assertEqual((process.communicate(timeout=600)[1], process.returncode), (b"", 0))
        self.assertNotIn("form", json.loads(self.read(self.out / "xfs.tar")["cocoon.json"][0]))

    def make_other_store(self):
        shutil.rmtree(self.out / "store")
        return self.make_store()


class Travels(OriginalTest):
    """A real guest, saved here, in exactly the original's form on its way, goes on here."""

    images = ("own-kernel",)
    capabilities = ("mmap_restore", "uefi")   # Cloud Hypervisor

    def type(self, vm, text):
        with Terminal(self.c.argv("vm", "console", vm), self.c.environment()) as terminal:
            terminal.read_until(rb"/ # |count", 60)
            terminal.send(text + "\r")
            terminal.send(b"\x1d.")
            terminal.wait()

    def counts(self, vm_id):
        return [int(n) for n in re.findall(r"\bcount (\d+)\r?$", self.c.console_text(vm_id), re.M)]

    def wait_counts(self, vm_id, more=3):
        """What it counted, at least so many; the guest's shell may write into a line of them."""
        wait_for("the guest to count", lambda: len(self.counts(vm_id)) >= more, 120)
        counts = self.counts(vm_id)
        self.assertEqual(counts, sorted(set(counts)))
        return counts

    def assert_goes_on(self, name, vm_id, count):
        counts = self.wait_counts(vm_id)
        self.assertGreater(counts[0], 1, f"{name} began anew")
        self.assertGreaterEqual(counts[0], count, name)
        self.assertLess(counts[0], count + 200, name)

    def clone(self, snap, name):
        return self.c.ok("vm", "clone", "--name", name, "-o", "json", snap, seconds=300).json()["id"]

    def test_a_guest_goes_there_and_comes_back(self):
        vm = self.c.run_vm("--name", "src", "--data-disk", "size=64M,name=db,mount=", "own-kernel", seconds=180)["id"]
        self.c.wait_console(vm, "init-ready")
        self.type("src", "(while :; do n=$((n+1)); echo count $n; sleep 1; done) &")
        self.wait_counts(vm)
        saved = self.c.ok("snapshot", "save", "--name", "base", "-o", "json", "src", seconds=300).json()
        count = self.counts(vm)[-1] - 20   # it counts on while it is saved
        self.c.ok("vm", "rm", "--force", "src")
        path = self.out / "there.tar"
        self.c.ok("snapshot", "export", "--compat", "-o", path, "base", seconds=300)
        ids = [d["id"] for d in self.record(saved)["vm"]["device_plan"]["disks"]]
        self.c.ok("snapshot", "rm", "base")
        entries = self.read(path)

        def as_the_original(documents):
            self.strip(documents)
            self.assertIn("vsock", documents["config.json"])

        archive = self.repack(entries, as_the_original)
        got = self.take(archive, "--assume-same-blobs", "--name", "back")
        plan = self.record(got)["vm"]["device_plan"]
        self.assertEqual([d["id"] for d in plan["disks"]], ids)
        one = self.clone("back", "one")
        self.assert_goes_on("one", one, max(count, 1))
        # saved here, it is one of ours in all respects
        self.c.ok("snapshot", "save", "--name", "second", "one", seconds=300)
        two = self.clone("second", "two")
        self.assert_goes_on("two", two, max(self.counts(one)[0], 1))
        self.c.ok("vm", "rm", "--force", "two")
        before = len(self.counts(one))
        self.c.ok("vm", "restore", "one", "second", seconds=300)
        wait_for("the restored guest to count", lambda: len(self.counts(one)) > before + 2, 120)
        # a reboot inside the guest, from its own kernel and initrd
        boots = self.c.console_text(one).count("init-ready")
        self.type("one", "reboot -f")
        wait_for("the guest to boot", lambda: self.c.console_text(one).count("init-ready") > boots, 240)
        # and a start from nothing
        self.c.ok("vm", "stop", "--force", "one", seconds=120)
        self.c.ok("vm", "start", "one", seconds=180)
        wait_for("the guest to start", lambda: self.c.console_text(one).count("init-ready") > boots + 1, 240)
        self.c.ok("vm", "rm", "--force", "one")

        # a guest of the original has no vsock: nothing here gives it one
        state = json.loads(entries["state.json"][0])
        config = json.loads(entries["config.json"][0])
        form.remove_device(state, config["vsock"]["id"])

        def without_vsock(documents):
            self.strip(documents)
            del documents["config.json"]["vsock"]

        entries["state.json"] = (json.dumps(state, separators=(",", ":")).encode(), {})
        bare = self.take(self.repack(entries, without_vsock), "--assume-same-blobs", "--name", "bare")
        self.assertIs(self.record(bare)["vm"]["device_plan"]["vsock"], False)
        three = self.clone("bare", "three")
        self.assert_goes_on("three", three, max(count, 1))
        self.assertFalse((self.c.vm_dir(three) / "sock" / "vsock").exists())
        self.c.ok("snapshot", "save", "--name", "third", "three", seconds=300)
        four = self.clone("third", "four")
        self.assert_goes_on("four", four, max(count, 1))


if __name__ == "__main__":
    cocoon_e2e.main(needs=("root", "mkfs.erofs", "assets"))
