#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Tests of the scripts: a guest's fault or failed test must not get by those that judge,
and a mistake of the user's is told in a line, before anything is done."""

import json
import os
import shutil
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
arm-smmu-v3 60000000.soft-smmu: CMD_SYNC timeout at 0x12 [hwprod 0x13, hwcons 0x12]
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

    def test_the_kill_that_a_test_wants(self):
        def kill(name):
            return f"{name} invoked oom-killer: gfp_mask=0x140cca\nCall trace:\n" + \
                f"Out of memory: Killed process 100 ({name}) total-vm:1kB"

        done = self.run_on(stamped(kill("oom_victim")), "check-log")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        for log in [f"{kill('oom_victim')}\n{kill('sh')}", "Call trace:\n" + kill("oom_victim")]:
            self.assertEqual(self.run_on(stamped(log), "check-log").returncode, 1)

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

    def test_pattern_that_matches_nothing(self):
        text = "guest: kunit begins\nKTAP version 1\n1..0\nguest: kunit ends\n"
        done = self.run_on(stamped(text), "ktap", self.folder.name, "0", "sva_*")
        self.assertEqual(done.returncode, 1)
        self.assertIn("error: TESTS=sva_*: no KUnit suite has such a name", done.stdout)

    def test_guest_died_in_a_suite(self):
        sums, status = self.judge("\n".join(GOOD.splitlines()[:6]), end="")
        self.assertNotIn(" 0 failed", sums)
        self.assertEqual(status, 1)

    def test_expected(self):
        expected = os.path.join(self.folder.name, "expected")
        with open(expected, "w", encoding="utf-8") as file:
            file.write("# since it is so\nbad.sec*\n")
        text = f"guest: kunit begins\n{GOOD}\n{BAD}\nguest: kunit ends\n"
        done = self.run_on(stamped(text), "ktap", self.folder.name, "0", "", expected)
        self.assertIn("    1 skipped: since it is so\n", done.stdout)
        self.assertEqual(done.stdout.splitlines()[-1], "3 passed, 0 failed, 1 skipped")
        self.assertEqual(done.returncode, 0)

    def test_measured_and_time_outs(self):
        told = "# costs: measured: a SYNC 5 ns"
        text = f"Kernel command line: smmu=stock\nguest: kunit begins\n{told}\n{GOOD}\n"
        text += "arm-smmu-v3: CMD_SYNC timeout at 0x1\nguest: kunit ends\n"
        done = self.run_on(stamped(text), "ktap", self.folder.name)
        expected = ["measured: a SYNC 5 ns", "CMD_SYNC time-outs: 1"]
        self.assertEqual(done.stdout.splitlines()[-3:-1], expected)

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


class AgreeReport(Case):
    RESULT = "agree: result seed=3 cases=9 differences=2 unexplained={}"

    def judge(self, *lines):
        output = os.path.join(self.folder.name, "agree.json")
        with open(self.log, "w", encoding="utf-8") as file:
            file.write(stamped("\n".join(lines)))
        command = [os.path.join(SCRIPTS, "agree-report"), output, self.log]
        done = subprocess.run(command, capture_output=True)
        if not os.path.exists(output):
            return done.returncode, None
        with open(output, encoding="utf-8") as file:
            return done.returncode, json.load(file)

    def test_explained(self):
        status, result = self.judge("agree: class Odd: 2, such as case 7", self.RESULT.format(0))
        expected = {"seed": 3, "cases": 9, "differences": 2, "unexplained": 0}
        self.assertEqual((status, result), (0, {**expected, "classes": {"Odd": 2}}))

    def test_unexplained(self):
        status, result = self.judge(self.RESULT.format(1))
        self.assertEqual((status, result["unexplained"]), (1, 1))

    def test_no_result(self):
        self.assertEqual(self.judge("agree: class Odd: 2"), (1, None))


