"""Tests of what a reader meets when things go wrong: an interrupted or restarted kernel, a plugin or a data set that is not
there, no network. They run cells in the GoNB kernel, in a folder of this repository.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

import nbformat
from jupyter_client.manager import KernelManager
from jupyter_server.services.config.manager import ConfigManager
from jupyterlab_server.config import get_static_page_config

ROOT = Path(__file__).resolve().parents[2]
FIRST_CELL = "%noautoget"
IMPORTS = """import (
	"fmt"
	"os"
	"time"

	"github.com/janpfeifer/gonb/gonbui"

	"github.com/geometric-complexity/toolkit/experiments"
	"github.com/geometric-complexity/toolkit/notebooks/nb"
)
"""
# A training that takes minutes and shows progress.
LONG_RUN = """%%
defer gonbui.Sync()
cfg := experiments.SimplicityBias.Config(nb.Smoke)
cfg.Steps = 10_000_000
nb.Look(experiments.SimplicityBias, cfg)
"""
# A run that prints nothing and ignores interrupts.
SILENT_RUN = """%%
nb.Context()
fmt.Println("begins")
time.Sleep(time.Hour)
"""
PATIENCE = 120  # Seconds.


class KernelTest(unittest.TestCase):
    def setUp(self):
        (ROOT / "out").mkdir(exist_ok=True)
        temp = tempfile.TemporaryDirectory(dir=ROOT / "out", prefix="kernel-test-")
        self.addCleanup(temp.cleanup)
        self.folder = Path(temp.name)
        self.log = open(self.folder / "kernel.log", "w")
        self.addCleanup(self.log.close)

    def start_kernel(self, first_cell=FIRST_CELL, **variables):
        self.manager = KernelManager(kernel_name="gonb")
        self.manager.start_kernel(cwd=str(self.folder), env={**os.environ, **variables}, stderr=self.log)
        self.addCleanup(self.manager.shutdown_kernel, now=True)
        self.client = self.manager.client()
        self.client.start_channels()
        self.addCleanup(self.client.stop_channels)
        self.client.wait_for_ready(timeout=PATIENCE)
        if first_cell:
            self.run_cell(first_cell)

    def run_cell(self, source):
        """Runs a cell to its end, and returns its output by stream."""
        return self.outputs(self.client.execute(source if source.startswith("%no") else IMPORTS + source))

    def outputs(self, cell, until=None):
        """Returns a cell's output by stream, when the cell ends, or prints or displays a given text."""
        printed = {"stdout": "", "stderr": "", "displayed": ""}
        deadline = time.monotonic() + PATIENCE
        while True:
            message = self.client.get_iopub_msg(timeout=max(0, deadline - time.monotonic()))
            if message["parent_header"].get("msg_id") != cell:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "stream":
                printed[content["name"]] += content["text"]
            elif kind in ("display_data", "update_display_data"):
                printed["displayed"] = content["data"].get("text/html", "")
            if kind == "status" and content["execution_state"] == "idle":
                return printed
            if until and any(until in text for text in printed.values()):
                return printed

    def cell_processes(self):
        """Returns the running processes that the kernel has started."""
        listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
        kernel = self.manager.provisioner.pid
        return [int(pid) for pid, parent in map(str.split, listed.splitlines()) if int(parent) == kernel]

    def assert_ends(self, processes):
        self.assertTrue(processes, "the cell was not running")
        for _ in range(100):
            if not any(alive(pid) for pid in processes):
                return
            time.sleep(0.1)
        self.fail(f"of the cell's processes {processes} some are there after 10 s")

    def assert_one_line(self, stderr, *words):
        """A cell reports an error in one line; the kernel adds its own."""
        lines = stderr.strip().splitlines()
        self.assertEqual(len(lines), 2, stderr)
        self.assertEqual(lines[1], "exit status 1")
        self.assertTrue(lines[0].startswith("gcml: "), lines[0])
        for word in words:
            self.assertIn(word, lines[0])

    def test_interrupt(self):
        self.start_kernel()
        cell = self.client.execute(IMPORTS + LONG_RUN)
        self.outputs(cell, until="seed 0")
        processes = self.cell_processes()
        self.manager.interrupt_kernel()
        printed = self.outputs(cell)
        self.assertEqual(printed["stderr"], "")
        self.assertRegex(printed["displayed"], "^interrupted at step .* what was done is saved; run the cell again to go on")
        self.assert_ends(processes)

    def test_any_order(self):
        """After a restart, every cell runs without the cells above it, also without their imports."""
        self.start_kernel(first_cell="", GOPROXY="off")
        printed = self.outputs(self.client.execute("%%\nnb.Published(experiments.SimplicityBias).ShowVerdicts()"))
        self.assertEqual(printed["stderr"], "")
        self.assertIn("What you see:", printed["displayed"])

    def test_your_own_model(self):
        """Here cells need an earlier one. Without it each says what to do, in one line and without the network."""
        self.start_kernel(GOPROXY="off")
        notebook = nbformat.read(ROOT / "notebooks" / "your_own_model.ipynb", as_version=4)
        cells = [c.source for c in notebook.cells if c.cell_type == "code" and "own.Fit(" in c.source]
        declaring, others = cells[0], cells[1:]
        self.assertIn("var own = ", declaring)
        self.assertGreater(len(others), 3)
        for cell in others:
            with self.subTest(cell):
                self.assert_one_line(self.outputs(self.client.execute(cell))["stderr"], "run the notebook from the top")

    def test_restart(self):
        self.start_kernel()
        cell = self.client.execute(IMPORTS + SILENT_RUN)
        self.outputs(cell, until="begins")
        processes = self.cell_processes()
        self.manager.restart_kernel()
        self.assert_ends(processes)

    def test_upstream(self):
        """The program of the report on GoNB. If this fails, the fault is mended: delete the report, and see scripts/kernel.py."""
        page = (ROOT / "docs" / "upstream.md").read_text()
        program = re.search("(?s)```python\n(.*?)```", page)[1]
        done = subprocess.run([sys.executable, "-c", program], cwd=self.folder, stdout=subprocess.PIPE, stderr=self.log,
                              text=True, timeout=PATIENCE, check=True)
        self.assertEqual(done.stdout.splitlines(), re.findall(r"(?m)^\| GoNB \| `(.*)` \|$", page))

    def test_configuration(self):
        """JupyterLab reads the configuration that scripts/kernel.py writes."""
        uncounted = get_static_page_config(level="sys_prefix")["untracked_message_types"]
        self.assertIn("comm_info_request", uncounted)
        self.assertNotIn("kernel_info_request", uncounted)
        overrides = ConfigManager(config_dir_name="labconfig").get("default_setting_overrides")
        self.assertEqual(overrides["@jupyterlab/apputils-extension:notification"], {"fetchNews": "false"})

    def test_what_is_missing(self):
        # Connections to the network are refused.
        self.start_kernel(GOPROXY="off", HTTP_PROXY="http://127.0.0.1:9", HTTPS_PROXY="http://127.0.0.1:9", GCML_DATA=str(self.folder))
        nothing = f'os.Setenv("GCML_PLUGIN_DIR", ""); os.Setenv("HOME", "{self.folder}"); '
        with self.subTest("no plugin"):
            printed = self.run_cell('%%\n' + nothing + 'os.Setenv("GOMLX_BACKEND", ""); nb.Backend()')
            self.assertEqual(printed["stderr"], "")
            self.assertRegex(printed["stdout"], r"^backend \w+ .*\n$")
        with self.subTest("a plugin that was asked for"):
            printed = self.run_cell('%%\n' + nothing + 'os.Setenv("GOMLX_BACKEND", "xla:/no/such/plugin.so"); nb.Backend()')
            self.assert_one_line(printed["stderr"], "/no/such/plugin.so", "make xla")
        with self.subTest("data set"):
            printed = self.run_cell("%%\ncfg := experiments.Noise.Config(nb.Smoke)\n"
                                    'cfg.Dataset = "cifar10"\nnb.Look(experiments.Noise, cfg)')
            self.assert_one_line(printed["stderr"], "data set cifar10 not found", "to get it: gcml fetch cifar10", "--set dataset=fashion-mnist-subset")
        with self.subTest("nothing else needs the network"):
            printed = self.run_cell("%%\ncfg := experiments.TheMeasure.Config(nb.Smoke)\n"
                                    "cfg.Functions = 3\nnb.Look(experiments.TheMeasure, cfg).ShowClaims()")
            self.assertEqual(printed["stderr"], "")


def alive(pid):
    try:
        os.kill(pid, 0)
        return True
    except ProcessLookupError:
        return False


if __name__ == "__main__":
    unittest.main()
