"""Gives the module another path: `rename.py example.org/you/gcml` (make rename MODULE=...).

It replaces go.mod's path in every file that git does not ignore: imports, notebooks, documentation, configuration. If the
new path is a repository on GitHub, addresses https://PATH are right too.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("module", help="the new path")
    args = parser.parse_args(argv)
    old, new = module_path(), args.module.strip()
    if not new:
        return "rename: no path is given: make rename MODULE=example.org/you/gcml"
    if old == new:
        return f"rename: the module is {old} already"
    # go edits go.mod first, because it refuses an invalid path.
    edited = subprocess.run(["go", "mod", "edit", f"-module={new}"], cwd=ROOT, capture_output=True, text=True)
    if edited.returncode != 0:
        return f"rename: {edited.stderr.strip()}"
    changed = [path for path in files() if replace(path, old, new)]
    sources = [str(path) for path in changed if path.suffix == ".go"]
    if sources:  # The order of imports depends on the path.
        subprocess.run(["gofmt", "-w", *sources], cwd=ROOT, check=True)
    print(f"{old} is now {new}, in go.mod and {len(changed)} more files; next: make lint")
    return 0


def module_path():
    return re.search(r"^module (\S+)$", (ROOT / "go.mod").read_text(), re.MULTILINE)[1]


def files():
    """All files but those that git ignores."""
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                            cwd=ROOT, check=True, capture_output=True).stdout
    paths = [ROOT / os.fsdecode(name) for name in listed.split(b"\0") if name]
    return [path for path in paths if path.is_file() and not path.is_symlink()]


def replace(path, old, new):
    """Replaces old by new, but not within a longer name, and reports whether that changed anything."""
    before = path.read_bytes()
    after = re.sub(rb"(?<![\w.-])" + re.escape(old.encode()) + rb"(?![\w-]|\.\w)", lambda _: new.encode(), before)
    if after == before:
        return False
    temp = path.with_name(path.name + ".rename")
    temp.write_bytes(after)
    shutil.copymode(path, temp)
    os.replace(temp, path)
    return True


if __name__ == "__main__":
    sys.exit(main())
