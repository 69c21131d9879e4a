"""Builds the documentation as a static site: `site.py FOLDER`, for `make docs`.

The site has the repository's Markdown files, the notebooks with their saved outputs, and the reference of the public packages.
It can be read without a network: it contains its fonts and scripts, and formulas are MathML.
"""

import html
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import latex2mathml.converter
import nbconvert
from mkdocs.exceptions import PluginError

ROOT = Path(__file__).resolve().parent.parent
STAGE = ROOT / ".cache" / "site"
PACKAGES = ["gcml", "gcml/plotpoints", "representation", "capacity", "inspect", "layers", "regularizers", "datasets", "schedule",
            "backend"]
LINK = re.compile(r"(?<=\]\()([^)\s]+)(?=\))")
FENCE = re.compile(r"(^ *```.*?^ *```[^\n]*$)", re.MULTILINE | re.DOTALL)
MATH = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)


def main():
    target = Path(sys.argv[1]).resolve()
    shutil.rmtree(STAGE, ignore_errors=True)
    module = re.search(r"^module (\S+)$", (ROOT / "go.mod").read_text(), re.MULTILINE)[1]
    stage(f"https://{module}")
    config = ROOT / "docs" / "mkdocs.yml"
    command = [sys.executable, "-m", "mkdocs", "--quiet", "build", "--strict", "--config-file", config, "--site-dir", target]
    # MkDocs Material gets fixes until May 2027; the warning says that Zensical, which reads the same configuration, follows it.
    if subprocess.run(command, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}).returncode != 0:
        return 1
    print(f"the site begins at {target}/index.html")
    return 0


def stage(address):
    """Copies all pages and pictures into one tree with the repository's layout, so that the links between them stay valid."""
    tracked = subprocess.run(["git", "ls-files", "-z", "*.md", "*.png", "*.svg", "*.ipynb"],
                             cwd=ROOT, check=True, capture_output=True, text=True).stdout
    names = [name for name in tracked.split("\0") if name and not name.startswith((".", "datasets/"))]
    for name in names:
        path = STAGE / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".ipynb":
            text, resources = nbconvert.MarkdownExporter().from_filename(ROOT / name)
            pictures = path.with_suffix("")
            for picture, content in resources["outputs"].items():
                pictures.mkdir(exist_ok=True)
                (pictures / picture).write_bytes(content)
                text = text.replace(f"]({picture})", f"]({pictures.name}/{picture})")
            path.with_suffix(".md").write_text(rewrite(text, name, names, address))
        elif path.suffix == ".md":
            path.write_text(rewrite((ROOT / name).read_text(), name, names, address))
        else:
            shutil.copyfile(ROOT / name, path)
    shutil.copyfile(ROOT / "docs" / "site.css", STAGE / "site.css")
    reference = STAGE / "reference"
    reference.mkdir()
    subprocess.run(["go", "run", "./scripts/reference", str(reference), *PACKAGES], cwd=ROOT, check=True)


def rewrite(text, name, names, address):
    """Makes links point to the site's pages or, for other files, to the repository's address."""
    def target(match):
        path, hash_, anchor = match[1].partition("#")
        if not path or ":" in path:
            return match[1]
        there = (ROOT / name).parent / unquote(path)
        try:
            inside = there.resolve().relative_to(ROOT).as_posix()
        except ValueError:
            return match[1]
        if there.is_dir() and f"{inside}/README.md" in names:
            return f"{path.rstrip('/')}/README.md{hash_}{anchor}"
        if inside.endswith(".ipynb"):
            return path.removesuffix(".ipynb") + ".md" + hash_ + anchor
        if inside in names or not there.exists():
            return match[1]
        return f"{address}/tree/main/{inside}{hash_}{anchor}"
    parts = FENCE.split(text)
    return "".join(part if i % 2 else LINK.sub(target, part) for i, part in enumerate(parts))


def on_page_content(content, **_):
    """A hook of MkDocs: formulas become MathML, which browsers draw without a script."""
    def formula(match):
        display = "block" if match[1] == "div" else "inline"
        # Commands that latex2mathml lacks: delimiters that know their side, and their size.
        tex = re.sub(r"\\(?:[bB]igg?[lr]?\s*)?\\?[lr]?Vert(?![A-Za-z])", r"\\Vert", html.unescape(match[2]).strip())
        result = latex2mathml.converter.convert(tex, display=display)
        if "\\" in result or "&#x0005C;" in result:
            raise PluginError(f"not understood in a formula: {tex}")
        return result
    return MATH.sub(formula, content)


if __name__ == "__main__":
    sys.exit(main())