# A script, what the user said, and what is wrong with it.
MISTAKES = [
    ("run", {"TOOLCHAIN": "foo"}, "TOOLCHAIN=foo: it is 'sandbox' or 'host'"),
    ("run", {"JOBS": "0"}, "JOBS=0: it is a number of jobs, 1 or more."),
    ("run", {"JOBS": "many"}, "JOBS=many: "),
    ("run", {"DEBUG": "yes"}, "DEBUG=yes: "),
    ("run", {"FLAVOUR": "odd"}, "FLAVOUR=odd: it is one of release debug minimal 16k"),
    ("run", {"BUILD": "/dev/null"}, "BUILD=<folder> says where"),
    ("run", {"BUILD": "/tmp/a b"}, "BUILD=<folder> names another"),
    ("run", {"SVA_CACHE": "/tmp/a b"}, "SVA_CACHE=<folder> names another"),
    ("run", {"TOOLCHAIN": "sandbox", "BUILD": "/usr/x"}, "BUILD=<folder> names another"),
    ("test", {"EXTRA": "/nonexistent"}, "EXTRA=/nonexistent: there is no such folder."),
    ("test", {"EXTRA": SCRIPTS}, "no Kbuild is in it"),
    ("shell", {"TOOLCHAIN": "sandbox", "EXTRA": "/usr/lib"}, "EXTRA=<folder> names another."),
    ("install-sdk", {}, "DESTDIR is missing"),
    ("install-sdk", {"DESTDIR": "/dev/null"}, "that folder cannot be written."),
    ("install-sdk", {"DESTDIR": SCRIPTS}, "it is no SDK."),
    ("test", {"ROUNDS": "0"}, "ROUNDS=0: it is a number, 1 or more."),
    ("test", {"TESTS": "two words"}, "TESTS=two words: it is one pattern"),
    ("test", {"FLAVOUR": "minimal"}, "FLAVOUR=minimal: that kernel has no tests"),
    ("profile", {"PART": "nonsense"}, "PART=nonsense: it is one of bind request"),
    ("profile", {"PART": "bind mine"}, "PART=bind mine: "),
    ("bench", {"DEBUG": "1"}, "run 'make bench' without DEBUG."),
    ("agree", {"CASES": "many"}, "CASES=many: it is a number."),
    ("agree", {"READS": "-1"}, "READS=-1: it is a number."),
    ("agree", {"SEED": "0x1"}, "SEED=0x1: it is a number."),
    ("agree", {"DEBUG": "1"}, "run 'make agree' without DEBUG."),
]


class Arguments(Case):
    def run_with(self, *command, **environment):
        home = {"HOME": self.folder.name, "PATH": os.environ["PATH"], "TOOLCHAIN": "host"}
        home["BUILD"] = os.path.join(self.folder.name, "build")
        return subprocess.run(command, env=home | environment, capture_output=True, text=True)

    def assert_refused(self, done, text):
        """In one line, and nothing else has been said."""
        self.assertNotEqual(done.returncode, 0)
        self.assertEqual(done.stdout, "")
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        self.assertIn(text, done.stderr)
        self.assertTrue(done.stderr.startswith("error: "), done.stderr)

    def test_mistakes(self):
        for script, environment, text in MISTAKES:
            with self.subTest(script, **environment):
                done = self.run_with(os.path.join(SCRIPTS, script), **environment)
                self.assert_refused(done, text)

    def test_path_with_a_space(self):
        project = os.path.join(self.folder.name, "a project")
        shutil.copytree(SCRIPTS, os.path.join(project, "scripts"))
        done = self.run_with(os.path.join(project, "scripts/run"))
        self.assert_refused(done, "move the project")

    def in_lib(self, command, **environment):
        command = f". {SCRIPTS}/lib.sh; {command}"
        return self.run_with("bash", "-c", command, **environment)

    def test_cache_that_cannot_be_written(self):
        done = self.in_lib('have_part "$cache/part"', SVA_CACHE="/dev/null/cache")
        self.assert_refused(done, "SVA_CACHE=<folder> names another")

    def test_part_of_a_cache_that_cannot_be_written(self):
        done = self.in_lib("have_part /dev/null", SVA_CACHE="/dev/null/cache")
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_one_at_a_time_builds_in_a_folder(self):
        again = f'bash -c ". {SCRIPTS}/lib.sh; lock_build; echo $1"'
        done = self.in_lib(f"lock_build; {again.replace('$1', 'mine')}; "
                           f"SVA_LOCKED= timeout 1 {again.replace('$1', 'other')}")
        self.assertEqual((done.returncode, done.stdout), (124, "mine\n"), done.stderr)
        self.assertIn("Another run is building", done.stderr)

    def test_sbin_is_found(self):
        done = self.in_lib("command -v chroot", PATH="/usr/bin")
        self.assertEqual(done.stdout, "/usr/sbin/chroot\n")

    def test_advice_is_about_what_the_log_tells(self):
        advise = 'advice() { ! grep -q network || echo "There is none?"; }; step "A step" advice '
        for said, advised in [("no network", True), ("no space left", False)]:
            done = self.in_lib(f'need_build; {advise} sh -c "echo {said}; false"')
            self.assertEqual(done.returncode, 1)
            self.assertEqual("There is none?" in done.stderr, advised)


