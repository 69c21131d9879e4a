"""Executes notebooks headless, as the tests do: `execute.py [--scale smoke] [--out folder] [notebook ...]`.

Without names, every notebook of the folder notebooks. The saved notebooks stay as they are: what was executed goes to --out
(a temporary folder if not given). $GCML_SCALE tells the notebooks at which scale to run. It ends with an error if a
cell fails, or if one of its `!command` lines does, which the kernel does not count as an error.

`execute.py --save notebook ...` is for the notebooks of the repository: it executes them at the scale that each has and
replaces them by what came out, if that went well.
"""

import argparse
import concurrent.futures
import os
import re
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"

# GoNB's message on stderr for a `!command` that failed.
FAILED_COMMAND = re.compile(r"^(exit status [1-9]\d*|signal: .*)$", re.MULTILINE)

# The size in bytes up to which a notebook with its outputs is saved: larger ones are slow to show and to clone.
LARGEST = 1_200_000


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebooks", nargs="*", type=Path)
    parser.add_argument("--scale", help="value of GCML_SCALE (default: smoke, and with --save each notebook's own)")
    place = parser.add_mutually_exclusive_group()
    place.add_argument("--out", type=Path, help="folder for the executed notebooks")
    place.add_argument("--save", action="store_true", help="replace the notebooks by the executed ones")
    parser.add_argument("--timeout", type=int, help="seconds for each cell (default: 600, and none with --save)")
    parser.add_argument("--jobs", type=int, default=1, help="notebooks at once (default: %(default)s)")
    args = parser.parse_args(argv)
    if missing := [str(path) for path in args.notebooks if not path.is_file()]:
        parser.error(f"no such notebook: {', '.join(missing)}")
    notebooks = args.notebooks or sorted(FOLDER.glob("*.ipynb"))
    if not notebooks:
        print(f"notebooks: none in {FOLDER}")
        return 0
    if args.timeout is None and not args.save:
        args.timeout = 600
    scale = args.scale or ("" if args.save else "smoke")
    os.environ["GCML_SCALE"] = scale
    if scale == "smoke":
        # XLA takes longer to compile the small networks than they train.
        os.environ.setdefault("GOMLX_BACKEND", "go")
    with tempfile.TemporaryDirectory() as temp, concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        out = args.out or Path(temp)
        out.mkdir(parents=True, exist_ok=True)
        done = list(pool.map(lambda path: execute(path, out, args), notebooks))
    failed = [path.name for path, ok in zip(notebooks, done) if not ok]
    print(f"notebooks: {len(notebooks) - len(failed)} ran, {len(failed)} failed" + "".join(f" {f}" for f in failed))
    return 1 if failed else 0


def execute(path, out, args):
    """Executes one notebook, writes it to out, or over itself with --save, and prints the outcome."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(notebook, timeout=args.timeout, coalesce_streams=True, record_timing=False,
                            resources={"metadata": {"path": str(path.resolve().parent)}})
    start = time.monotonic()
    log = out / (path.stem + ".log")  # The kernel's long log.
    try:
        with open(log, "w") as stderr:
            client.execute(stderr=stderr)
        problem = failed_command(notebook)
    except (CellExecutionError, CellTimeoutError) as e:
        problem = str(e).strip()
    except (DeadKernelError, RuntimeError) as e:
        problem = f"the kernel died: {e}\n" + "".join(log.read_text().splitlines(True)[-20:])
    executed = out / path.name
    write_atomically(notebook, executed)
    if args.save and not problem:
        problem = save(notebook, executed.stat().st_size, path)
    seconds = time.monotonic() - start
    print(f"{'FAIL' if problem else 'ok  '} {path.name} {seconds:.1f}s" + (f"\n{problem}" if problem else ""), flush=True)
    return problem is None


def save(notebook, size, path):
    """Replaces a notebook by the executed one. Returns None, or why it was not replaced."""
    if size > LARGEST:
        return f"not saved: {size:,} bytes with its outputs, at most {LARGEST:,} are kept"
    write_atomically(notebook, path)
    return None


def failed_command(notebook):
    """Returns what the first failing `!command` of a notebook printed, or None."""
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
