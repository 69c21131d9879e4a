"""Reads what gpu/pack wrote: the manifest, and archives with the SHA-256 that it names."""

import hashlib
import json
import shutil
import tarfile

from machine import PartError


def read_manifest(packed):
    try:
        return json.loads((packed / "manifest.json").read_text())
    except FileNotFoundError:
        raise PartError(f"nothing is packed in {packed}: run scripts/gpu/pack on a machine with Go, and copy that folder here") from None


def checked(packed, name, manifest):
    """Returns the path of a packed file whose SHA-256 is that of the manifest. Any other is a PartError."""
    file = packed / name
    if not file.exists():
        raise PartError(f"{file} is missing: copy it here")
    with file.open("rb") as f:
        if hashlib.file_digest(f, "sha256").hexdigest() != manifest["files"][name]["sha256"]:
            raise PartError(f"{file} is not what was packed: its SHA-256 differs from that in manifest.json")
    return file


def extract(tar, folder):
    """Extracts an archive, with tarfile's filter for data where Python has it (from 3.11.4 on)."""
    tar.extraction_filter = getattr(tarfile, "data_filter", lambda member, path: member)
    tar.extractall(folder)


def unpack(packed, name, manifest, folder):
    """Unpacks an archive into a folder, unless that has been done."""
    stamp = folder / f"{manifest['files'][name]['sha256']}.unpacked"
    if stamp.exists():
        return
    with tarfile.open(checked(packed, name, manifest)) as tar:
        shutil.rmtree(folder, ignore_errors=True)
        extract(tar, folder)
    stamp.touch()
