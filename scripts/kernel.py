"""Installs the GoNB kernel into the virtual environment that this runs in: `kernel.py`.

gonb and goimports have to be in the environment's bin folder. The kernel gets the environment of the Makefile: PATH with
those two and Go, and the variables that choose toolchain, SIMD and plugins.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from jupyter_server.services.kernels.kernelmanager import MappingKernelManager

ROOT = Path(__file__).resolve().parent.parent
VARIABLES = ["GOTOOLCHAIN", "GOEXPERIMENT", "GOMLX_NO_AUTO_INSTALL", "GCML_PLUGIN_DIR"]


def main():
    venv = Path(sys.prefix)
    # The toolchain that go.mod requires, not the older go that downloaded it: that one would download another patch version
    # for `go work`.
    goroot = subprocess.run(["go", "env", "GOROOT"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()
    path = os.pathsep.join([str(venv / "bin"), str(Path(goroot) / "bin"), os.environ["PATH"]])
    env = {**os.environ, "PATH": path, "JUPYTER_DATA_DIR": str(venv / "share" / "jupyter")}
    install = [str(venv / "bin" / "gonb"), "--install", "-force_deps", "-raw_error", f"-go_work={ROOT}"]
    done = subprocess.run(install, env=env, capture_output=True, text=True)
    if done.returncode != 0:
        return f"kernel: gonb --install failed:\n{done.stderr}"

    # gonb's own kernel.json has no environment. JupyterLab may be started from anywhere, so it gets one here.
    spec = venv / "share" / "jupyter" / "kernels" / "gonb" / "kernel.json"
    kernel = json.loads(spec.read_text())
    # Every cell is a program that is linked when it runs. Linking without symbols takes less than half the time.
    kernel["env"] = {"PATH": path, "GOFLAGS": "-ldflags=-s", **{name: os.environ[name] for name in VARIABLES if name in os.environ}}
    write_json(spec, kernel)
    show_status_from_the_start(venv)
    # Otherwise JupyterLab covers a corner of the first notebook with a question about news.
    write_json(venv / "etc" / "jupyter" / "labconfig" / "default_setting_overrides.json",
               {"@jupyterlab/apputils-extension:notification": {"fetchNews": "false"}})
    return 0


def show_status_from_the_start(venv):
    """Configures JupyterLab to know the status of a kernel before its first cell runs.

    JupyterLab shows "Unknown" until a status follows a request that counts as activity. Requests for the kernel's
    information, with which it connects, do not count by default, and gonb answers no other before the first cell
    (docs/upstream.md). They stay uncounted in Jupyter Server: it would take a kernel that answers them for busy, and not
    wait until its messages arrive.
    """
    uncounted = MappingKernelManager.class_traits()["untracked_message_types"].default()
    uncounted = [kind for kind in uncounted if kind != "kernel_info_request"]
    write_json(venv / "etc" / "jupyter" / "labconfig" / "page_config.json", {"untracked_message_types": uncounted})


def write_json(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    temp = path.with_suffix(".new")
    temp.write_text(json.dumps(value, indent=1) + "\n")
    os.replace(temp, path)


if __name__ == "__main__":
    sys.exit(main())
