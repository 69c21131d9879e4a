"""Copies the notebooks to a folder for a reader to run and to change: `copies.py FOLDER`, for `make lab`.

The tracked notebooks stay as they are, and the folder holds nothing but notebooks. A copy that the reader has run or changed
is kept. When the notebook has changed since, too, one line says so.
"""

import hashlib
import json
import os
import shutil
import sys
from pathlib import Path

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
COPIED = ".copied.json"  # The SHA-256 of each notebook as it was copied, by name.


def main(folder, notebooks=NOTEBOOKS):
    """Brings the copies up to date. Returns the names of notebooks that have a newer version, which was not copied."""
    folder = Path(folder)
    folder.mkdir(exist_ok=True)
    record = folder / COPIED
    copied = json.loads(record.read_text()) if record.exists() else {}
    kept = []
    for notebook in sorted(notebooks.glob("*.ipynb")):
        copy, new = folder / notebook.name, digest(notebook)
        before = copied.get(notebook.name)
        if copy.exists() and digest(copy) != before:
            if new != before:
                kept.append(notebook.name)
            continue
        shutil.copyfile(notebook, copy)
        copied[notebook.name] = new
    temp = record.with_suffix(".new")
    temp.write_text(json.dumps(copied, indent=1) + "\n")
    os.replace(temp, record)
    return kept


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    for name in main(sys.argv[1]):
        print(f"{sys.argv[1]}/{name} stays as you changed it; there is a newer one: delete yours to get it")
