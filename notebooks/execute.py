"""Executes notebooks headless, as the tests do: `execute.py [--scale smoke] [--out folder] [notebook ...]`.

Without names, every notebook of this folder. The saved notebooks stay as they are: what was executed goes to --out
(a temporary folder if not given). $GCML_SCALE tells the notebooks at which scale to run. It ends with an error if a
cell fails, or if one of its `!command` lines does, which the kernel does not count as an error.
"""

import argparse
import os
import re
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

FOLDER = Path(__file__).resolve().parent

# How GoNB reports a `!command` that failed, on the cell's stderr.
FAILED_COMMAND = re.compile(r"^(exit status [1-9]\d*|signal: .*)$", re.MULTILINE)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebooks", nargs="*", type=Path)
    parser.add_argument("--scale", default="smoke", help="value of GCML_SCALE (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="folder for the executed notebooks")
    parser.add_argument("--timeout", type=int, default=600, help="seconds for each cell (default: %(default)s)")
    args = parser.parse_args(argv)
    notebooks = args.notebooks or sorted(FOLDER.glob("*.ipynb"))
    if not notebooks:
        print(f"notebooks: none in {FOLDER}")
        return 0
    os.environ["GCML_SCALE"] = args.scale
    with tempfile.TemporaryDirectory() as temp:
        out = args.out or Path(temp)
        out.mkdir(parents=True, exist_ok=True)
        failed = [path.name for path in notebooks if not execute(path, out, args.timeout)]
    print(f"notebooks: {len(notebooks) - len(failed)} ran, {len(failed)} failed" + "".join(f" {f}" for f in failed))
    return 1 if failed else 0


def execute(path, out, timeout):
    """Executes one notebook, writes it to out, and says how it went."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(notebook, timeout=timeout, coalesce_streams=True,
                            resources={"metadata": {"path": str(path.resolve().parent)}})
    start = time.monotonic()
    log = out / (path.stem + ".log")  # Of the kernel, which has much to say.
    try:
        with open(log, "w") as stderr:
            client.execute(stderr=stderr)
        problem = failed_command(notebook)
    except (CellExecutionError, CellTimeoutError) as e:
        problem = str(e).strip()
    except (DeadKernelError, RuntimeError) as e:
        problem = f"the kernel died: {e}\n" + "".join(log.read_text().splitlines(True)[-20:])
    finally:
        write_atomically(notebook, out / path.name)
    seconds = time.monotonic() - start
    print(f"{'FAIL' if problem else 'ok  '} {path.name} {seconds:.1f}s" + (f"\n{problem}" if problem else ""), flush=True)
    return problem is None


def failed_command(notebook):
    """What the first failing `!command` of a notebook printed, or None."""
    for number, cell in enumerate(notebook.cells, 1):
        for output in cell.get("outputs", []):
            if output.get("name") != "stderr":
                continue
            if match := FAILED_COMMAND.search(output["text"]):
                return f"a command in cell {number} failed: {match.group(0)}\n{output['text'].strip()}"
    return None


def write_atomically(notebook, path):
    temp = path.with_name(path.name + ".new")
    nbformat.write(notebook, temp)
    os.replace(temp, path)


if __name__ == "__main__":
    sys.exit(main())
