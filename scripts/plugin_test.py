"""Tests plugin.py with small wheels that the tests write, and pip without a network."""

import contextlib
import hashlib
import io
import os
import sys
import tempfile
import unittest
import zipfile
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parent))
import plugin

CONTENT = b"a plugin"


def make_wheel(folder, name, files):
    """Writes a wheel NAME-1.0 with files (path: content), and returns its SHA-256."""
    info = f"{name}-1.0.dist-info"
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as z:
        for file, content in files.items():
            z.writestr(file, content)
        z.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        z.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        z.writestr(f"{info}/RECORD", "".join(f"{f},,\n" for f in files))
    return hashlib.sha256(path.read_bytes()).hexdigest()


class PluginTest(unittest.TestCase):
    def setUp(self):
        temp = tempfile.TemporaryDirectory()
        self.addCleanup(temp.cleanup)
        root = Path(temp.name)
        self.wheels, self.pins, self.dir = root / "wheels", root / "pins", root / "plugins"
        self.wheels.mkdir()
        self.pins.mkdir()
        self.target = self.dir / "pjrt_c_api_cpu_plugin.so"
        env = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.wheels), "PIP_CONFIG_FILE": os.devnull}
        patch = mock.patch.dict(os.environ, env)
        patch.start()
        self.addCleanup(patch.stop)

    def pin(self, file, name, sha256):
        (self.pins / file).write_text(f"# comment\n{name}==1.0 --hash=sha256:{sha256}\n")

    def run_plugin(self, *args):
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = plugin.main([*args, "--dir", str(self.dir), "--pins", str(self.pins)])
        return code, out.getvalue(), err.getvalue()

    def left(self):
        return sorted(p.name for p in self.dir.iterdir()) if self.dir.exists() else []

    def test_right_hash_is_put_in_place_once(self):
        sha = make_wheel(self.wheels, "first", {"first/pjrt_c_api_cpu_plugin.so": CONTENT})
        self.pin("cpu.txt", "first", sha)
        self.pin("cpu-second.txt", "second", "0" * 64)
        code, out, err = self.run_plugin("cpu")
        self.assertEqual((code, err), (0, ""))
        self.assertIn("first==1.0", out)
        self.assertEqual(self.target.read_bytes(), CONTENT)
        self.assertEqual(self.left(), ["cpu.pin", "pjrt_c_api_cpu_plugin.so"])
        # A second call prints nothing and fetches nothing: here nothing could be fetched any more.
        for wheel in self.wheels.iterdir():
            wheel.unlink()
        self.assertEqual(self.run_plugin("cpu"), (0, "", ""))

    def test_wrong_hash_is_an_error_and_leaves_nothing(self):
        make_wheel(self.wheels, "first", {"first/pjrt_c_api_cpu_plugin.so": CONTENT})
        sha = make_wheel(self.wheels, "second", {"second/libpjrt_cpu.so": CONTENT})
        self.pin("cpu.txt", "first", "0" * 64)
        self.pin("cpu-second.txt", "second", sha)
        code, _, err = self.run_plugin("cpu", "--optional")
        self.assertEqual(code, 1)
        self.assertIn("SHA-256 pinned in cpu.txt", err)
        self.assertEqual(err.count("\n"), 1)
        self.assertEqual(self.left(), [])

    def test_second_wheel_where_the_first_cannot_be_had(self):
        sha = make_wheel(self.wheels, "second", {"second/libpjrt_cpu.so": CONTENT})
        self.pin("cpu.txt", "first", "0" * 64)
        self.pin("cpu-second.txt", "second", sha)
        code, out, _ = self.run_plugin("cpu")
        self.assertEqual(code, 0)
        self.assertIn("second==1.0", out)
        self.assertEqual(self.target.read_bytes(), CONTENT)

    def test_none_can_be_had(self):
        self.pin("cpu.txt", "first", "0" * 64)
        self.pin("cpu-second.txt", "second", "0" * 64)
        for args, want in (("cpu",), 1), (("cpu", "--optional"), 0):
            with self.subTest(args=args):
                code, _, err = self.run_plugin(*args)
                self.assertEqual(code, want)
                self.assertEqual(err.count("\n"), 1, err)
                self.assertIn("no cpu plugin could be installed", err)
                self.assertEqual(self.left(), [])

    def test_new_pin_replaces_the_old_plugin(self):
        sha = make_wheel(self.wheels, "first", {"first/pjrt_c_api_cpu_plugin.so": b"old"})
        self.pin("cpu.txt", "first", sha)
        self.pin("cpu-second.txt", "second", "0" * 64)
        self.assertEqual(self.run_plugin("cpu")[0], 0)
        sha = make_wheel(self.wheels, "first", {"first/pjrt_c_api_cpu_plugin.so": b"new"})
        self.pin("cpu.txt", "first", sha)
        self.assertEqual(self.run_plugin("cpu")[0], 0)
        self.assertEqual(self.target.read_bytes(), b"new")
        # If the pinned version cannot be fetched, the installed one stays.
        self.pin("cpu.txt", "first", "0" * 64)
        self.assertEqual(self.run_plugin("cpu")[0], 1)
        self.assertEqual(self.target.read_bytes(), b"new")

    def test_flags_lie_beside_their_plugin(self):
        sha = make_wheel(self.wheels, "first", {"first/pjrt_c_api_cpu_plugin.so": CONTENT})
        self.pin("cpu.txt", "first", sha)
        self.pin("cpu-second.txt", "second", "0" * 64)
        with (self.pins / "cpu.txt").open("a") as f:
            f.write("# xla_flags: --a=1 --b=2\n")
        self.assertEqual(self.run_plugin("cpu")[0], 0)
        flags = self.dir / "pjrt_c_api_cpu_plugin.xla_flags"
        self.assertEqual(flags.read_text(), f"{len(CONTENT)} --a=1 --b=2\n")
        # A plugin whose pin names no flags does not keep the flags of the previous one.
        self.pin("cpu.txt", "first", sha)
        self.assertEqual(self.run_plugin("cpu")[0], 0)
        self.assertFalse(flags.exists())

    def damage(self, path):
        """Changes one byte of a file, and keeps its size and time."""
        stat = path.stat()
        content = bytearray(path.read_bytes())
        content[0] ^= 1
        path.write_bytes(content)
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))

    def test_damaged_plugin_is_replaced(self):
        sha = make_wheel(self.wheels, "first", {"first/pjrt_c_api_cpu_plugin.so": CONTENT})
        self.pin("cpu.txt", "first", sha)
        self.pin("cpu-second.txt", "second", "0" * 64)
        self.assertEqual(self.run_plugin("cpu")[0], 0)
        self.damage(self.target)
        code, out, _ = self.run_plugin("cpu")
        self.assertEqual(code, 0)
        self.assertIn("is damaged: it does not have the SHA-256 that it was installed with", out)
        self.assertEqual(self.target.read_bytes(), CONTENT)
        self.assertEqual(self.run_plugin("cpu"), (0, "", ""))

    def test_damaged_plugin_that_cannot_be_replaced_is_put_aside(self):
        sha = make_wheel(self.wheels, "first", {"first/pjrt_c_api_cpu_plugin.so": CONTENT})
        self.pin("cpu.txt", "first", sha)
        self.pin("cpu-second.txt", "second", "0" * 64)
        self.assertEqual(self.run_plugin("cpu")[0], 0)
        self.damage(self.target)
        for wheel in self.wheels.iterdir():
            wheel.unlink()
        code, _, err = self.run_plugin("cpu", "--optional")
        self.assertEqual(code, 0)
        self.assertIn("the damaged one is now", err)
        self.assertEqual(err.count("\n"), 1, err)
        self.assertEqual(self.left(), ["cpu.pin", "pjrt_c_api_cpu_plugin.so.damaged"])

    def test_goxla_installer_runs_only_where_asked_for(self):
        self.pin("cpu.txt", "first", "0" * 64)
        self.pin("cpu-second.txt", "second", "0" * 64)
        with mock.patch.object(plugin, "goxla_installer") as installer:
            self.assertEqual(self.run_plugin("cpu")[0], 1)
            installer.assert_not_called()
            self.assertEqual(self.run_plugin("cpu", "--goxla")[0], 0)
            installer.assert_called_once_with("cpu")

    def test_plugin_put_there_by_hand_is_kept(self):
        self.pin("cpu.txt", "first", "0" * 64)
        self.pin("cpu-second.txt", "second", "0" * 64)
        self.dir.mkdir()
        self.target.write_bytes(b"mine")
        self.assertEqual(self.run_plugin("cpu"), (0, "", ""))
        self.assertEqual(self.target.read_bytes(), b"mine")

    def test_cuda_tree(self):
        sha = make_wheel(self.wheels, "cuda", {
            "jax_plugins/xla_cuda13/xla_cuda_plugin.so": CONTENT, "nvidia/cu13/lib/libcublas.so.13": b"lib"})
        self.pin("cuda.txt", "cuda", sha)
        for _ in range(2):  # First into an empty folder, then over an older tree.
            code, _, err = self.run_plugin("cuda")
            self.assertEqual((code, err), (0, ""))
            tree = self.dir / "cuda"
            self.assertEqual((tree / "jax_plugins/xla_cuda13/xla_cuda_plugin.so").read_bytes(), CONTENT)
            self.assertEqual((tree / "jax_plugins/nvidia/cu13/lib/libcublas.so.13").read_bytes(), b"lib")
            self.assertEqual(self.left(), ["cuda", "cuda.pin"])
            (self.dir / "cuda.pin").write_text("older\n")

    def test_damaged_cuda_tree_is_replaced(self):
        sha = make_wheel(self.wheels, "cuda", {
            "jax_plugins/xla_cuda13/xla_cuda_plugin.so": CONTENT, "nvidia/cu13/lib/libcublas.so.13": b"lib"})
        self.pin("cuda.txt", "cuda", sha)
        self.assertEqual(self.run_plugin("cuda")[0], 0)
        library = self.dir / "cuda/nvidia/cu13/lib/libcublas.so.13"
        for harm in self.damage, Path.unlink:
            self.assertEqual(self.run_plugin("cuda"), (0, "", ""))
            harm(library)
            self.assertEqual(self.run_plugin("cuda")[0], 0)
            self.assertEqual(library.read_bytes(), b"lib")


if __name__ == "__main__":
    unittest.main()
