"""Puts an XLA (PJRT) plugin into the project's plugin folder: `plugin.py cpu` or `plugin.py cuda`.

The plugins come in wheels, which plugins/*.txt pin by version and SHA-256. pip fetches and checks them; a wheel with another
hash is an error. The plugin appears by a rename, so that an interrupted or failed run leaves nothing behind. A file beside it
holds the SHA-256 of the installed plugin. If that still fits, and the pin is the same, nothing is done. A damaged plugin is
replaced or, if that fails, renamed.

`plugin.py cpu --goxla` runs go-xla's own installer instead, for platforms without a wheel. It installs files without a pinned
hash under the home folder, and so it only runs on request.

A pin file may name XLA flags for its plugin ("# xla_flags: ..."). They are stored beside the plugin, together with its size,
and package backend passes them on. Other plugins may not know these flags, and XLA ends the program at an unknown flag.

With --optional a plugin that cannot be fetched is a message and no error. A wrong hash is still an error.
"""

import argparse
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parent
ROOT = SCRIPTS.parent

# The pin files of each kind, in the order in which they are tried.
PINS = {"cpu": ["cpu.txt", "cpu-second.txt"], "cuda": ["cuda.txt"]}

# What pip prints when a file does not have the pinned hash.
WRONG_HASH = "DO NOT MATCH THE HASHES"


class WrongHash(Exception):
    """A downloaded file does not have the pinned hash."""


class NotAvailable(Exception):
    """Why no plugin could be installed."""


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=sorted(PINS))
    parser.add_argument("--dir", type=Path, default=Path(os.environ.get("GCML_PLUGIN_DIR") or ROOT / ".plugins"))
    parser.add_argument("--pins", type=Path, default=SCRIPTS / "plugins", help="folder of the requirement files")
    parser.add_argument("--optional", action="store_true", help="a plugin that cannot be fetched is no error")
    parser.add_argument("--goxla", action="store_true", help="run go-xla's own installer, whose files are not pinned by hash")
    args = parser.parse_args(argv)
    pins = [args.pins / name for name in PINS[args.kind]]
    try:
        if args.goxla:
            goxla_installer(args.kind)
        else:
            ensure(args.kind, args.dir.absolute(), pins)
    except WrongHash as e:
        print(f"xla: {e}. Nothing was installed.", file=sys.stderr)
        return 1
    except NotAvailable as e:
        print(f"xla: no {args.kind} plugin could be installed ({e}); the pure Go backend is used. `make goxla` installs go-xla's own, whose hash is not pinned", file=sys.stderr)
        return 0 if args.optional else 1
    return 0


def ensure(kind, folder, pins):
    """Puts a plugin of this kind into folder, unless it has an undamaged pinned one, or one that a user put there."""
    target = folder / ("pjrt_c_api_cpu_plugin.so" if kind == "cpu" else "cuda")
    stamp = folder / f"{kind}.pin"
    damaged = False
    if target.exists():
        if not stamp.exists():
            return
        pinned, _, installed = stamp.read_text().strip().partition("\n")
        if pinned in {pin_digest(pin) for pin in pins}:
            damaged = installed != content_digest(target)
            if not damaged:
                return
            print(f"xla: {target} is damaged: it does not have the SHA-256 that it was installed with; replacing it", flush=True)
    folder.mkdir(parents=True, exist_ok=True)
    reasons = []
    for pin in pins:
        try:
            install(pin, target, folder, stamp)
        except NotAvailable as e:
            reasons.append(str(e))
            continue
        print(f"xla: {kind} plugin installed ({pinned_name(pin)})")
        return
    if damaged:
        reasons.append(f"the damaged one is now {put_aside(target)}")
    raise NotAvailable("; ".join(reasons))


def put_aside(target):
    """Renames a damaged plugin so that nothing loads it: loading it may end the program."""
    aside = target.with_name(target.name + ".damaged")
    if aside.is_dir():
        shutil.rmtree(aside)
    os.replace(target, aside)
    return aside


