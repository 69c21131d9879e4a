"""Tests that execute.py reports failures. They run the GoNB kernel on notebooks that the tests write."""

import contextlib
import io
import json
import re
import sys
import tempfile
import unittest
import unittest.mock
from pathlib import Path

import nbformat

sys.path.insert(0, str(Path(__file__).resolve().parent))
import execute

HELLO = '%%\nfmt.Println("scale", os.Getenv("GCML_SCALE"))'


def run_main(*args):
    """Returns the exit code and the output."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        code = execute.main(args)
    return code, printed.getvalue()


class ExecuteTest(unittest.TestCase):
    def setUp(self):
        temp = tempfile.TemporaryDirectory()
        self.addCleanup(temp.cleanup)
        self.folder = Path(temp.name)

    def write_notebook(self, *cells):
        nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
        nb.metadata.kernelspec = {"name": "gonb", "display_name": "Go (gonb)", "language": "go"}
        path = self.folder / "n.ipynb"
        nbformat.write(nb, path)
        return path

    def run_notebook(self, *cells):
        """Executes a notebook of these cells. Returns the exit code, the output, and the executed cells."""
        path = self.write_notebook(*cells)
        before = path.read_bytes()
        code, printed = run_main(str(path), "--out", str(self.folder / "out"), "--timeout", "300")
        self.assertEqual(path.read_bytes(), before, "the saved notebook was changed")
        return code, printed, json.loads((self.folder / "out" / "n.ipynb").read_text())["cells"]

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

    def test_save(self):
        path = self.write_notebook(HELLO)
        code, printed = run_main(str(path), "--save")
        self.assertEqual(code, 0, printed)
        saved = nbformat.read(path, as_version=4)
        self.assertEqual(saved.cells[0].outputs[0].text, "scale \n")

    def test_what_is_not_saved(self):
        for name, cell, largest, want in [
            ("failure", "%%\nos.Exit(3)", execute.LARGEST, "exit status 3"),
            ("size", HELLO, 100, "not saved: "),
        ]:
            with self.subTest(name), unittest.mock.patch.object(execute, "LARGEST", largest):
                path = self.write_notebook(cell)
                before = path.read_bytes()
                code, printed = run_main(str(path), "--save")
                self.assertEqual(code, 1)
                self.assertIn(want, printed)
                self.assertEqual(path.read_bytes(), before, "it was saved all the same")


class SavedTest(unittest.TestCase):
    """Saved notebooks must also be readable in untrusted views, which remove scripts and drawings in HTML."""

    def test_outputs(self):
        for path in sorted(execute.FOLDER.glob("*.ipynb")):
            with self.subTest(path.name):
                self.assertLessEqual(path.stat().st_size, execute.LARGEST)
                outputs = [o for c in nbformat.read(path, as_version=4).cells for o in c.get("outputs", [])]
                for output in outputs:
                    self.assertIn(output.output_type, ("stream", "display_data"))
                    self.assertNotEqual(output.get("name"), "stderr")
                    for kind, data in output.get("data", {}).items():
                        self.assertEqual(kind, "text/html")
                        self.assertNotRegex(data, "<(script|svg|input)")
                        for picture in re.findall("<img[^>]*>", data):
                            self.assertRegex(picture, '^<img alt="[^"]{20,}" src="data:image/png;base64,')
                self.assertTrue(any("<img" in o.get("data", {}).get("text/html", "") for o in outputs), "no figure is saved")

    def test_cells_run_in_any_order(self):
        """No cell uses what another one declares, but for own, which package nb/own stands for: see kernel_test.py."""
        declares = re.compile(r"^(?:func|var|const|type) (\w+)", re.MULTILINE)
        for path in sorted(execute.FOLDER.glob("*.ipynb")):
            # Without comments and texts.
            cells = [re.sub(r'"[^"]*"|//.*', "", c.source) for c in nbformat.read(path, as_version=4).cells
                     if c.cell_type == "code"]
            for i, cell in enumerate(cells):
                elsewhere = {name for other in cells[:i] + cells[i + 1:] for name in declares.findall(other.split("\n%%")[0])}
                here = set(declares.findall(cell)) | set(re.findall(r"(\w+)(?:, \w+)* :=", cell)) | {"own"}
                for name in elsewhere - here:
                    self.assertNotRegex(cell, rf"(?<![\w.]){name}\b", f"{path.name}, cell {i + 1}")


class LessonTest(unittest.TestCase):
    """All notebooks have one form."""

    def setUp(self):
        self.notebooks = {path.name: ["".join(c.source) for c in nbformat.read(path, as_version=4).cells]
                          for path in execute.FOLDER.glob("*.ipynb")}
        self.index = "\n".join(self.notebooks["00_start_here.ipynb"])

    def test_each_links_to_its_neighbours(self):
        order = re.findall(r"^\| \[([^\]]+)\]\((\w+\.ipynb)\)", self.index, re.MULTILINE)
        self.assertEqual({name for _, name in order} | {"00_start_here.ipynb"}, set(self.notebooks))
        for i, (_, name) in enumerate(order):
            before = [f"← [{title}]({other})" for title, other in order[i - 1:i]]
            after = [f"[{title}]({other}) →" for title, other in order[i + 1:i + 2]]
            links = " · ".join([*before, "[Start here](00_start_here.ipynb)", *after])
            cells = self.notebooks[name]
            self.assertEqual(cells[0].split("\n")[0], links, name)
            self.assertEqual(cells[-1].rstrip().split("\n")[-1], links, name)

    def test_lessons_on_experiments(self):
        for name, cells in self.notebooks.items():
            if not re.match(r"\d\d_", name) or name == "00_start_here.ipynb":
                continue
            with self.subTest(name):
                text = "\n".join(cells)
                headings = re.findall("^## ([^:\n]+)", text, re.MULTILINE)
                self.assertEqual(headings[1:5], ["In code", "A small run", "The published run", "The verdicts"])
                self.assertIn(headings[5:], (["Exercise"], ["Exercise 1", "Exercise 2"]))
                self.assertEqual(text.count("<summary><b>Answer</b></summary>"), len(headings[5:]))
                for wanted in ("ShowVerdicts()", "**Why.**", "**The next step.**"):
                    self.assertIn(wanted, text)
                code = cells[cells.index(next(c for c in cells if c.startswith("## In code"))) + 1]
                self.assertLessEqual(len(code.splitlines()), 25)


if __name__ == "__main__":
    unittest.main()
