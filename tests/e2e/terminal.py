# SPDX-License-Identifier: Apache-2.0
"""A program on a pseudo-terminal of its own, as a person would use it."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time

from cocoon_e2e import SLOW, text


class Terminal:
    """Starts argv with stdin, stdout and stderr on a new controlling terminal."""

    def __init__(self, argv, env, rows=24, columns=80):
        self.master, slave = pty.openpty()
        self.resize(rows, columns)
        self.cooked = termios.tcgetattr(slave)
        self.slave = slave   # kept open: its settings are looked at after the program has ended
        self.output = b""
        self.mark = 0        # read_until looks only at what came after the last match

        def become_leader():
            os.setsid()
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(argv, env=env, stdin=slave, stdout=slave, stderr=slave,
                                        preexec_fn=become_leader)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.slave)
        os.close(self.master)

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def send(self, data):
        os.write(self.master, data if isinstance(data, bytes) else data.encode())

    def pump(self, seconds):
        """Takes in what the program prints for at most that long; False when nothing came."""
        readable, _, _ = select.select([self.master], [], [], seconds)
        if not readable:
            return False
        try:
            data = os.read(self.master, 65536)
        except OSError:   # EIO: nobody has the other side open
            return False
        self.output += data
        return bool(data)

    def read_until(self, pattern, seconds=10.0):
        """Waits for a regular expression in the output since the last match; returns the match."""
        expression = re.compile(pattern if isinstance(pattern, bytes) else pattern.encode())
        end = time.monotonic() + seconds * SLOW
        while True:
            match = expression.search(self.output, self.mark)
            if match:
                self.mark = match.end()
                return match
            if time.monotonic() >= end:
                raise AssertionError(f"/{pattern}/ did not come in {seconds * SLOW:.0f} s; "
                                     f"terminal so far:\n{text(self.output)}")
            if not self.pump(0.1) and self.process.poll() is not None and not self.pump(0.2):
                raise AssertionError(f"ended with {self.process.returncode} before /{pattern}/; "
                                     f"terminal so far:\n{text(self.output)}")

    def wait(self, seconds=10.0):
        """Waits for the end of the program; returns its exit status."""
        end = time.monotonic() + seconds * SLOW
        while self.process.poll() is None:
            if time.monotonic() >= end:
                raise AssertionError(f"still running; terminal so far:\n{text(self.output)}")
            self.pump(0.05)
        while self.pump(0.1):
            pass
        return self.process.returncode

    def is_restored(self):
        """True when the terminal has the settings again that it had before the program."""
        return termios.tcgetattr(self.slave) == self.cooked
