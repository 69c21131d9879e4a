"""Checks what the machine has: its C library, NVIDIA's driver, XLA's plugin for CUDA and the flags that it knows."""

import ctypes
import glob
import mmap
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


class PartError(Exception):
    """Why a part failed, in one line."""


def check_glibc(needed):
    name, _, here = os.confstr("CS_GNU_LIBC_VERSION").partition(" ")
    if [int(n) for n in here.split(".")] < [int(n) for n in needed.split(".")]:
        raise PartError(f"the programs need glibc {needed}, but this machine has {name} {here}: pack them on an older system")


def folder_of_driver():
    """The folder of NVIDIA's driver library, or None if the loader finds the library by itself."""
    try:
        ctypes.CDLL("libcuda.so.1")
        return None
    except OSError:
        for folder in ("/usr/local/nvidia/lib64", "/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/local/cuda/compat", "/usr/lib/wsl/lib"):
            if os.path.exists(f"{folder}/libcuda.so.1"):
                return folder
    raise PartError("the driver's libcuda.so.1 is in none of its usual folders: name its folder in LD_LIBRARY_PATH")


def find_plugin(env):
    """Finds XLA's CUDA plugin in PJRT_PLUGIN_LIBRARY_PATH, else among this Python's packages, else in the checkout's .plugins."""
    folders = [f for f in env.get("PJRT_PLUGIN_LIBRARY_PATH", "").split(os.pathsep) if f]
    folders += [f for p in sys.path if p for f in sorted(glob.glob(f"{p}/jax_plugins/xla_cuda*"), reverse=True)]
    folders += glob.glob(str(ROOT / ".plugins/cuda/jax_plugins/xla_cuda*"))
    for folder in folders:
        plugin = Path(folder) / "xla_cuda_plugin.so"
        if plugin.exists():
            return plugin
    raise PartError(f"no XLA plugin for CUDA: {sys.executable} has no jax_plugins/xla_cuda*; pip install 'jax[cuda13]', or set PJRT_PLUGIN_LIBRARY_PATH")


def split_known(plugin, flags):
    """Splits flags into those whose name occurs in the plugin, and the others."""
    with plugin.open("rb") as f, mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ) as content:
        known = [flag for flag in flags if content.find(flag.partition("=")[0].removeprefix("--").encode()) >= 0]
    return known, [flag for flag in flags if flag not in known]
