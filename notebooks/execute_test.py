"""Tests of execute.py: what has to count as a failure does. They run the GoNB kernel on notebooks made on the spot."""

import contextlib
import io
import json
import sys
import tempfile
import unittest
from pathlib import Path

import nbformat

sys.path.insert(0, str(Path(__file__).resolve().parent))
import execute

HELLO = '%%\nfmt.Println("scale", os.Getenv("GCML_SCALE"))'


class ExecuteTest(unittest.TestCase):
    def setUp(self):
        temp = tempfile.TemporaryDirectory()
        self.addCleanup(temp.cleanup)
        self.folder = Path(temp.name)

    def run_notebook(self, *cells):
        """Executes a notebook of these cells. Gives the exit status, what was printed, and the executed cells."""
        nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
        nb.metadata.kernelspec = {"name": "gonb", "display_name": "Go (gonb)", "language": "go"}
        path = self.folder / "n.ipynb"
        nbformat.write(nb, path)
        before = path.read_bytes()
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            code = execute.main([str(path), "--out", str(self.folder / "out"), "--timeout", "300"])
        self.assertEqual(path.read_bytes(), before, "the saved notebook was changed")
        return code, printed.getvalue(), json.loads((self.folder / "out" / "n.ipynb").read_text())["cells"]

    def test_good_notebook(self):
        code, printed, cells = self.run_notebook(HELLO, "!echo exit status 1")
        self.assertEqual(code, 0, printed)
        self.assertIn("notebooks: 1 ran, 0 failed", printed)
        self.assertEqual("".join(cells[0]["outputs"][0]["text"]), "scale smoke\n")

    def test_what_counts_as_failure(self):
        for name, cell, want in [
            ("command", "!false", "a command in cell 2 failed: exit status 1"),
            ("command in the kernel's folder", "!*ls /no/such/folder", "/no/such/folder"),
            ("compile error", "%%\nundefinedName()", "undefined: undefinedName"),
            ("exit status", "%%\nos.Exit(3)", "exit status 3"),
            ("panic", '%%\npanic("boom")', "boom"),
        ]:
            with self.subTest(name):
                code, printed, _ = self.run_notebook("!true", cell)
                self.assertEqual(code, 1)
                self.assertIn(want, printed)
                self.assertIn("notebooks: 0 ran, 1 failed n.ipynb", printed)


if __name__ == "__main__":
    unittest.main()
