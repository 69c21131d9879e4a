"""Puts CIFAR-10 into the data folder, from the archive that was packed."""

import io
import os
import shutil
import struct
import tarfile
import time
from pathlib import Path

from machine import PartError
from packed import checked


def images(part):
    """Returns the data folder, after unpacking CIFAR-10 into it if it was packed."""
    folder = part.args.work / "data"
    name = part.manifest.get("data")
    target = folder / "cifar10" / "cifar-10-batches-bin"
    if not name:
        if not part.dry and "GCML_DATA" not in os.environ:
            raise PartError("no CIFAR-10: pack it with --data, or set GCML_DATA to a folder that has it")
        folder.mkdir(parents=True, exist_ok=True)
        return Path(os.environ.get("GCML_DATA") or folder)
    if target.exists():
        return folder
    packed = checked(part.args.packed, name, part.manifest)
    temp = folder / "unpacking"
    shutil.rmtree(temp, ignore_errors=True)
    temp.mkdir(parents=True)
    start = time.monotonic()
    with tarfile.open(packed) as tar:
        members = {Path(m.name).name: m for m in tar.getmembers() if m.isfile()}
        if "train.records" in members:
            decode(tar.extractfile(members["train.records"]).read(), [temp / f"data_batch_{i}.bin" for i in range(1, 6)])
            decode(tar.extractfile(members["test.records"]).read(), [temp / "test_batch.bin"])
        elif "test_batch.bin" in members:
            for file, member in members.items():
                if file.endswith(".bin"):
                    (temp / file).write_bytes(tar.extractfile(member).read())
        else:
            raise PartError(f"{name} holds neither test_batch.bin nor train.records")
    target.parent.mkdir(parents=True, exist_ok=True)
    os.replace(temp, target)
    part.note(f"images from {name}, SHA-256 {part.manifest['files'][name]['sha256']}, in {time.monotonic() - start:.0f} s")
    return folder


def decode(records, files):
    """Writes JPEG records as files in CIFAR-10's binary format, with the same number of images in each.

    A record is the label (one byte), the length of the JPEG (two bytes, little-endian) and the JPEG of 32 by 32 pixels.
    """
    from PIL import Image

    at, images = 0, []
    while at < len(records):
        label, size = struct.unpack_from("<BH", records, at)
        image = Image.open(io.BytesIO(records[at + 3:at + 3 + size])).convert("RGB")
        images.append(bytes([label]) + b"".join(image.getchannel(c).tobytes() for c in "RGB"))
        at += 3 + size
    each, rest = divmod(len(images), len(files))
    if rest or any(len(i) != 1 + 3 * 32 * 32 for i in images):
        raise PartError(f"{len(images)} images cannot be put into {len(files)} files, or are not of 32 by 32 pixels")
    for i, file in enumerate(files):
        file.write_bytes(b"".join(images[i * each:(i + 1) * each]))
