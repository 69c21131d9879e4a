"""Opens notebooks in JupyterLab in a real Chromium, runs all of each at smoke scale, and moves their sliders.

It needs Chromium on the PATH, and Playwright (requirements-browser.txt), which `make test` installs where Chromium is. It is
skipped where one of them is missing.
The screenshots are left in out/browser.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
import unittest
import urllib.error
import urllib.request
from pathlib import Path

try:
    from playwright.sync_api import expect, sync_playwright
except ImportError:
    sync_playwright = None

FOLDER = Path(__file__).resolve().parent
OUT = FOLDER.parent / "out" / "browser"  # Inside of the repository, as the first cell wants it.
CHROMIUM = shutil.which("chromium")
SECOND = 1000  # Playwright counts in milliseconds.
PATIENCE = 600 * SECOND  # With whatever the page is waited for: a busy machine is slow, and none of this is about speed.


@unittest.skipUnless(CHROMIUM and sync_playwright, "Chromium or Playwright is not installed")
class BrowserTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        shutil.rmtree(OUT, ignore_errors=True)
        OUT.mkdir(parents=True)
        cls.url = cls.start_lab()
        playwright = sync_playwright().start()
        cls.addClassCleanup(playwright.stop)
        # Root, as in containers, has no sandbox.
        cls.browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        cls.addClassCleanup(cls.browser.close)

    def setUp(self):
        # So high that all cells are drawn without scrolling.
        self.page = self.browser.new_page(viewport={"width": 1300, "height": 6000})
        self.addCleanup(self.page.close)
        self.page.set_default_timeout(PATIENCE)
        expect.set_options(timeout=PATIENCE)

    @classmethod
    def start_lab(cls):
        """Starts JupyterLab on copies of the notebooks, and gives its address."""
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        settings = OUT / ".jupyter"
        env = {**os.environ, "GCML_SCALE": "smoke", "JUPYTER_CONFIG_DIR": str(settings), "JUPYTER_RUNTIME_DIR": str(settings)}
        log = open(OUT / "lab.log", "w")
        cls.addClassCleanup(log.close)
        lab = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}", "--ServerApp.port_retries=0",
             "--IdentityProvider.token=t", "--LabApp.news_url=None", f"--notebook-dir={OUT}"],
            env=env, stdout=log, stderr=log)
        cls.addClassCleanup(lab.wait, timeout=30)
        cls.addClassCleanup(lab.terminate)
        for _ in range(120):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/api?token=t").close()
                return f"http://127.0.0.1:{port}/lab/tree/%s?token=t&reset"
            except (urllib.error.URLError, ConnectionError):
                if lab.poll() is not None:
                    break
                time.sleep(0.5)
        raise RuntimeError(f"JupyterLab does not answer: see {OUT / 'lab.log'}")

    def run_all(self, name):
        shutil.copy(FOLDER / name, OUT)
        self.page.goto(self.url % name)
        self.page.locator(".jp-CodeCell").first.wait_for()
        self.page.locator(".jp-NotebookPanel-toolbar").first.wait_for()
        # The saved outputs must not be taken for new ones.
        self.command("Edit", "editmenu:clear-all")
        expect(self.page.locator(".jp-OutputArea-output")).to_have_count(0)
        self.command("Run", "runmenu:run-all")

    def command(self, menu, command):
        self.page.locator("li.lm-MenuBar-item", has_text=menu).click()
        self.page.locator(f"li[data-command='{command}']").click()

    def check(self, name, claim, figures, position):
        """Runs a notebook: so many figures, a verdict on a claim, nothing on stderr, and a slider that changes the last figure."""
        page = self.page
        self.run_all(name)
        slider, images = page.locator("input[type=range]"), page.locator(".jp-OutputArea-output img")
        try:
            slider.wait_for()
            expect(page.get_by_role("cell", name=claim).first).to_be_visible()
            expect(page.locator(".jp-RenderedText[data-mime-type='application/vnd.jupyter.stderr']")).to_have_count(0)
            expect(images).to_have_count(figures)
            before = images.last.get_attribute("src")
            def move():
                slider.fill(str(int(position) - 1))  # Else a move that was not heard could not be made again.
                slider.fill(position)

            self.until(move, lambda: expect(images.last).not_to_have_attribute("src", before, timeout=15 * SECOND))
            page.get_by_role("button", name="Done").click()
            expect(page.locator(".jp-InputPrompt", has_text="[*]")).to_have_count(0)
        finally:
            page.screenshot(path=OUT / Path(name).with_suffix(".png"))

    def until(self, act, shows):
        """Does something until it shows: a busy machine loses what is done too early."""
        for attempt in range(20):
            act()
            try:
                return shows()
            except AssertionError:
                if attempt == 19:
                    raise

    def test_simplicity_bias(self):
        self.check("01_simplicity_bias.ipynb", "GC rises while the network fits", figures=5, position="3")

    def test_transfer_inequality(self):
        self.check("07_transfer_inequality.ipynb", "the transfer inequality is never violated", figures=4, position="2")


if __name__ == "__main__":
    unittest.main()
