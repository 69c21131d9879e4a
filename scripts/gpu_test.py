"""Tests gpu/pack and gpu/run, which also runs every part on the CPU."""

import contextlib
import importlib.machinery
import importlib.util
import io
import json
import os
import signal
import struct
import subprocess
import sys
import tarfile
import tempfile
import time
import unittest
from pathlib import Path
from unittest import mock

GPU = Path(__file__).resolve().parent / "gpu"
sys.path.insert(0, str(GPU))  # As when the scripts are run: their modules lie beside them.

import images  # noqa: E402
import machine  # noqa: E402
import packed  # noqa: E402
import processes  # noqa: E402
import suite  # noqa: E402


def load(name):
    """Imports a script whose name does not end in .py."""
    loader = importlib.machinery.SourceFileLoader(f"gpu_{name}", str(GPU / name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    with mock.patch.object(sys, "dont_write_bytecode", True):
        loader.exec_module(module)
    return module


pack, run = load("pack"), load("run")


def program(path, text):
    """Writes an executable Python program."""
    path.write_text(f"#!{sys.executable}\n{text}")
    path.chmod(0o755)
    return path


class Temporary(unittest.TestCase):
    def setUp(self):
        temp = tempfile.TemporaryDirectory()
        self.addCleanup(temp.cleanup)
        self.dir = Path(temp.name)

    def call(self, module, *args):
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                code = module.main([str(a) for a in args])
            except SystemExit as e:
                code = e.code
        return code, out.getvalue(), err.getvalue()


class PackTest(Temporary):
    def pack(self, *args):
        """Packs two small files instead of the programs."""
        def build(folder):
            for name in ("a", "b"):
                program(folder / name, f"print({name!r})")
            return [folder / "a"], [folder / "b"]
        with mock.patch.object(pack, "build", build), mock.patch.object(pack, "needed_glibc", lambda _: "2.17"), \
                mock.patch.object(pack, "checkout_bytes", lambda: 5 * pack.MIB):
            return self.call(pack, "--out", self.dir / "out", "--quick", *args)

    def test_what_is_packed_is_what_comes_out(self):
        data = self.dir / "images.tar"
        data.write_bytes(b"images")
        code, out, _ = self.pack("--data", data)
        self.assertEqual(code, 0)
        self.assertIn("5.0 MiB  the checkout", out)
        self.assertEqual(sorted(p.name for p in (self.dir / "out").iterdir()), ["images.tar", "manifest.json", "programs.tar.xz", "tests.tar.xz"])
        manifest = packed.read_manifest(self.dir / "out")
        self.assertEqual((manifest["glibc"], manifest["data"]), ("2.17", "images.tar"))
        packed.unpack(self.dir / "out", "programs.tar.xz", manifest, self.dir / "programs")
        self.assertEqual(subprocess.check_output([self.dir / "programs" / "a"], text=True), "a\n")

    def test_more_than_the_limit_is_an_error(self):
        self.assertEqual(self.pack("--limit", "6")[0], 0)
        code, _, err = self.pack("--limit", "4")
        self.assertEqual(code, 1)
        self.assertRegex(err, r"^pack: 5\.0 MiB are more than the 4 allowed")

    def test_newest_glibc_counts_as_a_version(self):
        table = "0 DF *UND* (GLIBC_2.9) a\n0 DF *UND* (GLIBC_2.34) b\n0 DF *UND* (GLIBC_2.2.5) c\n"
        with mock.patch.object(subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 0, table, "")):
            self.assertEqual(pack.needed_glibc([Path("p")]), "2.34")


class RunTest(Temporary):
    def test_wrong_arguments(self):
        for args, want in {("nothing",): "unknown part 'nothing'", (): "name a part", ("doctor", "--data", "x"): "--data is for --dry-run"}.items():
            code, _, err = self.call(run, *args)
            self.assertEqual(code, 2)
            self.assertIn(want, err)

    def test_a_part_that_fails_is_one_line_and_the_next_follows(self):
        ran = []
        def good(part):
            ran.append(part.name)
            (part.results / "numbers.txt").write_text("1 2 3")
            (part.results / "runs" / "r" / "checkpoint").mkdir(parents=True)
            (part.results / "runs" / "r" / "checkpoint" / "weights").write_text("large")
            return "three numbers"
        def bad(part):
            raise ValueError("two\nlines")
        with mock.patch.dict(run.PARTS, {"doctor": bad, "tests": good}), mock.patch.object(run.Part, "prepare", lambda p: p.results.mkdir(parents=True)):
            code, out, _ = self.call(run, "doctor", "tests", "--out", self.dir / "out", "--work", self.dir / "work")
        self.assertEqual((code, ran), (1, ["tests"]))
        self.assertEqual(out, (self.dir / "out" / "summary.txt").read_text())
        self.assertRegex(out, r"^doctor: FAILED after 0 s: ValueError: two lines\ntests: ok after 0 s: three numbers\n$")
        with tarfile.open(self.dir / "out" / "tests.tar.gz") as tar:
            names = [n for n in tar.getnames() if tar.getmember(n).isfile()]
        self.assertEqual(names, ["tests/numbers.txt"])

    def test_nothing_packed(self):
        code, out, _ = self.call(run, "doctor", "--out", self.dir / "out", "--work", self.dir / "work", "--packed", self.dir)
        self.assertEqual(code, 1)
        self.assertIn("run scripts/gpu/pack on a machine with Go", out)

    def test_changed_file_is_refused(self):
        (self.dir / "a").write_text("changed")
        with self.assertRaisesRegex(machine.PartError, "is not what was packed"):
            packed.checked(self.dir, "a", {"files": {"a": {"sha256": "0" * 64}}})

    def test_older_glibc_is_refused(self):
        with mock.patch.object(os, "confstr", lambda _: "glibc 2.9"):
            machine.check_glibc("2.9")
            with self.assertRaisesRegex(machine.PartError, "need glibc 2.34, but this machine has glibc 2.9"):
                machine.check_glibc("2.34")

    def test_plugin_is_found_where_it_is_named_and_where_pip_puts_it(self):
        named, pip = self.dir / "named", self.dir / "site" / "jax_plugins" / "xla_cuda13"
        with mock.patch.object(sys, "path", [str(self.dir / "site")]), mock.patch.object(machine, "ROOT", self.dir / "root"):
            with self.assertRaisesRegex(machine.PartError, "no XLA plugin for CUDA"):
                machine.find_plugin({})
            for folder in (pip, named):
                folder.mkdir(parents=True)
                (folder / "xla_cuda_plugin.so").write_text("")
            self.assertEqual(machine.find_plugin({}).parent, pip)
            self.assertEqual(machine.find_plugin({"PJRT_PLUGIN_LIBRARY_PATH": f"/nowhere:{named}"}).parent, named)

    def test_only_flags_that_the_plugin_knows(self):
        plugin = self.dir / "plugin.so"
        plugin.write_bytes(b"\0xla_gpu_autotune_level\0")
        self.assertEqual(machine.split_known(plugin, ["--xla_gpu_autotune_level=0", "--xla_gpu_new=1"]), (["--xla_gpu_autotune_level=0"], ["--xla_gpu_new=1"]))

    def test_program_that_does_not_end_is_stopped(self):
        # Started in the background by a shell, tests ignore SIGINT, and so would a program that does not handle it as Go's do.
        slow = program(self.dir / "slow", "import signal, time\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
                       "try:\n  print('up', flush=True)\n  time.sleep(60)\n"
                       "except KeyboardInterrupt: print('saved', flush=True)")
        deaf = program(self.dir / "deaf", "import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nprint('up', flush=True)\ntime.sleep(60)")
        with mock.patch.object(processes, "GRACE", 5):
            started = subprocess.Popen([slow], stdout=subprocess.PIPE, text=True, start_new_session=True)
            started.stdout.readline()  # From here on the program handles signals.
            self.assertIsNone(processes.wait(started, 0.1))
            self.assertEqual(started.communicate()[0], "saved\n")
        with mock.patch.object(processes, "GRACE", 0.2):
            started = subprocess.Popen([deaf], stdout=subprocess.PIPE, text=True, start_new_session=True)
            started.stdout.readline()
            self.assertIsNone(processes.wait(started, 0.1))
            self.assertEqual(started.wait(), -signal.SIGKILL)
            started.stdout.close()

    def test_published_archive_of_images(self):
        archive = self.dir / "cifar-10-binary.tar.gz"
        content = {f"data_batch_{i}.bin": bytes([i]) * 3073 for i in range(1, 6)} | {"test_batch.bin": bytes(3073)}
        with tarfile.open(archive, "w:gz") as tar:
            for name, data in content.items():
                info = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
        folder = images.images(self.part(archive)) / "cifar10" / "cifar-10-batches-bin"
        self.assertEqual({p.name: p.read_bytes() for p in folder.iterdir()}, content)

    def part(self, archive):
        args = run.parse(["experiments", "--work", str(self.dir / "work"), "--out", str(self.dir), "--packed", str(archive.parent)])
        part = run.Part("experiments", args)
        part.manifest = {"data": archive.name, "files": {archive.name: {"sha256": pack.sha256(archive)}}}
        return part

    @unittest.skipUnless(importlib.util.find_spec("PIL"), "no Pillow")
    def test_records_of_jpeg(self):
        from PIL import Image
        def record(label, color):
            jpeg = io.BytesIO()
            Image.new("RGB", (32, 32), color).save(jpeg, "JPEG", quality=95)
            return struct.pack("<BH", label, jpeg.tell()) + jpeg.getvalue()
        files = [self.dir / "1.bin", self.dir / "2.bin"]
        images.decode(record(3, (200, 100, 50)) + record(9, (0, 0, 0)), files)
        first = files[0].read_bytes()
        self.assertEqual((len(first), first[0], files[1].read_bytes()[0]), (3073, 3, 9))
        for plane, want in enumerate((200, 100, 50)):  # Red, green and blue, each of 1,024 pixels.
            self.assertAlmostEqual(first[1 + 1024 * plane], want, delta=3)
        with self.assertRaisesRegex(machine.PartError, "1 images cannot be put into 2 files"):
            images.decode(record(3, (0, 0, 0)), files)


# Prints what a Go test program prints with -test.v: TestB crashes it, TestC fails, TestE never ends.
TEST_PROGRAM = """
import re, sys, time
skip = next((a.removeprefix("-test.skip=") for a in sys.argv if a.startswith("-test.skip=")), "^$")
for name in ["TestA", "TestB", "TestC", "TestD"] + ["TestE"] * ENDLESS:
    if re.match(skip, name): continue
    print("=== RUN   " + name, flush=True)
    if name == "TestB": sys.exit("panic: out of memory")
    if name == "TestC": print("=== RUN   TestC/cuda\\n--- FAIL: TestC (0.00s)\\n    --- FAIL: TestC/cuda (0.00s)"); continue
    if name == "TestE": time.sleep(60)
    print("--- PASS: " + name + " (0.00s)")
print("FAIL"); sys.exit(1)
"""


class SuiteTest(Temporary):
    def summary(self, endless, seconds):
        file = program(self.dir / "x.test", TEST_PROGRAM.replace("ENDLESS", str(int(endless))))
        tests = suite.Suite("x", file, self.dir, self.dir / "x.txt", os.environ, "")
        tests.start()
        deadline = time.monotonic() + seconds
        while tests.running() and time.monotonic() < deadline:
            time.sleep(0.02)
        tests.stop()
        self.assertFalse(tests.passed())
        return tests.summary()

    def test_a_crash_does_not_hide_the_other_tests(self):
        self.assertEqual(self.summary(False, 30), "x 2 passed, 1 failed, 0 skipped (TestC/cuda), ended by TestB")

    def test_a_test_that_does_not_end(self):
        self.assertEqual(self.summary(True, 1.5), "x 2 passed, 1 failed, 0 skipped (TestC/cuda), ended by TestB, not done in time")


class RehearsalTest(Temporary):
    def test_all_parts_on_the_cpu(self):
        plugins = Path(os.environ.get("GCML_PLUGIN_DIR", run.ROOT / ".plugins"))
        if not list(plugins.glob("*.so")) and not os.environ.get("GCML_REQUIRE_XLA"):
            self.skipTest("no XLA plugin for the CPU: make xla")
        out = self.dir / "out"
        done = subprocess.run([sys.executable, GPU / "run", "--dry-run", "--out", out], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        lines = (out / "summary.txt").read_text().splitlines()
        self.assertEqual([line.split()[:2] for line in lines], [[f"{part}:", "ok"] for part in run.LIMITS], lines)
        self.assertEqual({p.name for p in out.iterdir()}, {f"{part}.tar.gz" for part in run.LIMITS} | {"summary.txt"})
        for part, want in {"doctor": "demo/result.json", "tests": "autodiff.txt", "bench": "cuda/latest.json",
                           "bench-tf32": "cuda-tf32/latest.json", "experiments": "06/records.jsonl"}.items():
            with tarfile.open(out / f"{part}.tar.gz") as tar:
                self.assertIn(f"{part}/{want}", tar.getnames())
                self.assertIn(f"{part}/log.txt", tar.getnames())
        with tarfile.open(out / "bench.tar.gz") as tar:
            rows = json.load(tar.extractfile("bench/cuda/latest.json"))["rows"]
        self.assertEqual([(r["case"], r["backend"]) for r in rows], [("mlp/forward", "xla:cpu")])


if __name__ == "__main__":
    unittest.main()
