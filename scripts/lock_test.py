"""Tests that everything that is fetched is pinned: packages by SHA-256, GitHub's actions by commit."""

import re
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PIN = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)")


def requirements(path):
    """Returns the logical lines of a requirements file: continuation lines joined, comments left out."""
    text = path.read_text().replace("\\\n", " ")
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]


def name(text):
    return re.sub(r"[-_.]+", "-", text).lower()


class LockTest(unittest.TestCase):
    def test_every_requirement_has_a_version_and_hashes(self):
        files = [*ROOT.glob("[a-z]*/requirements*.txt"), *ROOT.glob("scripts/plugins/*.txt")]
        self.assertGreater(len(files), 4)
        for path in files:
            for line in requirements(path):
                with self.subTest(file=path.name, line=line[:40]):
                    self.assertRegex(line, PIN)
                    self.assertRegex(line, r"( --hash=sha256:[0-9a-f]{64})+$")

    def test_what_is_asked_for_is_what_is_pinned(self):
        for source in ROOT.glob("[a-z]*/requirements*.in"):
            locked = dict(PIN.match(line).groups() for line in requirements(source.with_suffix(".txt")))
            locked = {name(package): version for package, version in locked.items()}
            for line in requirements(source):
                package, version = PIN.match(line).groups()
                with self.subTest(file=source.name, package=package):
                    self.assertEqual(locked.get(name(package)), version)

    def test_actions_are_pinned_by_commit(self):
        used = [line for path in ROOT.glob(".github/workflows/*.yml") for line in path.read_text().splitlines() if "uses:" in line]
        self.assertTrue(used)
        for line in used:
            self.assertRegex(line, r"uses: [\w./-]+@[0-9a-f]{40} # v\d")


if __name__ == "__main__":
    unittest.main()
