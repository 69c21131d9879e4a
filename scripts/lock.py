"""Pins Python packages by version and SHA-256: `python scripts/lock.py` writes each requirements*.txt from the .in beside it.

It needs uv (pip install uv==0.13.9). Pinned versions stay, unless the .in asks for others; for newer ones, remove the .txt
first. The hashes are those of all files of a version, so a pin is valid on every platform with the same packages. This is
checked for Linux on x86-64 and ARM64, with the oldest Python that is supported.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHON = "3.11.2"  # Debian 12's.
PLATFORMS = ["x86_64-manylinux_2_36", "aarch64-manylinux_2_36"]


def main():
    for source in sorted(ROOT.glob("[a-z]*/**/requirements*.in")):
        write(source, source.with_suffix(".txt"))
    return 0


def write(source, target):
    text = source.read_text()
    options = ["--no-deps"] if "# options: --no-deps" in text else []
    locked = {platform: lock(source, target, platform, options) for platform in PLATFORMS}
    if len(set(locked.values())) != 1:
        sys.exit(f"{source}: the packages differ between {' and '.join(PLATFORMS)}; mark them in the .in")
    comment = "".join(line for line in text.splitlines(keepends=True) if line.startswith("#"))
    name = source.relative_to(ROOT)
    target.write_text(f"# Written by scripts/lock.py from {name}; do not edit.\n{comment}{locked[PLATFORMS[0]]}")
    print(f"{target.relative_to(ROOT)}: {locked[PLATFORMS[0]].count('==')} packages")


def lock(source, target, platform, options):
    """Returns the pins with their hashes, for one platform."""
    with tempfile.TemporaryDirectory() as temp:
        out = Path(temp) / "requirements.txt"
        if target.exists():
            out.write_text(target.read_text())  # uv keeps the versions of an existing output file.
        uv = ["uv", "pip", "compile", "--quiet", "--no-header", "--no-annotate", "--generate-hashes", "--python-version", PYTHON,
              "--python-platform", platform, *options, "--output-file", str(out), str(source)]
        subprocess.run(uv, check=True)
        return "".join(line for line in out.read_text().splitlines(keepends=True) if not line.startswith("#"))


if __name__ == "__main__":
    sys.exit(main())
