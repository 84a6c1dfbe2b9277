# SPDX-License-Identifier: Apache-2.0
"""Checks the checkers: the census finds what is left behind, the harness sees a missing error line,
and scripts/check_layers and scripts/lint find what they are there for."""

import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import backends
import census
import cocoon_e2e
from cocoon_e2e import Cocoon, wait_for
from tarballs import entry, tar_bytes, write_gzip_bomb
from terminal import Terminal

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


class TemporaryStore(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.base = Path(folder.name)
        self.c = Cocoon(self.base)

    def fake(self, script):
        """Puts a shell script in the place of the program."""
        program = self.base / "fake"
        program.write_text("#!/bin/sh\n" + script)
        program.chmod(0o755)
        self.addCleanup(setattr, cocoon_e2e, "BIN", cocoon_e2e.BIN)
        cocoon_e2e.BIN = str(program)


class CensusFinds(TemporaryStore):
    def complaints(self):
        return self.c.census._all_leftovers()

    def test_nothing_in_nothing(self):
        self.assertEqual(self.complaints(), [])

    def test_files_and_directories(self):
        for kept in ("root/locks/vm", "root/blobs", "run/exits", "run/qemu", "log/qemu"):
            (self.base / kept).mkdir(parents=True)
        self.assertEqual(self.complaints(), [])
        for left in ("run/qemu/ABCDEFGHIJKLMNOPQRSTUVWXYZ", "log/qemu/ABC", "root/tmp/import-1"):
            (self.base / left).mkdir(parents=True)
            self.assertEqual(self.complaints(), [f"directory {left}"])
            (self.base / left).rmdir()
        for left in ("root/locks/vm/X", "run/exits/X.json", "root/blobs/a.erofs"):
            (self.base / left).touch()
            self.assertIn(f"file {left}", self.complaints())
            (self.base / left).unlink()

    def test_processes(self):
        (self.base / "run").mkdir()
        by_cwd = subprocess.Popen(["sleep", "60"], cwd=self.base / "run")
        # The shell itself waits: a child of it would outlive the test, and ctest with it.
        by_argument = subprocess.Popen(["sh", "-c", "read x", str(self.base / "x")], stdin=subprocess.PIPE)
        try:
            # A process that is just being executed has no arguments for a moment.
            both = {by_cwd.pid, by_argument.pid}
            cocoon_e2e.wait_for("both processes", lambda: both <= {
                p.pid for p in census.processes_of(self.base)}, 10)
            self.assertTrue(self.complaints())
        finally:
            census.destroy(self.base / "run")
            by_argument.kill()
            self.assertNotEqual(by_cwd.wait(10), 0)
            by_argument.communicate(timeout=10)
        self.assertFalse((self.base / "run").exists())

    def test_rows_and_links(self):
        import sqlite3
        (self.base / "root" / "blobs").mkdir(parents=True)
        db = sqlite3.connect(self.base / "root" / "cocoon.db")
        db.executescript("PRAGMA journal_mode = WAL; CREATE TABLE vms (id TEXT, state TEXT);"
                         "CREATE TABLE blobs (id TEXT, state TEXT, file TEXT);"
                         "CREATE TABLE meta (key TEXT, value TEXT);"
                         "INSERT INTO meta VALUES ('install_id', 'feedfacefeedface');"
                         "INSERT INTO blobs VALUES ('b', 'ready', 'blobs/a.erofs');")
        self.assertEqual(self.c.census.install_id(), "feedfacefeedface")
        blob = self.base / "root" / "blobs" / "a.erofs"
        blob.touch()
        self.c.census.assert_no_vms()
        os.link(blob, self.base / "link")
        self.assertEqual(self.c.census._vm_leftovers(), ["root/blobs/a.erofs has 2 links"])
        (self.base / "link").unlink()
        db.execute("INSERT INTO vms VALUES ('X', 'creating')")
        db.execute("INSERT INTO blobs VALUES ('c', 'pending', 'blobs/c.erofs')")
        db.commit()   # still in the write-ahead log
        self.assertEqual(self.c.census._vm_leftovers(),
                         ["row in vms: ('X', 'creating')",
                          "unfinished row in blobs: ('c', 'pending', 'blobs/c.erofs')"])
        db.close()
        with self.assertRaisesRegex(AssertionError, "row in vms"):
            self.c.census._assert(self.c.census._vm_leftovers, seconds=0)

    def test_guest_memory(self):
        import sqlite3
        (self.base / "root").mkdir()
        db = sqlite3.connect(self.base / "root" / "cocoon.db")
        mark = f"e2e-selfcheck-{os.getpid()}"
        db.executescript("CREATE TABLE meta (key TEXT, value TEXT);"
                         f"INSERT INTO meta VALUES ('install_id', '{mark}');")
        db.close()
        folder = census.SHARED_MEMORY / f"cocoon-{mark}"
        folder.mkdir()
        try:
            (folder / "VM").touch()
            self.assertIn(f"outside the store: {folder}/VM", self.c.census._vm_leftovers())
            census.destroy(self.base / "root")   # knows nothing of the store: nothing happens
            self.assertTrue((folder / "VM").exists())
        finally:
            (folder / "VM").unlink()
            folder.rmdir()


class HarnessSees(TemporaryStore):
    def test_success_and_failure(self):
        self.fake('case "$*" in *good*) echo fine;; *bad*) echo "Error: it broke" >&2; exit 3;; '
                  '*mute*) exit 3;; *twice*) echo "Error: a" >&2; echo "Error: b" >&2; exit 3;; '
                  '*liar*) echo "Error: a" >&2;; *chatty*) echo x; echo "Error: a" >&2; exit 3;; esac')
        self.assertEqual(self.c.ok("good").out, "fine\n")
        self.c.fails(3, "bad", says="broke")
        for command in ("good", "mute", "twice", "liar", "chatty"):
            with self.assertRaises(AssertionError, msg=command):
                self.c.fails(3, command)
        with self.assertRaises(AssertionError):
            self.c.fails(4, "bad")
        with self.assertRaises(AssertionError):
            self.c.fails(3, "bad", says="other words")
        for command in ("bad", "liar"):
            with self.assertRaises(AssertionError, msg=command):
                self.c.ok(command)

    def test_sanitizer_reports(self):
        self.fake('echo "==1==ERROR: AddressSanitizer: heap-use-after-free" >&2')
        with self.assertRaisesRegex(AssertionError, "sanitizer"):
            self.c.run("anything")

    def test_commands_that_hang(self):
        self.fake("exec sleep 60")
        with self.assertRaisesRegex(AssertionError, "no end after"):
            self.c.run("anything", seconds=0.3)

    def test_waiting(self):
        with self.assertRaisesRegex(AssertionError, "in vain for rain"):
            wait_for("rain", lambda: False, 0.1)
        self.assertEqual(wait_for("sun", lambda: 7, 0.1), 7)

    def test_exit_status_of_a_suite(self):
        suite = ("import sys; sys.path.insert(0, {0!r}); import cocoon_e2e, unittest\n"
                 "class T(unittest.TestCase):\n  def test_it(self): {1}\n"
                 "cocoon_e2e.main(needs=())\n")
        for body, status, says in (("pass", 0, r"\A"), ("self.fail('no')", 1, r"\A"),
                                   ("self.skipTest('no moon')", 77, "SKIPPED: .*no moon")):
            file = self.base / "suite.py"
            file.write_text(suite.format(str(Path(__file__).parent), body))
            run = subprocess.run([sys.executable, str(file)], capture_output=True, text=True,
                                 env={**os.environ, "COCOON_BIN": "/bin/true"})
            self.assertEqual(run.returncode, status, run.stderr)
            self.assertRegex(run.stdout, says)


class TerminalWorks(unittest.TestCase):
    def test_typing_and_signals(self):
        with Terminal(["sh", "-c", "stty raw -echo; echo ready; head -c 3; stty sane; exit 5"],
                      os.environ) as terminal:
            terminal.read_until("ready")
            self.assertFalse(terminal.is_restored())
            terminal.send("abc")
            terminal.read_until("abc")
            self.assertEqual(terminal.wait(), 5)
        with Terminal(["sleep", "60"], os.environ) as terminal:
            terminal.send(b"\x03")   # a controlling terminal turns this into SIGINT
            self.assertEqual(terminal.wait(), -2)

    def test_what_does_not_come(self):
        with Terminal(["sh", "-c", "echo something"], os.environ) as terminal:
            with self.assertRaisesRegex(AssertionError, "something"):
                terminal.read_until("else", 5)


class TarballsAreWhatTheySay(unittest.TestCase):
    def test_bomb(self):
        with tempfile.TemporaryDirectory() as folder:
            bomb = write_gzip_bomb(Path(folder) / "bomb", "zeroes", 8 << 20)
            self.assertLess(bomb.stat().st_size, 64 << 10)
            listing = subprocess.run(["tar", "-tvzf", str(bomb)], capture_output=True, text=True, check=True)
            self.assertIn(str(8 << 20), listing.stdout)

    def test_dot_dot_is_kept(self):
        listing = subprocess.run(["tar", "-tPf", "-"], input=tar_bytes([entry("../x", b"y")]),
                                 capture_output=True, check=True)
        self.assertEqual(listing.stdout, b"../x\n")


class SourceChecks(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.tree = Path(folder.name)

    def write(self, name, content):
        path = self.tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("// SPDX-License-Identifier: Apache-2.0\n" + content)
        return path

    def run_script(self, script, *args):
        return subprocess.run([str(SCRIPTS / script), *args, str(self.tree)], capture_output=True, text=True)

    def test_check_layers(self):
        for name in ("base/error.h", "sys/fd.h", "model/vm.h", "store/db.h", "vmm/launch.h", "disk/cow.h",
                     "engine/gc.h", "cli/command.h", "shim/ring.h", "guest/init.h"):
            self.write(f"src/{name}", "#pragma once\n")
        self.write("src/engine/gc.cpp", '#include "engine/gc.h"\n#include "vmm/launch.h"\n#include "base/error.h"\n')
        self.write("src/main.cpp", '#include <vector>\n#include "cli/command.h"\n')
        self.assertEqual(self.run_script("check_layers").returncode, 0)
        for name, include in (("base/a.cpp", "sys/fd.h"), ("sys/a.cpp", "model/vm.h"),
                              ("model/a.cpp", "sys/fd.h"), ("model/a.cpp", "store/db.h"),
                              ("store/a.cpp", "vmm/launch.h"), ("vmm/a.cpp", "disk/cow.h"),
                              ("disk/a.cpp", "engine/gc.h"), ("engine/a.cpp", "cli/command.h"),
                              ("shim/a.cpp", "base/error.h"), ("guest/a.cpp", "shim/ring.h"),
                              ("vmm/qemu/a.cpp", "disk/cow.h"), ("base/a.cpp", "../sys/fd.h"),
                              ("unknown/a.cpp", "base/error.h"), ("base/a.cpp", "base/absent.h")):
            file = self.write(f"src/{name}", f'#include "{include}"\n')
            run = self.run_script("check_layers")
            self.assertEqual(run.returncode, 1, f"{name} may include {include}?")
            self.assertIn(name, run.stdout + run.stderr)
            file.unlink()
        self.assertEqual(self.run_script("check_layers").returncode, 0)

    def test_lint(self):
        good = 'namespace cocoon {\n\nint twice(int value) { return 2 * value; }\n\n}  // namespace cocoon\n'
        self.write("src/base/good.cpp", good)
        run = self.run_script("lint", "--no-format")
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        bad = {
            "src/base/a.cpp": 'int f() { return system("ls"); }\n',
            "src/base/b.cpp": 'void f() { ::popen("ls", "r"); }\n',
            "src/base/c.cpp": "void f() { std::filesystem::remove_all(path); }\n",
            "src/base/d.cpp": "void f() { usleep(5); }\n",
            "src/base/e.cpp": "void f() { throw 5; }\n",
            "src/base/f.cpp": 'void f() { std::cout << "x"; }\n',
            "src/base/path_utils.cpp": good,
            "src/base/g.cpp": "class VmManager {};\n",
            "src/base/h.h": "int missing_pragma();\n",
            "src/base/i.cpp": "// TO" "DO: later\n",
            "src/base/j.cpp": "int x;\n" * 501,
        }
        for name, content in bad.items():
            file = self.write(name, content)
            run = self.run_script("lint", "--no-format")
            self.assertEqual(run.returncode, 1, f"{name} should be refused: {content[:80]}")
            self.assertIn(name, run.stdout)
            file.unlink()
        for name, content in {
                "src/cli/a.cpp": 'void f() { std::cout << "x"; }\n',
                "src/base/a.cpp": '// we never throw, and system() is banned\nconst char* f() { return "throw"; }\n',
                "src/base/b.cpp": "void f() { kill_system(1); file_system (2); }\n"}.items():
            file = self.write(name, content)
            run = self.run_script("lint", "--no-format")
            self.assertEqual(run.returncode, 0, f"{name}: {run.stdout}")
            file.unlink()


class BackendChoice(unittest.TestCase):
    def test_only_commands_that_choose_get_one(self):
        flag = ("--backend", backends.NAME)
        for args, wanted in (
                (("vm", "run", "busybox"), ("vm", "run", *flag, "busybox")),
                (("vm", "create", "b", "--", "--fc"), ("vm", "create", *flag, "b", "--", "--fc")),
                (("vm", "debug", "--backend", "qemu", "b"), ("vm", "debug", "--backend", "qemu", "b")),
                (("vm", "start", "x"), ("vm", "start", "x")), (("gc",), ("gc",)), ((), ())):
            self.assertEqual(backends.chosen(args), wanted)

    def test_a_skip_names_the_capability(self):
        self.addCleanup(setattr, backends, "NAME", backends.NAME)
        backends.NAME = "firecracker"
        with self.assertRaisesRegex(unittest.SkipTest, "^firecracker lacks the capability uefi$"):
            cocoon_e2e.StoreTest.need("uefi")
        self.assertTrue(backends.inapplicable("firecracker lacks the capability uefi"))
        self.assertFalse(backends.inapplicable("no firecracker; name it with COCOON_FC_BINARY"))
        cocoon_e2e.StoreTest.need_lack("uefi")
        backends.NAME = "qemu"
        cocoon_e2e.StoreTest.need("uefi")
        with self.assertRaisesRegex(unittest.SkipTest, "^qemu has the capability uefi$"):
            cocoon_e2e.StoreTest.need_lack("uefi")


if __name__ == "__main__":
    cocoon_e2e.main(needs=())
