# SPDX-License-Identifier: Apache-2.0
"""A real cloud image: imported, booted through UEFI firmware, set up by cloud-init, used over its
console, stopped by its power button, booted again. scripts/test-cloud-image builds the image."""

import gzip
import os
import re
import struct
import subprocess

import backends
import cocoon_e2e
from cocoon_e2e import FAILURE, SMALL, UNSUPPORTED, USAGE, StoreTest, wait_for
from terminal import Terminal

IMAGE = cocoon_e2e.ASSETS / "cloud" / "debian-cloud.qcow2"
BOOT = 600   # seconds: under software emulation a whole distribution takes minutes


class CloudImage(StoreTest):
    kernel = None
    images = ()
    capabilities = ("uefi",)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if backends.missing_firmware():
            raise cocoon_e2e.unittest.SkipTest(backends.missing_firmware())
        if not IMAGE.exists():
            raise cocoon_e2e.unittest.SkipTest(f"no {IMAGE}; scripts/test-cloud-image builds it")
        cls.c.import_image("debian", IMAGE)
        cls.rows = cls.c.census.rows()

    def finished_boots(self, vm_id):
        return len(re.findall(r"Cloud-init v\. \S+ finished at", self.c.console_text(vm_id)))

    def shell(self, terminal, command):
        """Types a command; returns what it printed."""
        # What is typed is echoed, so it must not look like the marks that it prints.
        terminal.send(f"echo be''gin; {command}; echo en''d-$?\r")
        return cocoon_e2e.text(terminal.read_until(rb"(?s)begin\r\n(.*?)end-\d+\r\n", 120).group(1))

    def log_in(self, user, password):
        terminal = Terminal(self.c.argv("vm", "console", "cloud"), self.c.environment())
        self.addCleanup(terminal.__exit__, None, None, None)
        terminal.read_until("Connected", 30)
        terminal.send("\r")
        terminal.read_until("login: ", 60)
        terminal.send(user + "\r")
        terminal.read_until("Password: ", 60)
        terminal.send(password + "\r")
        terminal.read_until(rb"\$ ", 120)
        return terminal

    def test_life(self):
        extra = self.c.base / "user-data"
        extra.write_text("#cloud-config\nwrite_files:\n- {path: /etc/from-the-user, content: mine}\n"
                         "bootcmd:\n- [sh, -c, 'echo boot >>/var/boots']\n")
        key = self.c.base / "key.pub"
        key.write_text("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJm5aL6QG3rV5s0Zb2T3uL5cJ6Kx8w test key\n")
        vm = self.c.ok("vm", "run", "-o", "json", "--cpu", "1", "--memory", "1G", "--nics", "0", "--name",
                       "cloud", "--user", "debby", "--password", "pass 'word\" #1", "--user-data", extra,
                       "--ssh-key", key, "--data-disk", "size=200M,name=db,mount=/srv/db", "debian").json()
        self.assertEqual([d["role"] for d in vm["storage_configs"]], ["cow", "data", "cidata"])
        wait_for("cloud-init to finish", lambda: self.finished_boots(vm["id"]) == 1, BOOT, 1)
        # The image has no agent; cloud-init has taken ours off the NoCloud disk.
        self.assertEqual(self.c.ok("vm", "exec", "cloud", "--", "hostname", seconds=120).out, "cloud\n")
        terminal = self.log_in("debby", "pass 'word\" #1")
        self.assertIn("cloud", self.shell(terminal, "hostname"))
        self.assertIn("ext4", self.shell(terminal, "findmnt -n -o FSTYPE /srv/db"))
        self.assertIn("mine", self.shell(terminal, "cat /etc/from-the-user"))
        self.assertIn("test key", self.shell(terminal, "cat ~/.ssh/authorized_keys"))
        self.assertIn("uid=0", self.shell(terminal, "sudo -n id"))
        self.assertIn(vm["id"], self.shell(terminal, "cat /var/lib/cloud/data/instance-id"))
        # The root file system has grown to --storage (10 GiB; the image has 3).
        size = int(re.search(r"(\d+)M\s", self.shell(terminal, "df -BM --output=size /")).group(1))
        self.assertGreater(size, 8000)
        self.shell(terminal, "echo kept | sudo tee /srv/db/kept; sudo sync")
        self.c.ok("vm", "stop", "cloud", seconds=300)
        record = self.c.inspect("cloud")
        self.assertEqual((record["state"], record["exit"]["reason"]), ("stopped", "guest power-off"))

        self.c.ok("vm", "start", "cloud")
        wait_for("the second boot", lambda: self.finished_boots(vm["id"]) == 2, BOOT, 1)
        terminal = self.log_in("debby", "pass 'word\" #1")
        self.assertIn("kept", self.shell(terminal, "cat /srv/db/kept"))
        # What runs once per instance did not run again; what runs at every boot did.
        self.assertEqual(self.shell(terminal, "wc -l </var/boots").split()[0], "2")
        done = self.shell(terminal, "sudo grep -c 'config-users-groups ran successfully' "
                                    "/var/log/cloud-init.log")
        self.assertEqual(done.split()[0], "1")
        self.c.ok("vm", "rm", "--force", "cloud")

    def test_what_means_nothing_to_it(self):
        for flags in (("--init",), ("-e", "A=b"), ("-w", "/"), ("-u", "0"), ("--entrypoint", "/bin/sh")):
            with self.subTest(flags=flags):
                self.c.fails(USAGE, "vm", "create", *SMALL, *flags, "debian", says="cloud image")
        self.c.fails(USAGE, "vm", "create", *SMALL, "debian", "--", "/bin/true", says="cloud image")
        self.c.fails(UNSUPPORTED, "vm", "create", *SMALL, "--windows", "debian", says="Cloud Hypervisor")
        self.assert_clean()

    def test_hostile_values(self):
        bad = self.c.base / "bad"
        for content, flag in ((b"-----BEGIN OPENSSH PRIVATE KEY-----\nsecret\n", "--ssh-key"),
                              (b"\x1f\x8b\x08", "--user-data"), (b"users: []\n", "--user-data")):
            with self.subTest(content=content):
                bad.write_bytes(content)
                result = self.c.fails(USAGE, "vm", "create", *SMALL, flag, bad, "debian")
                self.assertNotIn("secret", result.err)
                self.assert_clean()
        self.c.fails(USAGE, "vm", "create", *SMALL, "--user", "no good", "debian", says="--user")
        self.c.fails(USAGE, "vm", "create", *SMALL, "--password", "a\nb", "debian", says="--password")
        self.assert_clean()


