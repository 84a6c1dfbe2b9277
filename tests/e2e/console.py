# SPDX-License-Identifier: Apache-2.0
"""The guest's console from a terminal: typing, signals, detaching, a second user."""


import cocoon_e2e
from cocoon_e2e import CONFLICT, StoreTest
from terminal import Terminal

DETACH = b"\x1d."
PROMPT = rb"/ # "


class Console(StoreTest):
    """One guest with a shell on its console."""

    def setUp(self):
        self.vm = self.c.run_vm("--name", "shell", "--init", "busybox")["id"]
        self.c.wait_console(self.vm, "init-ready shell")

    def attach(self, *flags):
        return Terminal(self.c.argv("vm", "console", *flags, "shell"), self.c.environment())

    def calculate(self, terminal, number):
        """Types a command whose echo cannot be mistaken for its output."""
        terminal.send(f"echo result=$(({number}+1))\r")
        terminal.read_until(f"result={number + 1}\r")

    def interrupt_guest(self, terminal):
        """Ctrl-C until the prompt is back. One that comes before the shell has handed the terminal
        to its command is only a character."""
        for _ in range(10):
            terminal.send(b"\x03")
            try:
                terminal.read_until(PROMPT, 2)
                return
            except AssertionError:
                continue
        self.fail("Ctrl-C does not reach the guest")

    def test_type_interrupt_detach(self):
        with self.attach() as terminal:
            terminal.read_until(PROMPT, 20)      # the scroll-back is shown first
            terminal.send("echo typed")
            terminal.read_until("echo typed")    # the guest echoes what is typed
            terminal.send("\r")
            terminal.read_until("\ntyped\r")
            terminal.send("echo go; sleep 1000\r")
            terminal.read_until("\ngo\r")
            self.interrupt_guest(terminal)       # Ctrl-C is the guest's, not ours
            self.calculate(terminal, 41)
            terminal.send(b"\x1dx\x1d")          # an escape character that detaches nothing
            terminal.send(b".")
            self.assertEqual(terminal.wait(), 0)
            self.assertTrue(terminal.is_restored())
        self.assertEqual(self.c.state("shell"), "running")
        with self.attach() as terminal:          # and again, from where it was
            terminal.read_until("result=42")
            terminal.send(b"\x15")               # Ctrl-U: away with the x from above
            self.calculate(terminal, 7)
            terminal.send(DETACH)
            self.assertEqual(terminal.wait(), 0)

    def test_one_writer(self):
        with self.attach() as first:
            first.read_until(PROMPT, 20)
            self.calculate(first, 1)
            with self.attach() as refused:
                self.assertEqual(refused.wait(), CONFLICT)
                self.assertRegex(cocoon_e2e.text(refused.output), r"Error: .*" + str(first.process.pid))
            with self.attach("--read-only") as reader:
                reader.read_until("result=2")
                reader.send("echo result=$((50+50))\r")
                self.calculate(first, 10)
                reader.read_until("result=11")
                self.assertNotIn(b"result=100", reader.output)
                reader.send(DETACH)
                self.assertEqual(reader.wait(), 0)
            with self.attach("--steal") as thief:
                self.calculate(thief, 20)
                first.read_until("result=21")    # the first one still sees what happens
                first.send("echo result=$((70+70))\r")
                self.calculate(thief, 30)
                self.assertNotIn(b"result=140", thief.output)
                thief.send(DETACH)
                self.assertEqual(thief.wait(), 0)
            first.send(DETACH)
            self.assertEqual(first.wait(), 0)

    def test_end_of_the_vm_ends_the_console(self):
        with self.attach() as terminal:
            terminal.read_until(PROMPT, 20)
            terminal.send("poweroff\r")
            self.assertEqual(terminal.wait(30), 0)
            self.assertTrue(terminal.is_restored())
        self.c.wait_state("shell", "stopped")

    def test_other_escape_character_and_bad_ones(self):
        with self.attach("--escape-char", "^A") as terminal:
            terminal.read_until(PROMPT, 20)
            terminal.send(b"\x01.")
            self.assertEqual(terminal.wait(), 0)
        for bad in ("", "ab", "^", "\r", "^1"):
            with self.attach("--escape-char", bad) as terminal:
                self.assertEqual(terminal.wait(), cocoon_e2e.USAGE, repr(bad))
        # Without a terminal there is no console.
        result = self.c.run("vm", "console", "shell")
        self.assertIn(result.code, (cocoon_e2e.FAILURE, cocoon_e2e.USAGE))
        self.assertEqual(len(cocoon_e2e.error_lines(result)), 1)

    def test_window_size_reaches_the_guest_side(self):
        with self.attach() as terminal:
            terminal.read_until(PROMPT, 20)
            terminal.resize(50, 132)
            self.calculate(terminal, 3)          # alive after the change
            terminal.send(DETACH)
            self.assertEqual(terminal.wait(), 0)


if __name__ == "__main__":
    cocoon_e2e.main()
