#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Tests of the tools that judge: a guest's fault or failed test must not get by them."""

import os
import subprocess
import tempfile
import unittest

SCRIPTS = os.path.dirname(os.path.abspath(__file__))

FAULTS = """\
Kernel panic - not syncing: Oops: Fatal exception
Internal error: Oops: 0000000096000046 [#1]  SMP
Unable to handle kernel NULL pointer dereference at virtual address 0000000000000000
------------[ cut here ]------------
WARNING: at crash_set+0x24/0xbc [ta], CPU#1: sva-demo/100
WARNING: possible recursive locking detected
WARNING: possible circular locking dependency detected
WARNING: suspicious RCU usage
BUG: sleeping function called from invalid context at kernel/locking/mutex.c:600
BUG: KASAN: slab-use-after-free in f+0x10/0x20 [m]
BUG: workqueue lockup - pool cpus=0 node=0 flags=0x0 nice=0 stuck for 30s!
watchdog: BUG: soft lockup - CPU#0 stuck for 26s! [sh:1]
INFO: task sva-demo:100 blocked for more than 120 seconds.
rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:
UBSAN: array-index-out-of-bounds in a.c:1:2
kmemleak: 3 new suspected memory leaks (see /sys/kernel/debug/kmemleak)
rust_kernel: panicked at mock_accel.rs:10:5:
refcount_t: underflow; use-after-free.
list_del corruption. prev->next should be 1, but was 2
Out of memory: Killed process 100 (sva-demo)
Call trace:""".splitlines()

HARMLESS = """\
sva_kernel_ext: loading out-of-tree module taints kernel.
workqueue: work func run enqueued on deprecated workqueue. Use system_{percpu|dfl}_wq instead.
pci 0000:00:01.0: Adding to iommu group 1
kmemleak: Kernel memory leak detector initialized (mem pool available: 15801)
demo: 0 faults refused""".splitlines()

SUITE = """\
KTAP version 1
1..1
    KTAP version 1
    # Subtest: {name}
    1..2
    ok 1 first
    {second}
{verdict} 1 {name}"""
GOOD = SUITE.format(name="good", second="ok 2 second", verdict="ok")
BAD = SUITE.format(name="bad", second="not ok 2 second", verdict="not ok")
SKIP = SUITE.format(name="skip", second="ok 2 second # SKIP not here", verdict="ok")

PROGRAM = """\
guest: selftest prog begins
selftest: TAP version 13
selftest: 1..2
selftest: # a remark
selftest: ok 1 first
selftest: {second}
guest: selftest prog ends with {status}"""


def stamped(text):
    return "".join(f"[    0.{i:06}] {line}\n" for i, line in enumerate(text.splitlines()))


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.log = os.path.join(self.folder.name, "log")

    def run_on(self, text, tool, *args):
        with open(self.log, "w", encoding="utf-8") as file:
            file.write(text)
        return subprocess.run(
            [os.path.join(SCRIPTS, tool), self.log, *args], capture_output=True, text=True
        )


class CheckLog(Case):
    def test_each_fault_fails_and_is_shown(self):
        for fault in FAULTS:
            with self.subTest(fault):
                done = self.run_on(stamped(f"before\n{fault}\nafter"), "check-log")
                self.assertEqual(done.returncode, 1)
                self.assertIn(fault, done.stderr)

    def test_clean_log_passes_silently(self):
        done = self.run_on(stamped("\n".join(HARMLESS)), "check-log")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))

    def test_missing_log_fails(self):
        done = subprocess.run([os.path.join(SCRIPTS, "check-log"), self.log], capture_output=True)
        self.assertNotEqual(done.returncode, 0)


class Ktap(Case):
    def judge(self, kunit, selftests="", end="guest: kunit ends\n"):
        text = f"{BAD}\nguest: kunit begins\n{kunit}\n{end}{selftests}\n"
        done = self.run_on(stamped(text), "ktap", self.folder.name)
        self.assertEqual(done.stderr, "")
        return done.stdout.splitlines()[-1], done.returncode

    def test_blocks_are_joined_and_what_ran_before_is_not(self):
        sums = self.judge(f"{GOOD}\nnoise\n{GOOD.replace('good', 'more')}")
        self.assertEqual(sums, ("4 passed, 0 failed, 0 skipped", 0))

    def test_failure(self):
        self.assertEqual(self.judge(f"{GOOD}\n{BAD}"), ("3 passed, 1 failed, 0 skipped", 1))

    def test_failures_are_named_last(self):
        text = BAD.replace("    not ok 2", "    # second: EXPECTATION FAILED\n    not ok 2")
        text = f"guest: kunit begins\n{text}\n{GOOD}\nguest: kunit ends\n"
        done = self.run_on(text, "ktap", self.folder.name)
        told = ["FAILED: bad.second", "    # second: EXPECTATION FAILED"]
        self.assertEqual(done.stdout.splitlines()[-3:-1], told)

    def test_skip(self):
        self.assertEqual(self.judge(SKIP), ("1 passed, 0 failed, 1 skipped", 0))

    def test_nothing_ran(self):
        self.assertEqual(self.judge(""), ("0 passed, 0 failed, 0 skipped", 1))

    def test_guest_died_in_a_suite(self):
        sums, status = self.judge("\n".join(GOOD.splitlines()[:6]), end="")
        self.assertNotIn(" 0 failed", sums)
        self.assertEqual(status, 1)

    def test_selftest(self):
        program = PROGRAM.format(second="ok 2 second # SKIP", status=0)
        self.assertEqual(self.judge(GOOD, program), ("3 passed, 0 failed, 1 skipped", 0))

    def test_selftest_fails(self):
        program = PROGRAM.format(second="not ok 2 second", status=1)
        self.assertEqual(self.judge(GOOD, program), ("3 passed, 1 failed, 0 skipped", 1))

    def test_selftest_fails_though_its_cases_pass(self):
        program = PROGRAM.format(second="ok 2 second", status=139)
        sums, status = self.judge(GOOD, program)
        self.assertNotIn(" 0 failed", sums)
        self.assertEqual(status, 1)

    def test_selftest_never_ends(self):
        program = PROGRAM.format(second="ok 2 second", status=0).rsplit("\n", 1)[0]
        sums, status = self.judge(GOOD, program)
        self.assertNotIn(" 0 failed", sums)
        self.assertEqual(status, 1)


if __name__ == "__main__":
    unittest.main()
