# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C in the middle: whatever a command had made is gone when it returns."""

import signal
import time

import cocoon_e2e
from cocoon_e2e import INTERRUPTED, SMALL, StoreTest, text

# Seconds from the start of the program. They cover parsing, disks, launch and the wait for the VMM.
DELAYS = (0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.08, 0.12, 0.2, 0.3, 0.5)
MORE_DELAYS = tuple(i / 200 for i in range(1, 121))


class Interrupt(StoreTest):
    def interrupt(self, command, delay, signals=(signal.SIGINT,)):
        process = self.c.start(*command, start_new_session=True)
        time.sleep(delay)
        for number in signals:
            if process.poll() is None:
                process.send_signal(number)
        out, err = process.communicate(timeout=60 * cocoon_e2e.SLOW)
        result = cocoon_e2e.Result(process.args, process.returncode, text(out), text(err))
        cocoon_e2e.check_sanitizers(result)
        return result

    def check(self, command, number=signal.SIGINT):
        stopped = 0
        delays = MORE_DELAYS if cocoon_e2e.FULL else DELAYS
        for delay in delays:
            with self.subTest(delay=delay):
                result = self.interrupt(command, delay * cocoon_e2e.SLOW, (number,))
                if result.code == 0:        # it was done already
                    self.c.ok("vm", "rm", "--force", "interrupted")
                elif result.code == -number:
                    # Before the program could take the signal over, so before any side effect.
                    self.assertLess(delay, 0.03, result)
                else:
                    self.assertEqual(result.code, INTERRUPTED, result)
                    self.assertEqual(len(cocoon_e2e.error_lines(result)), 1, result)
                    stopped += 1
                # No gc in between: the command itself has to clean up.
                self.assert_clean()
        self.assertGreater(stopped, 0, "no delay hit the command at work")

    def test_run(self):
        self.check(("vm", "run", *SMALL, "--name", "interrupted", "busybox", "--", "/bin/sleep", "1000"))

    def test_create(self):
        self.check(("vm", "create", *SMALL, "--name", "interrupted", "busybox"))

    def test_run_ended_by_sigterm(self):
        self.check(("vm", "run", *SMALL, "--name", "interrupted", "busybox", "--", "/bin/sleep", "1000"),
                   signal.SIGTERM)

    def test_image_import(self):
        file = cocoon_e2e.IMAGES / "app-docker.tar"
        stopped = 0
        for delay in DELAYS:
            with self.subTest(delay=delay):
                result = self.interrupt(("image", "import", "app", file), delay * cocoon_e2e.SLOW)
                if result.code == 0:
                    self.c.ok("image", "rm", "app")
                    self.c.ok("gc")
                else:
                    self.assertIn(result.code, (INTERRUPTED, -signal.SIGINT), result)
                    stopped += result.code == INTERRUPTED
                self.assert_clean()
        self.assertGreater(stopped, 0, "no delay hit the command at work")


if __name__ == "__main__":
    cocoon_e2e.main()
