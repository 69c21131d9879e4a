"""What the scripts that compare networks share: measuring a file by `gcml measure --onnx`, and their command line."""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np

# Random estimators draw other numbers on other backends, so the tables are of one.
BACKEND = "xla:cpu"


def measure(gcml, path, inputs, options, folder, **environment):
    """The result of `gcml measure --json` on BACKEND as a dictionary, or the last line of its error. Inputs are arrays by name; more
    environment variables may follow."""
    words = []
    for name, array in inputs.items():
        file = folder / f"{name.replace('/', '_')}.npy"
        np.save(file, array)
        words += ["--inputs", f"{name}={file}"]
    done = subprocess.run([gcml, "measure", "--onnx", path, *words, *options, "--json", "--progress", "none"], capture_output=True, text=True,
                          env=os.environ | {"GOMLX_BACKEND": BACKEND} | environment)
    return json.loads(done.stdout) if done.returncode == 0 else done.stderr.strip().splitlines()[-1]


def arguments():
    """The command line: the program gcml, a folder for files, which is made, and the file for the table or None."""
    if len(sys.argv) not in (3, 4):
        sys.exit(f"usage: {pathlib.Path(sys.argv[0]).name} GCML DIR [TABLE]")
    gcml, folder, table = [*sys.argv[1:], None][:3]
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    return gcml, folder, table


def write_table(names, row, page):
    """Makes and prints row(name, gcml, folder) for each name, and writes page(rows) to the table."""
    gcml, folder, table = arguments()
    rows = []
    for name in names:
        rows.append(row(name, gcml, folder))
        print(rows[-1], flush=True)
    if table:
        pathlib.Path(table).write_text(page(rows))
