"""Checks the development container against what the Makefile and docker/Dockerfile have, as far as that needs no Docker."""

import json
import re
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = re.compile(r"([a-z0-9-]+)='([^']+)'")


class DevcontainerTest(unittest.TestCase):
    def setUp(self):
        folder = ROOT / ".devcontainer"
        text = re.sub(r"(?m)^\s*//.*", "", (folder / "devcontainer.json").read_text())
        self.config = json.loads(text)
        self.dockerfile = (folder / self.config["build"]["dockerfile"]).read_text()
        self.docker = (ROOT / "docker" / "Dockerfile").read_text()
        self.makefile = (ROOT / "Makefile").read_text()

    def test_base_image(self):
        base = re.search(r"(?m)^FROM (\S+)$", self.dockerfile)[1]
        self.assertRegex(base, r"@sha256:[0-9a-f]{64}$")
        self.assertEqual(base, re.search(r"(?m)^ARG GO_IMAGE=(\S+)$", self.docker)[1])

    def test_packages(self):
        """Packages are pinned, and the same versions as in the other image."""
        packages, others = dict(PACKAGE.findall(self.dockerfile)), dict(PACKAGE.findall(self.docker))
        installed = re.search(r"--no-install-recommends (.*) \\", self.dockerfile)[1].split()
        self.assertEqual(len(installed), len(packages), "a package without a version")
        shared = packages.keys() & others.keys()
        self.assertGreaterEqual(len(shared), 3)
        for name in shared:
            self.assertEqual(packages[name], others[name], name)

    def test_environment(self):
        """The environment is that of the Makefile."""
        exported = dict(re.findall(r"(?m)^export (\w+) := (.*)$", self.makefile))
        exported.pop("HOME")  # Set only where there is none.
        expected = {name: value.replace("$(CURDIR)", "${containerWorkspaceFolder}") for name, value in exported.items()}
        self.assertEqual(self.config["containerEnv"], expected)

    def test_setup(self):
        make, target = self.config["postCreateCommand"].split()
        self.assertEqual(make, "make")
        self.assertRegex(self.makefile, rf"(?m)^{target}:")
        self.assertIn(f"useradd --uid 1000 --create-home --shell /bin/bash {self.config['remoteUser']}", self.dockerfile)


if __name__ == "__main__":
    unittest.main()
