# SPDX-License-Identifier: Apache-2.0
"""Image files that attack or are broken: refused with one Error: line, and nothing of them stays,
neither in the store nor outside of it."""

import gzip
import json
import os
import signal
import stat
import subprocess
import tarfile

import cocoon_e2e
from cocoon_e2e import FAILURE, USAGE, StoreTest
from tarballs import (device, directory, docker_archive, entry, hardlink, symlink, tar_bytes,
                      write_gzip_bomb, write_tar)

LIMIT = 32 << 20


class HostileImages(StoreTest):
    kernel = None
    images = ()
    config = {"max_layer_bytes": LIMIT, "max_layer_entries": 5000}

    def setUp(self):
        self.file = self.c.base / "image.tar"
        # What an escape would reach: names that no layer may create or change.
        self.canary = self.c.base / "canary"
        self.canary.write_text("untouched")
        self.outside = sorted(os.listdir(self.c.base))

    def tearDown(self):
        self.file.unlink(missing_ok=True)
        super().tearDown()

    def check_outside(self):
        self.assertEqual(self.canary.read_text(), "untouched")
        names = set(os.listdir(self.c.base)) - {"image.tar"}
        self.assertEqual(names - {"root", "run", "log"}, set(self.outside) - {"root", "run", "log"})
        for name in ("/cocoon-e2e-escape", "/tmp/cocoon-e2e-escape", "/etc/cocoon-e2e-escape"):
            self.assertFalse(os.path.lexists(name), name)

    def refused(self, says=None, codes=(FAILURE, USAGE)):
        result = self.c.run("image", "import", "hostile", self.file, seconds=300)
        self.assertIn(result.code, codes, result)
        lines = cocoon_e2e.error_lines(result)
        self.assertEqual(len(lines), 1, result)
        if says:
            self.assertRegex(lines[0], says)
        self.assertTrue(all(c.isprintable() or c in "\n\t" for c in result.err), repr(result.err))
        self.check_outside()
        self.assertEqual(self.c.ok("image", "list", "-o", "json").json(), [])
        self.assert_clean()

    def accepted(self):
        """Imported without reaching outside; the image is removed again."""
        self.c.ok("image", "import", "harmless", self.file, seconds=300)
        self.check_outside()
        self.c.ok("image", "rm", "harmless")
        self.c.ok("gc")
        self.assert_clean()

    def test_paths_with_dot_dot(self):
        for name in ("../cocoon-e2e-escape", "a/../../cocoon-e2e-escape", "..", "a/..",
                     "../../../../../../../../tmp/cocoon-e2e-escape"):
            with self.subTest(name=name):
                write_tar(self.file, [directory("a"), entry(name, b"x")])
                self.refused(r"\.\.")

    def test_absolute_paths_stay_inside(self):
        write_tar(self.file, [entry("/cocoon-e2e-escape", b"x"), directory("/tmp"),
                              entry("//tmp/cocoon-e2e-escape", b"x")])
        self.accepted()

    def test_symlinks_that_lead_out(self):
        for target in ("/", "/etc", "../../../../../../../..", str(self.c.base)):
            with self.subTest(target=target):
                write_tar(self.file, [symlink("way", target), entry("way/cocoon-e2e-escape", b"x"),
                                      entry("way/canary", b"overwritten")])
                result = self.c.run("image", "import", "hostile", self.file)
                if result.code == 0:   # followed, but inside of the layer only
                    self.check_outside()
                    self.c.ok("image", "rm", "hostile")
                    self.c.ok("gc")
                    self.assert_clean()
                else:
                    self.refused()

    def test_symlink_over_itself(self):
        write_tar(self.file, [symlink("loop", "loop"), entry("loop/file", b"x")])
        self.refused()

    def test_hard_links_that_lead_out(self):
        for target in ("../canary", "/../canary", str(self.canary), "../../etc/passwd"):
            with self.subTest(target=target):
                write_tar(self.file, [hardlink("stolen", target)])
                self.refused()
                self.assertEqual(os.stat(self.canary).st_nlink, 1)

    def test_hard_link_through_a_symlink(self):
        write_tar(self.file, [symlink("way", str(self.c.base)), hardlink("stolen", "way/canary")])
        self.refused()
        self.assertEqual(os.stat(self.canary).st_nlink, 1)

    def test_device_nodes_are_content_only(self):
        kinds = (tarfile.CHRTYPE, tarfile.BLKTYPE)
        write_tar(self.file, [directory("dev")] +
                  [device(f"dev/n{i}", kinds[i % 2], 1 + i % 8, i % 256) for i in range(300)] +
                  [entry("dev/pipe", type=tarfile.FIFOTYPE)])
        self.accepted()
        # Nothing may have been left as a usable node anywhere below the store.
        for name, _ in self.c.census.files():
            mode = os.lstat(self.c.base / name).st_mode
            self.assertFalse(stat.S_ISBLK(mode) or stat.S_ISCHR(mode), name)

    def test_device_with_hostile_numbers(self):
        write_tar(self.file, [device("dev-null", major=2**21 - 1, minor=2**21 - 1)])
        result = self.c.run("image", "import", "hostile", self.file)
        self.assertIn(result.code, (0, FAILURE), result)
        self.check_outside()
        if result.code == 0:
            self.c.ok("image", "rm", "hostile")
            self.c.ok("gc")
        self.assert_clean()

    def test_gzip_bomb(self):
        write_gzip_bomb(self.file, "zeroes", LIMIT * 64)
        self.assertLess(self.file.stat().st_size, 4 << 20)
        self.refused("limit")

    def test_layer_over_the_limit(self):
        info, _ = entry("sparse")
        info.size = LIMIT + 512
        with open(self.file, "wb") as out:   # a plain tar whose member is one hole
            out.write(info.tobuf(tarfile.GNU_FORMAT))
            out.truncate(512 + info.size + 1024 + 512)
        self.refused("limit")

    def test_too_many_entries(self):
        write_tar(self.file, [entry(f"f{i}") for i in range(5001)])
        self.refused("limit|entries")

    def test_deep_and_long_names(self):
        write_tar(self.file, [entry("/".join(["d"] * 3000), b"x")])
        self.refused()
        write_tar(self.file, [entry("n" * 256, b"x")])
        self.refused()

    def test_control_characters_in_names_do_not_reach_the_terminal(self):
        write_tar(self.file, [entry("a\x1b[2J\n../x", b"x"), hardlink("b\x1b]0;x\x07", "no\x1b[0msuch")])
        self.refused()

    def test_broken_whiteouts(self):
        for name in (".wh.", ".wh..", ".wh...", "a/.wh."):
            with self.subTest(name=name):
                write_tar(self.file, [directory("a"), entry(name)])
                self.refused()

    def test_files_that_are_no_image(self):
        for name, data in (("empty", b""), ("text", b"hello\n"), ("zeroes", bytes(10240)),
                           ("gzip of text", gzip.compress(b"hello\n" * 500)),
                           ("broken gzip", b"\x1f\x8b\x08\x00" + b"\xff" * 200),
                           ("short", b"\x1f")):
            with self.subTest(name=name):
                self.file.write_bytes(data)
                self.refused()

    def test_truncated_archive(self):
        whole = tar_bytes([entry("file", b"x" * 100000)])
        for size in (513, 700, 1024, 50000):
            with self.subTest(size=size):
                self.file.write_bytes(whole[:size])
                self.refused()

    def test_checksum_that_is_wrong(self):
        data = bytearray(tar_bytes([entry("first", b"x"), entry("second", b"y")]))
        data[1024 + 5] ^= 0xFF   # inside the second header's name
        self.file.write_bytes(bytes(data))
        self.refused()

    def test_docker_archives_that_lie(self):
        layer = tar_bytes([entry("file", b"x")])
        good = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers"}}
        cases = {
            "diff_id of other bytes": dict(config={**good, "rootfs": {
                "type": "layers", "diff_ids": ["sha256:" + "0" * 64]}}),
            "diff_id with a path": dict(config={**good, "rootfs": {
                "type": "layers", "diff_ids": ["sha256:../../../../canary"]}}),
            "layer count": dict(config={**good, "rootfs": {"type": "layers", "diff_ids": []}}),
            "other machine": dict(config={"architecture": "riscv64", "os": "linux", "rootfs": {
                "type": "layers", "diff_ids": []}}),
            "layer outside": dict(manifest=[{"Config": "config.json", "RepoTags": None,
                                             "Layers": ["../canary"]}]),
            "config outside": dict(manifest=[{"Config": str(self.canary), "RepoTags": None,
                                              "Layers": ["0/layer.tar"]}]),
            "layer missing": dict(manifest=[{"Config": "config.json", "Layers": ["7/layer.tar"]}]),
            "manifest of a wrong type": dict(manifest={"Layers": 7}),
            "deep manifest": dict(manifest=json.loads("[" * 400 + "]" * 400)),
            "no layers": dict(manifest=[{"Config": "config.json", "Layers": []}]),
        }
        for name, how in cases.items():
            with self.subTest(name=name):
                write_tar(self.file, docker_archive([layer], **how))
                self.refused()

    def test_docker_archive_whose_layer_is_a_link(self):
        members = docker_archive([tar_bytes([entry("file", b"x")])])
        members[2] = symlink("0/layer.tar", str(self.canary))
        write_tar(self.file, members)
        self.refused()

    def test_docker_archive_with_a_hostile_layer(self):
        write_tar(self.file, docker_archive([tar_bytes([entry("ok", b"x")]),
                                             tar_bytes([entry("../cocoon-e2e-escape", b"x")])]))
        self.refused(r"\.\.")

    def test_fifo(self):
        """It waits for a writer, as every reader of a FIFO does, and Ctrl-C ends that."""
        os.mkfifo(self.file)
        waiting = self.c.start("image", "import", "hostile", self.file)
        with self.assertRaises(subprocess.TimeoutExpired):
            waiting.wait(2)
        waiting.send_signal(signal.SIGINT)
        _, err = waiting.communicate(timeout=20 * cocoon_e2e.SLOW)
        self.assertEqual(waiting.returncode, cocoon_e2e.INTERRUPTED, err)
        self.assert_clean()
        reader = self.c.start("image", "import", "piped", self.file)
        with open(self.file, "wb") as pipe:
            pipe.write((cocoon_e2e.IMAGES / "busybox.tar").read_bytes())
        _, err = reader.communicate(timeout=60 * cocoon_e2e.SLOW)
        self.assertEqual(reader.returncode, 0, err)
        self.c.ok("image", "rm", "piped")
        self.c.ok("gc")
        self.assert_clean()


if __name__ == "__main__":
    cocoon_e2e.main(needs=("root", "mkfs.erofs", "assets"))
