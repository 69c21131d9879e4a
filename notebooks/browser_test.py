"""Opens a notebook in JupyterLab in a real Chromium, runs all of it at smoke scale, and moves its slider.

It needs Chromium on the PATH, and Playwright (requirements-browser.txt), which `make test` installs where Chromium is. It is
skipped where one of them is missing.
The last screenshot is left in out/browser.
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


@unittest.skipUnless(CHROMIUM and sync_playwright, "Chromium or Playwright is not installed")
class BrowserTest(unittest.TestCase):
    def setUp(self):
        shutil.rmtree(OUT, ignore_errors=True)
        OUT.mkdir(parents=True)
        self.url = self.start_lab()
        playwright = sync_playwright().start()
        self.addCleanup(playwright.stop)
        # Root, as in containers, has no sandbox.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        self.addCleanup(browser.close)
        # So high that all cells are drawn without scrolling.
        self.page = browser.new_page(viewport={"width": 1300, "height": 6000})

    def start_lab(self):
        """Starts JupyterLab on copies of the notebooks, and gives its address."""
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        settings = OUT / ".jupyter"
        env = {**os.environ, "GCML_SCALE": "smoke", "JUPYTER_CONFIG_DIR": str(settings), "JUPYTER_RUNTIME_DIR": str(settings)}
        log = open(OUT / "lab.log", "w")
        self.addCleanup(log.close)
        lab = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}", "--ServerApp.port_retries=0",
             "--IdentityProvider.token=t", "--LabApp.news_url=None", f"--notebook-dir={OUT}"],
            env=env, stdout=log, stderr=log)
        self.addCleanup(lab.wait, timeout=30)
        self.addCleanup(lab.terminate)
        for _ in range(120):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/api?token=t").close()
                return f"http://127.0.0.1:{port}/lab/tree/%s?token=t&reset"
            except (urllib.error.URLError, ConnectionError):
                self.assertIsNone(lab.poll(), "JupyterLab ended")
                time.sleep(0.5)
        self.fail("JupyterLab does not answer")

    def run_all(self, name):
        shutil.copy(FOLDER / name, OUT)
        self.page.goto(self.url % name)
        self.page.locator(".jp-CodeCell").first.wait_for(timeout=90 * SECOND)
        self.page.locator(".jp-NotebookPanel-toolbar").first.wait_for()
        # The saved outputs must not be taken for new ones.
        self.command("Edit", "editmenu:clear-all")
        expect(self.page.locator(".jp-OutputArea-output")).to_have_count(0)
        self.command("Run", "runmenu:run-all")

    def command(self, menu, command):
        self.page.locator("li.lm-MenuBar-item", has_text=menu).click()
        self.page.locator(f"li[data-command='{command}']").click()

    def test_simplicity_bias(self):
        page = self.page
        self.run_all("01_simplicity_bias.ipynb")
        slider, figures = page.locator("input[type=range]"), page.locator(".jp-OutputArea-output img")
        try:
            slider.wait_for(timeout=400 * SECOND)
            expect(page.get_by_role("cell", name="GC rises while the network fits").first).to_be_visible()
            expect(page.locator(".jp-RenderedText[data-mime-type='application/vnd.jupyter.stderr']")).to_have_count(0)
            expect(figures).to_have_count(5)
            before = figures.last.get_attribute("src")
            page.wait_for_timeout(2 * SECOND)  # The slider listens a little after it is drawn.
            slider.fill("3")
            expect(figures.last).not_to_have_attribute("src", before, timeout=30 * SECOND)
            page.get_by_role("button", name="Done").click()
            expect(page.locator(".jp-InputPrompt", has_text="[*]")).to_have_count(0, timeout=30 * SECOND)
        finally:
            page.screenshot(path=OUT / "01_simplicity_bias.png")


if __name__ == "__main__":
    unittest.main()