CONFIG = """\
CONFIG_ARM64=y
CONFIG_CC_IS_CLANG=y
CONFIG_MODULES=y
CONFIG_RUST=y
CONFIG_IOMMU_SVA=y
CONFIG_IOMMU_IOPF=y
CONFIG_MMU_NOTIFIER=y
CONFIG_IOMMU_IO_PGTABLE_LPAE=y
CONFIG_CONFIGFS_FS=m
CONFIG_KUNIT=m
"""


class CheckKernel(Case):
    def make_kernel(self, config=CONFIG, release="7.3.4", without=()):
        files = {
            "Makefile": "",
            "Module.symvers": "",
            "include/config/auto.conf": config,
            "include/config/kernel.release": release,
            "rust/libkernel.rmeta": "",
        }
        shutil.rmtree(self.folder.name)
        for name, text in files.items():
            if name in without:
                continue
            path = os.path.join(self.folder.name, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)

    def check(self, *arguments, **environment):
        done = subprocess.run(
            [os.path.join(SCRIPTS, "check-kernel"), *arguments],
            env=os.environ | environment,
            capture_output=True,
            text=True,
        )
        prefix = f"error: {self.folder.name}: "
        errors = [line.removeprefix(prefix) for line in done.stderr.splitlines()]
        self.assertEqual(done.returncode, 1 if errors else 0)
        return errors, done.stdout

    def test_complete(self):
        self.make_kernel()
        errors, said = self.check(self.folder.name)
        self.assertEqual(errors, [])
        self.assertIn("the modules can be built for it (Linux 7.3.4)", said)
        self.assertIn("CONFIG_UACCE", said)
        self.assertNotIn("CONFIG_KUNIT", said)
        self.assertEqual(self.check("--quiet", self.folder.name), ([], ""))

    def test_each_option(self):
        for line in CONFIG.splitlines():
            name = line.split("=")[0]
            if name == "CONFIG_KUNIT":
                continue
            with self.subTest(name):
                self.make_kernel(CONFIG.replace(line, f"# {name} is not set"))
                errors, _ = self.check(self.folder.name)
                self.assertEqual(len(errors), 1, errors)

    def test_all_at_once(self):
        self.make_kernel("", release="6.12.1")
        errors, _ = self.check(self.folder.name)
        self.assertEqual(len(errors), len(CONFIG.splitlines()))

    def test_other_things(self):
        for config, without, text in [
            (CONFIG, ["rust/libkernel.rmeta"], "there is no Rust metadata"),
            (CONFIG, ["Module.symvers"], "there is no Module.symvers"),
            (CONFIG + "CONFIG_TRIM_UNUSED_KSYMS=y\n", [], "CONFIG_TRIM_UNUSED_KSYMS is set"),
            (CONFIG + "CONFIG_RUSTC_VERSION_TEXT=rustc 1.0\n", [], "built with rustc 1.0"),
        ]:
            with self.subTest(text):
                self.make_kernel(config, without=without)
                errors, _ = self.check(self.folder.name)
                self.assertEqual(len(errors), 1, errors)
                self.assertIn(text, errors[0])

    def test_no_kernel(self):
        errors, _ = self.check(self.folder.name)
        self.assertEqual(len(errors), 1)
        self.assertIn("this is no kernel build", errors[0])

    def test_compilers(self):
        self.make_kernel()
        for arguments, environment, text in [
            (["gcc"], {}, "gcc is not clang"),
            (["no-such-clang"], {}, "there is no no-such-clang"),
            ([], {"LLVM": "-0"}, "there is no clang-0"),
            ([], {"BINDGEN": "no-bindgen"}, "there is no no-bindgen"),
        ]:
            with self.subTest(text):
                errors, _ = self.check(self.folder.name, *arguments, **environment)
                self.assertEqual(len(errors), 1, errors)
                self.assertIn(text, errors[0])


if __name__ == "__main__":
    unittest.main()