def content_digest(target):
    """Returns the SHA-256 of a file, or of the names and contents of all files of a folder."""
    if not target.is_dir():
        with target.open("rb") as f:
            return hashlib.file_digest(f, "sha256").hexdigest()
    tree = hashlib.sha256()
    for path in sorted(p for p in target.rglob("*") if p.is_file() or p.is_symlink()):
        content = f"link {os.readlink(path)}" if path.is_symlink() else content_digest(path)
        tree.update(f"{path.relative_to(target)}\0{content}\n".encode())
    return tree.hexdigest()


def install(pin, target, folder, stamp):
    """Installs the wheels of a pin file, moves the plugin (for CUDA the whole tree) to target, and writes its hash."""
    print(f"xla: fetching {pinned_name(pin)}", flush=True)
    with tempfile.TemporaryDirectory(prefix=".fetching-", dir=folder) as temp:
        tree = Path(temp) / "tree"
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps",
               "--no-compile", "--no-cache-dir", "--require-hashes", "--only-binary", ":all:", "--retries", "2",
               "--timeout", "20", "--target", str(tree), "--requirement", str(pin)]
        # pip unpacks on the same file system, so that the plugin can be renamed into its place.
        done = subprocess.run(pip, capture_output=True, text=True, env={**os.environ, "TMPDIR": temp})
        if WRONG_HASH in done.stdout + done.stderr:
            raise WrongHash(f"what was fetched for {pinned_name(pin)} does not have the SHA-256 pinned in {pin.name}")
        if done.returncode != 0:
            raise NotAvailable(f"{pinned_name(pin)}: {last_line(done.stderr)}")
        if target.name == "cuda":
            new = tree
            link_for_goxla(tree)
        else:
            new = only_plugin(tree, pin)
            new.chmod(0o755)
        digest = content_digest(new)
        flags = target.with_suffix(".xla_flags")
        flags.unlink(missing_ok=True)
        replace(new, target, Path(temp))
        write_atomically(stamp, f"{pin_digest(pin)}\n{digest}\n")
        if xla_flags(pin):
            write_atomically(flags, f"{target.stat().st_size} {xla_flags(pin)}\n")


def only_plugin(tree, pin):
    found = [p for p in tree.rglob("*.so") if "pjrt" in p.name]
    if len(found) != 1:
        raise NotAvailable(f"{pinned_name(pin)} holds {len(found)} plugins, not one")
    return found[0]


def link_for_goxla(tree):
    """Links NVIDIA's libraries to where go-xla looks: one folder above the plugin's. pip installs them two above."""
    (tree / "jax_plugins" / "nvidia").symlink_to("../nvidia")


def replace(new, target, temp):
    """Renames new to target. If target is a folder, it is moved to temp first, which the caller deletes."""
    if target.is_dir():
        os.rename(target, temp / "old")
    os.replace(new, target)


def goxla_installer(kind):
    """Runs go-xla's own installer. It installs from its releases, without pinned hashes, under the home folder."""
    go = shutil.which("go")
    if go is None:
        raise NotAvailable("go-xla's installer: no Go found")
    print("xla: running go-xla's own installer", flush=True)
    done = subprocess.run([go, "run", "./scripts/goxla-install", kind], cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0:
        raise NotAvailable(f"go-xla's installer: {last_line(done.stderr)}")
    print(f"xla: {kind} plugin installed (go-xla's own, hash not pinned): {last_line(done.stdout)}")


def pin_digest(pin):
    return hashlib.sha256(pin.read_bytes()).hexdigest()


def pinned_name(pin):
    """Returns the first requirement of a pin file, as name==version."""
    for line in pin.read_text().splitlines():
        if line and not line.startswith("#"):
            return line.split()[0]
    raise ValueError(f"{pin} pins nothing")


def xla_flags(pin):
    """Returns the XLA flags that a pin file names, or ""."""
    mark = "# xla_flags:"
    return " ".join(line.removeprefix(mark).strip() for line in pin.read_text().splitlines() if line.startswith(mark))


def last_line(text):
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("exit status")]
    return lines[-1].removeprefix("ERROR: ") if lines else "no message"


def write_atomically(path, text):
    temp = path.with_name(path.name + ".new")
    temp.write_text(text)
    os.replace(temp, path)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # So that temporary folders are removed.
    sys.exit(main())
