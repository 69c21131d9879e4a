"""Tests rename.py in a copy of this repository."""

import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import rename

NEW = "/".join(["example.org", "someone", "renamed"])  # In pieces, so that renaming back leaves this file as it was.


class RenameTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not (rename.ROOT / ".git").exists():
            raise unittest.SkipTest("not a clone")
        temp = tempfile.TemporaryDirectory()
        cls.addClassCleanup(temp.cleanup)
        cls.copy = Path(temp.name)
        for path in rename.files():
            target = cls.copy / path.relative_to(rename.ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
        subprocess.run(["git", "init", "--quiet"], cwd=cls.copy, check=True)

    def rename(self, module):
        return subprocess.run([sys.executable, "scripts/rename.py", module], cwd=self.copy, capture_output=True, text=True)

    def contents(self):
        return {path.relative_to(self.copy): path.read_bytes() for path in self.copy.rglob("*")
                if path.is_file() and ".git" not in path.relative_to(self.copy).parts}

    def assert_contents(self, want):
        got = self.contents()
        self.assertEqual([str(path) for path in {**got, **want} if got.get(path) != want.get(path)], [])

    def test_renames_all_and_back(self):
        old, before = rename.module_path(), self.contents()
        done = self.rename(NEW)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        after = self.contents()
        self.assertEqual([str(path) for path, content in after.items() if old.encode() in content], [])
        for path in ["go.mod", "README.md", "gcml/doc.go", "notebooks/your_own_model.ipynb"]:
            with self.subTest(path):
                self.assertEqual(before[Path(path)].count(old.encode()), after[Path(path)].count(NEW.encode()))
        for command in (["go", "vet", "./schedule"], ["go", "build", "./gcml"]):
            built = subprocess.run(command, cwd=self.copy, capture_output=True, text=True,
                                   env={**os.environ, "GOFLAGS": "-mod=readonly -buildvcs=false"})
            self.assertEqual((built.returncode, built.stderr), (0, ""), command)
        self.assertEqual(self.rename(old).returncode, 0)
        self.assert_contents(before)

    def test_refuses(self):
        before = self.contents()
        for module, message in [("two words", "malformed"), ("", "no path"), (rename.module_path(), "already")]:
            with self.subTest(module):
                done = self.rename(module)
                self.assertEqual(done.returncode, 1)
                self.assertIn(message, done.stderr)
        self.assert_contents(before)

    def test_leaves_longer_names(self):
        path = self.copy / "names.txt"
        path.write_text("a.b/c a.b/c/d https://a.b/c. a.b/c-d a.b/cd xa.b/c a.b/c.d\n")
        self.addCleanup(path.unlink)
        self.assertTrue(rename.replace(path, "a.b/c", "NEW"))
        self.assertEqual(path.read_text(), "NEW NEW/d https://NEW. a.b/c-d a.b/cd xa.b/c a.b/c.d\n")


if __name__ == "__main__":
    unittest.main()
