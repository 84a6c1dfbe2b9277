# SPDX-License-Identifier: Apache-2.0
"""The machinery of the fault suites: a command is ended at each of its recorded side effects, or at a
sample of them, and whoever comes next finds everything in order."""

import signal

import cocoon_e2e
from cocoon_e2e import StoreTest

SAMPLE = 3


class Sweep(StoreTest):
    def setUp(self):
        self.traces = 0

    def trace(self, command):
        """The side effects of a command that is left alone, in order."""
        self.traces += 1
        file = self.c.base / f"trace-{self.traces}"
        self.c.ok(*command, env={"COCOON_FAULT_TRACE": str(file)}, seconds=300)
        lines = file.read_text().splitlines() if file.exists() else []
        file.unlink(missing_ok=True)
        self.assertTrue(lines, "no side effect was recorded; is this a build with COCOON_FAULTS=ON?")
        return [line.split(" ", 1) for line in lines]

    def points(self, effects):
        # A helper program counts for itself, so the last number is not always the highest.
        count = max(int(number) for number, _ in effects)
        if cocoon_e2e.FULL or count <= SAMPLE:
            return range(1, count + 1)
        return sorted({1 + round(i * (count - 1) / (SAMPLE - 1)) for i in range(SAMPLE)})

    def sweep(self, command, prepare=lambda: None, again=None):
        """`again`, the name of the VM that the command makes: the command is repeated at once, and
        makes it, or finds it made."""
        prepare()
        effects = self.trace(command)
        self.recover()
        names = {int(number): name for number, name in effects}
        killed = 0
        points = self.points(effects)
        for point in points:
            with self.subTest(point=point, after=names.get(point)):
                prepare()
                result = self.c.run(*command, env={"COCOON_FAULT": str(point)}, seconds=300)
                # Killed itself, or one of its helpers; a polling step more or less may move the end.
                self.assertIn(result.code, (-signal.SIGKILL, cocoon_e2e.FAILURE, 0), result)
                killed += result.code != 0
                if again:
                    second = self.c.run(*command, seconds=300)
                    self.assertIn(second.code, (0, cocoon_e2e.CONFLICT), second)
                    self.c.inspect(again)
                self.recover()
        print(f"{' '.join(map(str, command[:2]))}: {len(effects)} side effects, "
              f"killed at {killed} of {len(points)} points", flush=True)
        self.assertGreaterEqual(killed, (len(points) + 1) // 2)

    def recover(self):
        """What the next user does, and what must be true then."""
        raise NotImplementedError
