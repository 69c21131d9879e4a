"""Finds Go comments that are wider than 100 columns: `comment_width.py`. Tabs count as 4.

Lines without a space to break at, such as addresses, and the output that examples promise may be wider.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WIDTH = 100


def main():
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.go"],
                            cwd=ROOT, check=True, capture_output=True, text=True).stdout
    found = []
    for name in sorted(filter(None, listed.split("\0"))):
        if (ROOT / name).exists():
            found += [f"{name}:{number}" for number in too_wide((ROOT / name).read_text())]
    if found:
        print(f"comments wider than {WIDTH} columns:", *found, sep="\n  ")
    return 1 if found else 0


def too_wide(text):
    """The numbers of the lines of Go code with a comment that is too wide."""
    numbers, output = [], False
    for number, line in enumerate(text.splitlines(), 1):
        comment = re.match(r"\s*//(.*)", line)
        output = bool(comment) and (output or re.match(r" (Unordered output|Output):", comment[1]) is not None)
        if comment and not output and len(line.expandtabs(4)) > WIDTH and " " in comment[1].strip():
            numbers.append(number)
    return numbers


if __name__ == "__main__":
    sys.exit(main())
