# SPDX-License-Identifier: Apache-2.0
"""Into the guest: exec, terminals, copies, waiting, one-shot runs, and what happens when it ends."""

import hashlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import backends
import cocoon_e2e
from cocoon_e2e import CONFLICT, FULL, INTERRUPTED, NOT_FOUND, SLOW, StoreTest, USAGE, wait_for
from terminal import Terminal

OURS, NOT_EXECUTABLE, ABSENT = 125, 126, 127
STAY = ("--", "/bin/sh", "-c", "sleep 100000")


class AgentTest(StoreTest):
    """One guest that stays until the test is over."""

    mode = ("busybox", *STAY)

    def setUp(self):
        self.vm = self.c.run_vm("--name", "g", "--wait", *self.mode, seconds=120)

    def argv(self, *args):
        return self.c.argv("vm", "exec", *args)

    def sh(self, script, *flags, **how):
        return self.c.run("vm", "exec", *flags, "g", "--", "/bin/sh", "-c", script, **how)


class Exec(AgentTest):
    def test_streams_and_exit_codes(self):
        result = self.sh("echo out; echo err >&2; exit 7")
        self.assertEqual((result.code, result.out, result.err), (7, "out\n", "err\n"))
        self.assertEqual(self.sh("exit 0").code, 0)
        self.assertEqual(self.sh("exit 1").code, 1)
        self.assertEqual(self.sh("kill -9 $$").code, 128 + 9)
        self.assertEqual(self.sh("kill -15 $$").code, 128 + 15)
        self.c.fails(ABSENT, "vm", "exec", "g", "--", "/nonexist", says="exec: start /nonexist: no such")
        self.c.fails(ABSENT, "vm", "exec", "g", "--", "nonexist", says="executable file not found")
        self.c.fails(NOT_EXECUTABLE, "vm", "exec", "g", "--", "/etc", says="permission denied")
        self.c.fails(OURS, "vm", "exec", "nosuch", "--", "true", says="vm not found")
        self.c.fails(OURS, "vm", "exec", "g", says="no command")
        self.c.fails(USAGE, "vm", "exec", "--nosuch", "g", "--", "true")

        # without -i there is no input, with it there is
        self.assertEqual(self.sh("wc -c").out.strip(), "0")
        result = self.sh("cat", "-i", stdin=b"some\0bytes\xff")
        self.assertEqual(result.code, 0)
        # a background child that keeps the pipes is not waited for
        begun = time.monotonic()
        self.assertEqual(self.sh("sleep 1000 & echo done").out, "done\n")
        self.assertLess(time.monotonic() - begun, 20 * SLOW)

    def test_environment_directory_user(self):
        result = self.sh("echo $A-$B-$HERE; pwd; id -u; id -G; echo $HOME", "-e", "A=x y", "-e", "B=",
                         "-e", "HERE", "-w", "/home/app", "-u", "app", env={"HERE": "there"})
        self.assertEqual(result.out.splitlines(), ["x y--there", "/home/app", "1000", "1000 2000", "/home/app"])
        self.c.fails(OURS, "vm", "exec", "-w", "/nonexist", "g", "--", "true", says="working directory")
        self.c.fails(OURS, "vm", "exec", "-u", "nobody2", "g", "--", "true", says="nobody2")

    def test_binary_streams_unharmed(self):
        size = 100 << 20 if FULL else 16 << 20
        data = os.urandom(1 << 20) * (size >> 20)
        process = self.c.start("vm", "exec", "-i", "g", "--", "cat", stdin=subprocess.PIPE)
        out, err = process.communicate(data, timeout=600 * SLOW)
        self.assertEqual(process.returncode, 0, err)
        self.assertEqual(hashlib.sha256(out).hexdigest(), hashlib.sha256(data).hexdigest())

    def test_many_sessions(self):
        for i in range(200 if FULL else 50):
            self.assertEqual(self.sh(f"exit {i % 100}").code, i % 100)
        processes = [self.c.start("vm", "exec", "g", "--", "/bin/sh", "-c", f"sleep 1; echo {i}; exit {i}")
                     for i in range(32)]
        for i, process in enumerate(processes):
            out, err = process.communicate(timeout=120 * SLOW)
            self.assertEqual((process.returncode, out), (i, f"{i}\n".encode()), err)

    def test_a_slow_reader_holds_nobody_up(self):
        slow = self.c.start("vm", "exec", "g", "--", "yes")   # nobody reads its pipe
        time.sleep(2)
        self.assertEqual(self.sh("echo quick", seconds=20).out, "quick\n")
        slow.terminate()
        slow.communicate(timeout=20 * SLOW)
        wait_for("the guest's child to be gone", lambda: not self.sh("pidof yes").out.strip(), 10)

    def running(self, seconds):
        return self.sh(f"ps | grep 'sleep {seconds}' | grep -vc grep").out.strip() != "0"

    def test_interruption_kills_the_guests_child(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            process = self.c.start("vm", "exec", "g", "--", "sleep", "4321")
            wait_for("the command to run", lambda: self.running(4321), 20)
            process.send_signal(number)
            process.communicate(timeout=20 * SLOW)
            self.assertEqual(process.returncode, INTERRUPTED if number != signal.SIGKILL else -9)
            wait_for("the guest's child to be gone", lambda: not self.running(4321), 10)

    def test_terminal(self):
        with Terminal(self.argv("-it", "g", "--", "/bin/sh"), self.c.environment({"TERM": "vt100"}),
                      rows=30, columns=100) as terminal:
            terminal.read_until(rb"/ # ", 30)
            terminal.send("stty size; echo $TERM; tty\r")
            terminal.read_until(rb"30 100\r\nvt100\r\n/dev/pts/")
            terminal.resize(40, 120)
            terminal.send("stty size\r")
            terminal.read_until(rb"(?s)40 120\r\n.*?/ # ")
            terminal.send("echo go; sleep 1000\r")
            terminal.read_until(rb"\ngo\r")
            time.sleep(1)
            terminal.send(b"\x03")                 # the guest's Ctrl-C, not ours
            terminal.read_until(rb"/ # ")
            terminal.send("vi /tmp/f\r")
            terminal.read_until(rb"~", 20)
            terminal.send(b"ihello from vi\x1b")
            time.sleep(1)
            terminal.send(b":wq\r")
            terminal.read_until(rb"/ # ", 20)
            terminal.send("cat /tmp/f; exit 5\r")
            terminal.read_until(rb"hello from vi\r\n")
            self.assertEqual(terminal.wait(), 5)
            self.assertTrue(terminal.is_restored())
        self.c.fails(OURS, "vm", "exec", "-it", "g", "--", "sh", says="not a terminal")

    def test_terminal_in_tmux(self):
        if not shutil.which("tmux"):
            self.skipTest("no tmux")
        with tempfile.TemporaryDirectory() as folder:
            def tmux(*args):
                return subprocess.run(["tmux", "-S", f"{folder}/s", *args], capture_output=True, text=True,
                                      timeout=30, env=self.c.environment({"TERM": "xterm"})).stdout

            def screen(pattern):
                return wait_for(f"/{pattern}/ in tmux",
                                lambda: re.search(pattern, tmux("capture-pane", "-p"), re.M), 30, 0.2)
            try:
                tmux("-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24",
                     " ".join(self.argv("-it", "g", "--", "/bin/sh")))
                screen(r"^/ #")
                tmux("send-keys", "vi /tmp/t", "Enter")
                screen(r"^~")
                tmux("send-keys", "i", "one line")
                screen(r"^one line")
                tmux("send-keys", "Escape")
                time.sleep(1)              # or vi takes what follows for the rest of a key's code
                tmux("send-keys", ":wq", "Enter")
                screen(r"^/ #")
                tmux("send-keys", "cat /tmp/t", "Enter")
                screen(r"cat /tmp/t\s*\none line")
                tmux("resize-window", "-x", "100", "-y", "33")
                tmux("send-keys", "stty size", "Enter")
                screen(r"^3[23] 100")
            finally:
                tmux("kill-server")

    def lose(self, end, codes=(OURS,)):
        """A session ends with a clear error soon after the guest is gone."""
        process = self.c.start("vm", "exec", "g", "--", "sleep", "1000")
        wait_for("the command to run", lambda: self.running(1000), 20)
        end()
        begun = time.monotonic()
        _, err = process.communicate(timeout=60 * SLOW)
        self.assertIn(process.returncode, codes, err)
        if process.returncode == OURS:
            self.assertRegex(err.decode(), r"Error: .*(connection .* lost|shutting down)")
        return time.monotonic() - begun

    def test_death_of_the_vmm_ends_sessions_at_once(self):
        took = self.lose(lambda: os.kill(self.c.inspect("g")["pid"], signal.SIGKILL))
        self.assertLess(took, 3 * SLOW)
        # Its record may not tell yet, nor the multiplexer know.
        self.c.fails(OURS, "vm", "exec", "g", "--", "true", says="not running|the VM ended")
        self.c.wait_state("g", "error", 20)
        self.c.fails(OURS, "vm", "exec", "g", "--", "true", says="not running")

    def test_an_end_that_no_record_tells_yet(self):
        shim = self.c.shim_pid(self.vm["id"])
        os.kill(shim, signal.SIGSTOP)
        try:
            os.kill(self.c.inspect("g")["pid"], signal.SIGKILL)
            process = self.c.start("vm", "exec", "g", "--", "true")
            time.sleep(1)
        finally:
            os.kill(shim, signal.SIGCONT)
        _, err = process.communicate(timeout=60 * SLOW)
        self.assertEqual(process.returncode, OURS, err)
        self.assertRegex(err.decode(), r"^Error: .*(not running|the VM ended)")

    def test_stop_ends_sessions(self):
        took = self.lose(lambda: self.c.ok("vm", "stop", "g"), (OURS, 128 + 15))   # it may see its end
        self.assertLess(took, 3 * SLOW)


class WithInit(AgentTest):
    """The agent beside an init of the image's own."""

    mode = ("--init", "busybox")

    def test_the_agent_lives_on_and_stops_the_guest(self):
        self.assertEqual(self.sh("cat /proc/1/comm").out.strip(), "init")
        self.sh("echo kept > /root/kept; sync")
        self.c.ok("vm", "stop", "g")
        self.assertEqual(self.c.state("g"), "stopped")
        self.c.ok("vm", "start", "g")
        self.c.ok("vm", "wait", "g", seconds=120)
        self.assertEqual(self.sh("cat /root/kept").out, "kept\n")
        self.assertNotIn("recovery complete", self.c.console_text(self.vm["id"]))

    def test_guest_reboot_ends_sessions(self):
        process = self.c.start("vm", "exec", "g", "--", "sleep", "1000")
        time.sleep(2)
        self.sh("(sleep 1; reboot -f) > /dev/null 2>&1 &")
        _, err = process.communicate(timeout=60 * SLOW)
        self.assertEqual(process.returncode, OURS, err)
        self.assertRegex(err.decode(), r"Error: .*connection .* lost")
        if not backends.has("reboot_in_place"):   # the VM has ended by it
            self.c.wait_state("g", "stopped", 30)
            self.c.ok("vm", "start", "g", seconds=120)
        self.c.ok("vm", "wait", "g", seconds=120)
        self.assertEqual(self.sh("echo again").out, "again\n")

    def test_reseed_and_machine_id(self):
        self.sh("echo 0123456789abcdef0123456789abcdef > /etc/machine-id")
        self.c.ok("vm", "reseed", "g")
        self.assertEqual(self.sh("cat /etc/machine-id").out.strip(), "0123456789abcdef0123456789abcdef")
        self.c.ok("vm", "reseed", "--machine-id", "g")
        self.assertRegex(self.sh("cat /etc/machine-id").out, r"^[0-9a-f]{32}\n$")
        self.assertNotIn("0123456789abcdef0123456789abcdef", self.sh("cat /etc/machine-id").out)


class Copy(AgentTest):
    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory(dir=self.c.base)
        self.addCleanup(folder.cleanup)
        self.dir = Path(folder.name)

    def test_a_tree_both_ways(self):
        tree = self.dir / "tree"
        (tree / "sub").mkdir(parents=True)
        (tree / "a").write_bytes(os.urandom(300000))
        (tree / "a").chmod(0o640)
        os.chown(tree / "a", 1234, 2345)
        (tree / "sub").chmod(0o750)
        (tree / "link").symlink_to("sub/../a")
        os.link(tree / "a", tree / "sub" / "twin")
        (tree / ("n" * 200)).write_text("long name")
        with open(tree / "sparse", "wb") as file:
            file.truncate(1 << 30)
            file.seek(1 << 29)
            file.write(b"middle")
        self.c.ok("vm", "cp", tree, "g:/root/", seconds=120)
        self.assertEqual(self.sh("stat -c '%a %u:%g' /root/tree/a /root/tree/sub").out,
                         "640 1234:2345\n750 0:0\n")
        self.assertLess(int(self.sh("du -k /root/tree/sparse").out.split()[0]), 1024)
        self.c.ok("vm", "cp", "g:/root/tree", self.dir / "back", seconds=120)
        back = self.dir / "back"
        self.assertEqual((back / "a").read_bytes(), (tree / "a").read_bytes())
        info = (back / "a").stat()
        self.assertEqual((info.st_mode & 0o7777, info.st_uid, info.st_gid, info.st_nlink),
                         (0o640, 1234, 2345, 2))
        self.assertEqual(os.readlink(back / "link"), "sub/../a")
        self.assertEqual((back / ("n" * 200)).read_text(), "long name")
        self.assertEqual((back / "sparse").stat().st_size, 1 << 30)
        self.assertLess((back / "sparse").stat().st_blocks * 512, 1 << 20)
        with open(back / "sparse", "rb") as file:
            file.seek(1 << 29)
            self.assertEqual(file.read(6), b"middle")

    def test_streams_and_names(self):
        (self.dir / "f").write_text("content")
        self.c.ok("vm", "cp", self.dir / "f", "g:/root/renamed")
        self.assertEqual(self.sh("cat /root/renamed").out, "content")
        tar = subprocess.run(self.c.argv("vm", "cp", "g:/root/renamed", "-"), capture_output=True,
                             env=self.c.environment(), timeout=60 * SLOW)
        listed = subprocess.run(["tar", "tf", "-"], input=tar.stdout, capture_output=True, check=True)
        self.assertEqual(listed.stdout, b"renamed\n")
        packed = subprocess.run(["tar", "cf", "-", "-C", self.dir, "f"], capture_output=True, check=True)
        self.c.ok("vm", "cp", "-", "g:/srv", stdin=packed.stdout)
        self.assertEqual(self.sh("cat /srv/f").out, "content")
        self.c.fails(NOT_FOUND, "vm", "cp", self.dir / "none", "g:/root/", says="no such file")
        self.c.fails(USAGE, "vm", "cp", "a", "b", says="exactly one side")
        result = self.c.run("vm", "cp", "g:/none", self.dir)
        self.assertEqual(result.code, cocoon_e2e.FAILURE)
        self.assertIn("/none", result.err)


class OneShot(StoreTest):
    """vm run --rm: from the prompt to the exit, and nothing is left (tearDown looks)."""

    def test_prompt_to_exit(self):
        argv = self.c.argv("vm", "run", "--rm", "-it", *cocoon_e2e.SMALL, "busybox", "--", "/bin/sh")
        with Terminal(argv, self.c.environment(), rows=31, columns=101) as terminal:
            terminal.read_until(rb"/ # ", 120)
            terminal.send("stty size; exit 3\r")
            terminal.read_until(rb"31 101")
            self.assertEqual(terminal.wait(60), 3)
            self.assertTrue(terminal.is_restored())
        self.assertEqual(self.c.list(), [])

    def test_filter(self):
        result = self.c.run("vm", "run", "--rm", "-i", *cocoon_e2e.SMALL, "busybox", "--", "sh", "-c",
                            "sha256sum; echo problem >&2; exit 4", stdin=b"x" * 1000000)
        self.assertEqual(result.code, 4)
        self.assertIn(hashlib.sha256(b"x" * 1000000).hexdigest(), result.out)
        self.assertIn("problem", result.err)
        self.assertEqual(self.c.list(), [])

    def test_start_failures(self):
        result = self.c.run("vm", "run", "--rm", *cocoon_e2e.SMALL, "busybox", "--", "/no/such")
        self.assertEqual(result.code, ABSENT)
        self.c.fails(OURS, "vm", "run", "--rm", *cocoon_e2e.SMALL, "nosuchimage", "--", "true")
        self.assertEqual(self.c.list(), [])

    def test_interruption_leaves_nothing(self):
        process = self.c.start("vm", "run", "--rm", *cocoon_e2e.SMALL, "busybox", "--", "sh", "-c",
                               "echo up; sleep 1000")
        self.assertEqual(process.stdout.readline(), b"up\n")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60 * SLOW)
        self.assertEqual(process.returncode, INTERRUPTED)
        self.assertEqual(self.c.list(), [])


class Wait(StoreTest):
    images = ("busybox", "own-kernel")

    def test_wait_for_the_exit(self):
        self.c.run_vm("--name", "w", "busybox", "--", "sh", "-c", "sleep 3; exit 9")
        self.assertEqual(self.c.ok("vm", "wait", "--for", "exit", "w", seconds=120).out, "9\n")
        self.c.fails(CONFLICT, "vm", "wait", "w", says="not running")

    def test_a_guest_without_an_agent(self):
        self.c.run_vm("--name", "o", "own-kernel")
        begun = time.monotonic()
        self.c.fails(OURS, "vm", "exec", "--timeout", "5", "o", "--", "true", says="no agent answered")
        self.assertLess(time.monotonic() - begun, 15 * SLOW)


if __name__ == "__main__":
    cocoon_e2e.main()
