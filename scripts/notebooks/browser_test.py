"""Opens notebooks in JupyterLab in a real Chromium: the index, one for each kind of widget, in dark mode, and at a phone's width.

Notebooks run at smoke scale.

It needs Chromium on the PATH, and Playwright (requirements-browser.txt), which `make test` installs where Chromium is. It is
skipped where one of them is missing.
The screenshots are left in out/browser.
"""

import os
import re
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

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "notebooks"
OUT = ROOT / "out" / "browser"  # Inside the repository, so that package nb finds it.
CHROMIUM = shutil.which("chromium")
SECOND = 1000  # Playwright counts in milliseconds.
PATIENCE = 600 * SECOND  # For everything that the tests wait for: a busy machine is slow, and no test is about speed.


@unittest.skipUnless(CHROMIUM and sync_playwright, "Chromium or Playwright is not installed")
class BrowserTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        shutil.rmtree(OUT, ignore_errors=True)
        OUT.mkdir(parents=True)
        cls.url = cls.start_lab()
        playwright = sync_playwright().start()
        cls.addClassCleanup(playwright.stop)
        # Chromium has no sandbox for root, the user in many containers.
        cls.browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        cls.addClassCleanup(cls.browser.close)

    def setUp(self):
        self.open_page(1300, 6000)  # High enough to draw all cells without scrolling.

    def open_page(self, width, height):
        self.page = self.browser.new_page(viewport={"width": width, "height": height})
        self.addCleanup(self.page.close)
        self.page.set_default_timeout(PATIENCE)
        expect.set_options(timeout=PATIENCE)

    @classmethod
    def start_lab(cls):
        """Starts JupyterLab on copies of the notebooks, and returns the pattern of its addresses."""
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        settings = cls.settings = OUT / ".jupyter"
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
                return f"http://127.0.0.1:{port}/%s/tree/%s?token=t&reset"
            except (urllib.error.URLError, ConnectionError):
                if lab.poll() is not None:
                    break
                time.sleep(0.5)
        raise RuntimeError(f"JupyterLab does not answer: see {OUT / 'lab.log'}")

    def open(self, name, mode="lab"):
        """Opens a copy of a notebook with its saved outputs. Mode "doc" shows nothing but the notebook."""
        shutil.copy(FOLDER / name, OUT)
        self.page.goto(self.url % (mode, name))
        self.page.locator(".jp-CodeCell").first.wait_for()
        self.page.locator(".jp-NotebookPanel-toolbar").first.wait_for()

    def run_all(self, name):
        self.open(name)
        # JupyterLab silently drops a command to run cells if the kernel is not connected yet.
        expect(self.page.locator("#jp-main-statusbar")).to_contain_text("Go (gonb) | Idle")
        # The test must not take saved outputs for new ones.
        self.command("Edit", "editmenu:clear-all")
        expect(self.page.locator(".jp-OutputArea-output")).to_have_count(0)
        self.command("Run", "runmenu:run-all")
        self.page.locator(".jp-CodeCell .jp-InputPrompt", has_text=re.compile(r"\[[*\d]")).first.wait_for()

    def command(self, menu, command):
        self.page.locator("li.lm-MenuBar-item", has_text=menu).click()
        self.page.locator(f"li[data-command='{command}']").click()

    def check_run(self, name, figures):
        """Runs a notebook, and checks its number of figures, that each has a text, and that stderr is empty."""
        self.run_all(name)
        try:
            expect(self.figures()).to_have_count(figures)
            self.wait_until_idle()
            expect(self.page.locator(".jp-RenderedText[data-mime-type='application/vnd.jupyter.stderr']")).to_have_count(0)
            for figure in self.figures().all():
                self.assertGreater(len(figure.get_attribute("alt")), 20)
        finally:
            self.screenshot(Path(name).stem)

    def figures(self):
        return self.page.locator(".jp-OutputArea-output img:visible")

    def wait_until_idle(self):
        expect(self.page.locator(".jp-InputPrompt", has_text="[*]")).to_have_count(0)

    def screenshot(self, name):
        self.page.screenshot(path=OUT / f"{name}.png")

    def test_index(self):
        self.check_run("00_start_here.ipynb", figures=1)
        expect(self.page.get_by_text("05 Geometric complexity as the regularizer")).to_be_visible()
        shutil.copy(FOLDER / "05_gc_regularizer.ipynb", OUT)
        self.page.get_by_role("link", name="05 GC as the regularizer").first.click()
        expect(self.page.get_by_role("heading", name="Geometric complexity as the regularizer").first).to_be_visible()

    def test_slider(self):
        self.check_run("01_simplicity_bias.ipynb", figures=6)
        slider, value = self.page.locator("input[type=range]"), self.page.locator("output")
        figure = self.figures().last
        before, said = figure.get_attribute("src"), value.text_content()
        slider.fill("3")  # A script of the page moves the slider: no cell runs.
        expect(value).not_to_have_text(said)
        expect(self.figures()).to_have_count(6)
        self.assertNotEqual(self.figures().last.get_attribute("src"), before)
        cell = slider.locator("xpath=ancestor::div[contains(@class, 'jp-OutputArea-output')]")
        self.assertGreater(slider.bounding_box()["width"], 0.9 * cell.bounding_box()["width"])
        self.screenshot("slider")

    def test_curves(self):
        self.check_run("your_own_model.ipynb", figures=5)

    def test_dark(self):
        theme = self.settings / "lab" / "user-settings" / "@jupyterlab" / "apputils-extension" / "themes.jupyterlab-settings"
        theme.parent.mkdir(parents=True, exist_ok=True)
        theme.write_text('{"theme": "JupyterLab Dark"}')
        self.addCleanup(theme.unlink)
        self.open("05_gc_regularizer.ipynb")
        expect(self.page.locator("body[data-jp-theme-light=false]")).to_be_attached()
        figure = self.figures().first
        figure.wait_for()
        # The background is transparent.
        alpha = figure.evaluate("""async picture => {
            await picture.decode();
            const canvas = document.createElement("canvas");
            [canvas.width, canvas.height] = [picture.naturalWidth, picture.naturalHeight];
            const context = canvas.getContext("2d");
            context.drawImage(picture, 0, 0);
            return context.getImageData(2, 2, 1, 1).data[3];
        }""")
        self.assertEqual(alpha, 0)
        self.screenshot("dark")

    def test_phone(self):
        self.open_page(390, 8000)
        self.open("05_gc_regularizer.ipynb", mode="doc")
        self.figures().first.wait_for()
        for figure in self.figures().all():
            box = figure.bounding_box()
            self.assertLessEqual(box["x"] + box["width"], 390)
        self.screenshot("phone")


if __name__ == "__main__":
    unittest.main()
