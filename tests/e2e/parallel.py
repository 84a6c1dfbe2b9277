# SPDX-License-Identifier: Apache-2.0
"""Many commands at once."""

import cocoon_e2e
from cocoon_e2e import SMALL, StoreTest, text

COUNT = 20


class Parallel(StoreTest):
    def all_at_once(self, commands, seconds=120):
        """Runs the commands at the same time; returns [(exit status, stdout, stderr)]."""
        running = [self.c.start(*command) for command in commands]
        ended = []
        for process in running:
            out, err = process.communicate(timeout=seconds * cocoon_e2e.SLOW)
            result = cocoon_e2e.Result(process.args, process.returncode, text(out), text(err))
            cocoon_e2e.check_sanitizers(result)
            ended.append(result)
        return ended

    def assert_all_ok(self, results):
        bad = [str(r) for r in results if r.code != 0]
        self.assertEqual(bad, [])

    def test_create_list_and_rm(self):
        names = [f"p{i}" for i in range(COUNT)]
        self.assert_all_ok(self.all_at_once(
            [("vm", "create", *SMALL, "--name", name, "busybox") for name in names]))
        vms = self.c.list()
        self.assertEqual(sorted(vm["config"]["name"] for vm in vms),
                         sorted(names))
        self.assertEqual({vm["state"] for vm in vms}, {"created"})
        self.assertEqual(len({vm["uid"] for vm in vms}), COUNT)
        # Readers in between must not be disturbed, nor disturb.
        commands = [("vm", "rm", name) for name in names]
        commands += [("vm", "list", "-o", "json")] * 4 + [("gc",)] * 2
        self.assert_all_ok(self.all_at_once(commands))
        self.assertEqual(self.c.list(), [])
        self.assert_clean()

    def test_same_name_is_won_by_one(self):
        results = self.all_at_once(
            [("vm", "create", *SMALL, "--name", "only", "busybox") for _ in range(8)])
        self.assertEqual(sorted(r.code for r in results), [0] + 7 * [cocoon_e2e.CONFLICT])
        for result in results:
            if result.code:
                self.assertRegex(result.err, r"(?m)^Error: .*already exists")
        self.assertEqual(len(self.c.list()), 1)

    def test_generated_names_do_not_collide(self):
        self.assert_all_ok(self.all_at_once([("vm", "create", *SMALL, "busybox") for _ in range(8)]))
        self.assertEqual(len(self.c.list()), 8)

    def test_start_of_one_vm_by_many(self):
        self.c.create_vm("--name", "one", "busybox", "--", "/bin/sleep", "1000")
        self.assert_all_ok(self.all_at_once([("vm", "start", "one")] * 4))
        record = self.c.inspect("one")
        self.assertEqual(record["state"], "running")
        folder = str(self.c.vm_dir(record["id"]))
        vmms = [p for p in cocoon_e2e.census.processes() if p.cwd == folder and p.pid == record["pid"]
                or p.cwd == folder and "qemu" in p.exe]
        self.assertEqual([p.pid for p in vmms], [record["pid"]])

    def test_import_of_one_image_by_many(self):
        file = cocoon_e2e.IMAGES / "app-docker.tar"
        self.assert_all_ok(self.all_at_once([("image", "import", "app", file)] * 4, 300))
        self.c.ok("image", "rm", "app")
        self.c.ok("gc")


if __name__ == "__main__":
    cocoon_e2e.main()
