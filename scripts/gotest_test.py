"""Tests of gotest.py."""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import gotest


class SummaryTest(unittest.TestCase):
    def feed(self, *events):
        printed = []
        summary = gotest.Summary(out=printed.append)
        for action, test, output in events:
            summary.add({"Action": action, "Package": "p", "Test": test, "Output": output, "Elapsed": 1.5})
        return "\n".join(printed), summary.text()

    def test_counts_and_reasons(self):
        printed, text = self.feed(
            ("output", "A/xla", "    x_test.go:7: no XLA plugin\n"), ("skip", "A/xla", None),
            ("output", "B/xla", "    y_test.go:9: no XLA plugin\n"), ("skip", "B/xla", None),
            ("output", "C", "noise\n"), ("skip", "C", None),
            ("output", "A", "quiet\n"), ("pass", "A", None), ("pass", None, None))
        self.assertEqual(printed, "ok   p 1.5s")
        self.assertEqual(text.splitlines(), [
            "tests: 1 passed, 0 failed, 3 not run", "not run: 2 (no XLA plugin)", "not run: 1 (no reason given)"])

    def test_failures_are_shown(self):
        printed, text = self.feed(
            ("output", "A", "    x_test.go:3: got 1, want 2\n"), ("fail", "A", None),
            ("output", None, "panic: boom\n"), ("fail", None, None))
        for want in "got 1, want 2", "panic: boom", "FAIL p 1.5s":
            self.assertIn(want, printed)
        self.assertTrue(text.startswith("tests: 0 passed, 1 failed, 0 not run"))

    def test_build_failures_are_shown(self):
        printed = []
        summary = gotest.Summary(out=printed.append)
        summary.add({"Action": "build-output", "ImportPath": "p [p.test]", "Output": "x.go:1: syntax error\n"})
        summary.add({"Action": "build-fail", "ImportPath": "p [p.test]"})
        self.assertIn("syntax error", printed[0])


if __name__ == "__main__":
    unittest.main()
