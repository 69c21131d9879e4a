"""Tests copies.py: changed copies are never lost, and unchanged copies are brought up to date."""

import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import copies


class CopiesTest(unittest.TestCase):
    def setUp(self):
        temp = tempfile.TemporaryDirectory()
        self.addCleanup(temp.cleanup)
        self.notebooks, self.lab = Path(temp.name) / "notebooks", Path(temp.name) / "lab"
        self.notebooks.mkdir()
        (self.notebooks / "helper.py").write_text("no notebook")
        self.write(self.notebooks, "first")

    def write(self, folder, text):
        (folder / "a.ipynb").write_text(text)

    def copy(self):
        kept = copies.main(self.lab, self.notebooks)
        return kept, (self.lab / "a.ipynb").read_text()

    def test_copies_notebooks_alone(self):
        self.assertEqual(self.copy(), ([], "first"))
        self.assertEqual([p.name for p in self.lab.glob("[!.]*")], ["a.ipynb"])

    def test_updates_what_is_unchanged(self):
        self.copy()
        self.write(self.notebooks, "second")
        self.assertEqual(self.copy(), ([], "second"))

    def test_keeps_what_the_reader_changed(self):
        self.copy()
        self.write(self.lab, "mine")
        self.assertEqual(self.copy(), ([], "mine"))
        self.write(self.notebooks, "second")
        self.assertEqual(self.copy(), (["a.ipynb"], "mine"))
        (self.lab / "a.ipynb").unlink()
        self.assertEqual(self.copy(), ([], "second"))


if __name__ == "__main__":
    unittest.main()