class CloudFiles(StoreTest):
    """Disks as files: what is taken and what is refused. Needs no image."""

    kernel = None
    images = ()

    def header(self, **fields):
        """512 bytes of a qcow2 header, with fields at offsets: u8_72=4 is 8 bytes at 72."""
        data = bytearray(b"QFI\xfb".ljust(65536, b"\0"))
        for offset, form, value in ((4, ">I", 3), (20, ">I", 16), (24, ">Q", 1 << 30), (100, ">I", 104)):
            struct.pack_into(form, data, offset, value)
        for name, value in fields.items():
            width, offset = map(int, name[1:].split("_"))
            struct.pack_into({4: ">I", 8: ">Q"}[width], data, offset, value)
        return bytes(data)

    def test_hostile_headers(self):
        file = self.c.base / "hostile.qcow2"
        for fields, says in (({"u8_8": 1024, "u4_16": 11}, "backing file"), ({"u8_72": 4}, "external data"),
                             ({"u4_32": 2}, "encrypted"), ({"u8_24": 1 << 50}, "at most"),
                             ({"u4_4": 9}, "version 9"), ({"u4_104": 0x44415441, "u4_108": 8}, "data file"),
                             ({"u4_60": 3}, "snapshots")):
            with self.subTest(fields=fields):
                file.write_bytes(self.header(**fields))
                self.c.fails(FAILURE if says == "version 9" else UNSUPPORTED, "image", "import", "hostile",
                             file, says=says)
                self.assert_clean()
        # A good header and nonsense behind it: qemu-img's own words, and nothing stays.
        file.write_bytes(self.header() + os.urandom(4096))
        self.c.fails(FAILURE, "image", "import", "hostile", file, says="convert the image")
        self.assert_clean()

    def raw_disk(self, size=32 << 20):
        """A raw disk with a GPT header's magic and something to recognise at its end."""
        data = bytearray(size)
        data[510:512] = b"\x55\xaa"
        data[512:520] = b"EFI PART"
        data[-512:] = os.urandom(512)
        return bytes(data)

    def base_of(self, name):
        record = self.c.ok("image", "inspect", name).json()
        files = [p for p in (self.c.root / "blobs").iterdir() if p.suffix == ".raw"]
        self.assertEqual(record["type"], "cloudimg")
        return files

    def test_forms_of_one_disk(self):
        data = self.raw_disk()
        raw, packed, parts = self.c.base / "d.raw", self.c.base / "d.gz", []
        raw.write_bytes(data)
        packed.write_bytes(gzip.compress(data))
        for i in range(3):
            parts.append(self.c.base / f"d.part{i}")
            parts[-1].write_bytes(data[i * (11 << 20):(i + 1) * (11 << 20)])
        self.c.ok("image", "import", "disk", raw)
        digest = self.c.ok("image", "inspect", "disk").json()["id"]
        for name, files in (("packed", [packed]), ("parts", parts)):
            self.c.ok("image", "import", name, *files)
            self.assertEqual(self.c.ok("image", "inspect", name).json()["id"], digest, name)
        with open(raw, "rb") as stream:
            process = self.c.start("image", "import", "piped", stdin=stream)
            _, err = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 0, err)
        files = self.base_of("piped")
        self.assertEqual(len(files), 1, "one disk, one blob")
        self.assertEqual(files[0].read_bytes(), data)
        self.assertLess(os.stat(files[0]).st_blocks * 512, 1 << 20, "holes should stay holes")
        for name in ("disk", "packed", "parts", "piped"):
            self.c.ok("image", "rm", name)
        self.c.ok("gc")
        self.assert_clean()

    def test_overlay_size(self):
        disk = self.c.base / "big.qcow2"
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", disk, "20G"], check=True)
        self.c.ok("image", "import", "big", disk)
        self.c.fails(USAGE, "vm", "create", *SMALL, "--storage", "15G", "big", says="--storage 15GiB is below")
        vm = self.c.create_vm("big")
        self.assertEqual(vm["config"]["storage"], 20 << 30)
        vm = self.c.create_vm("--storage", "25G", "big")
        with open(self.c.vm_dir(vm["id"]) / "overlay.qcow2", "rb") as file:
            self.assertEqual(struct.unpack_from(">Q", file.read(32), 24)[0], 25 << 30)
        self.c.remove_vms()
        self.c.ok("image", "rm", "big")
        self.c.ok("gc")


if __name__ == "__main__":
    cocoon_e2e.main(needs=("root", "vmm"))
