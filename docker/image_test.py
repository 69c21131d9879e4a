"""Builds the image and tests it as its README uses it. Only tests of the network have one.

`make docker-test` runs it, with Docker if its engine runs, or else with Podman. Without either, or without the base images,
it prints one line and fails, unless --if-possible is given. The image is kept as gcml:cpu.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
IMAGE = "gcml:cpu"
LIMIT = 2.5e9  # Bytes.
# A user that the image does not know: the caller, or a user without a name if the caller is root.
UID, GID = (os.getuid(), os.getgid()) if os.getuid() else (4321, 4322)
# Podman's default limits may exceed those of a container or virtual machine that it runs in.
RUN = ["--no-healthcheck", "--ulimit", "nofile=4096:4096", "--ulimit", "nproc=4096:4096"]
# A training that takes seconds.
DEMO = ["gcml", "demo", "--progress", "none", "--seeds", "0", "--set", "steps=20"]
# The fewest rights that a container can have: a read-only root, no capabilities, and a /tmp without executables. With Docker,
# --tmpfs alone mounts /tmp like this; Podman needs the options.
READ_ONLY = ["--read-only", "--tmpfs", "/tmp"]
HARDENED = ["--read-only", "--tmpfs", "/tmp:noexec,nosuid,nodev", "--cap-drop", "ALL",
            "--security-opt", "no-new-privileges", "--user", f"{UID}:{GID}"]
# The healthcheck asks port 8888, so this lab is unhealthy.
WRONG_PORT = ["lab", "--ServerApp.port=9999"]
engine = None  # "docker" or "podman".


def call(*args, timeout=600):
    """Calls the engine, and returns its exit code with the text of both outputs."""
    return subprocess.run([engine, *args], capture_output=True, text=True, timeout=timeout)


def run(*command, options=(), network="none"):
    return call("run", "--rm", "--network", network, *RUN, *options, IMAGE, *command)


class ImageTest(unittest.TestCase):
    def results(self, uid=UID, gid=GID):
        """Returns a new folder that belongs to a user, and the options that mount it for results."""
        temp = tempfile.TemporaryDirectory()
        self.addCleanup(temp.cleanup)
        os.chown(temp.name, uid, gid)
        return Path(temp.name), ["--volume", f"{temp.name}:/gcml/out"]

    def check(self, done):
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def check_demo(self, folder):
        """Checks that the demo wrote all its files, and that all belong to the owner of the folder."""
        self.assertTrue(json.loads((folder / "demo/result.json").read_text())["runs"])
        self.assertTrue((folder / "demo/figures/demo.png").is_file())
        self.assertEqual({(p.stat().st_uid, p.stat().st_gid) for p in folder.rglob("*")}, {(UID, GID)})

    def test_size(self):
        inspected = json.loads(self.check(call("image", "inspect", IMAGE)))[0]["Size"]
        # Some engines give the compressed size; no image is smaller than its files.
        files = self.check(run("-sxB1", "/", options=["--user", "0", "--entrypoint", "du"])).split()[0]
        self.assertLess(max(inspected, int(files)), LIMIT)

    def test_results_belong_to_the_owner_of_their_folder(self):
        folder, mount = self.results()
        self.assertIn("backend xla:cpu", self.check(run(*DEMO, options=mount)))
        self.check_demo(folder)

    def test_results_belong_to_the_user_named(self):
        folder, mount = self.results()
        self.check(run(*DEMO, options=[*mount, "--user", f"{UID}:{GID}"]))
        self.check_demo(folder)

    def test_read_only_root_and_no_capabilities(self):
        for options in READ_ONLY, HARDENED:
            with self.subTest(options):
                folder, mount = self.results()
                self.assertIn("backend xla:cpu", self.check(run(*DEMO, options=[*mount, *options])))
                self.check_demo(folder)

    def test_root_without_capabilities_is_refused(self):
        done = run("gcml", "list", options=["--cap-drop", "ALL"])
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertRegex(done.stderr, r"\Agcml: root may not become the owner of /gcml/out here.*\n\Z")

    def test_nothing_needs_a_mount_or_runs_as_root(self):
        self.check(run(*DEMO))
        self.assertEqual(self.check(run("id", "-u")), "1000\n")
        self.assertEqual(self.check(run("id", "-u", options=["--user", "777:777"])), "777\n")

    def test_folders_that_cannot_be_written_to(self):
        _, mount = self.results()
        cases = {f"user {UID + 1} cannot write": [*mount, "--user", f"{UID + 1}:{GID}"]}
        if os.getuid() == 0:
            cases["belongs to root"] = self.results(0, 0)[1]
        for want, options in cases.items():
            with self.subTest(want):
                done = run("gcml", "list", options=options)
                self.assertEqual((done.returncode, done.stdout), (1, ""))
                self.assertRegex(done.stderr, rf"\Agcml: .*{want}.*\n\Z")

    def test_builds_are_warm_and_stay_so(self):
        build = ["go", "build", "-x", "./experiments", "./notebooks/nb"]
        done = run(*build, options=["--user", f"{UID}:{GID}"])
        self.check(done)
        self.assertIn("WORK=", done.stderr)
        self.assertNotIn("/compile ", done.stderr)
        # Go deletes files of its cache five days after their last use, so the image dates them years ahead.
        self.assertEqual(self.check(run("find", "/go/cache", "-type", "f", "!", "-newermt", "+1 year")), "")

    def test_notebook(self):
        notebook = "01_simplicity_bias.ipynb"
        for options in [], HARDENED:
            with self.subTest(options):
                folder, mount = self.results()
                self.check(run("python", "scripts/notebooks/execute.py", "--out", "out/executed", f"notebooks/{notebook}",
                               options=[*mount, *options]))
                self.assertIn("data:image/png", (folder / "executed" / notebook).read_text())
                self.assertTrue((folder / "simplicity-bias-smoke/result.json").is_file())

    def test_lab(self):
        for options in [], HARDENED:
            with self.subTest(options):
                self.check_lab(*options)

    def check_lab(self, *options):
        container, log = self.start(*self.results()[1], *options, "--publish", "127.0.0.1::8888")
        self.wait(lambda: self.health(container) == 0, "healthy", log)
        token = re.search(r"http://127\.0\.0\.1:8888/lab[^?]*\?token=(\w+)", log()).group(1)
        published = self.check(call("port", container, "8888")).strip()
        with urllib.request.urlopen(f"http://{published}/api/contents/notebooks?token={token}") as response:
            self.assertIn("01_simplicity_bias.ipynb", response.read().decode())
        with self.assertRaises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"http://{published}/api/contents")
        self.assertEqual(refused.exception.code, 403)
        owners = self.check(call("exec", "--user", f"{UID}:{GID}", container, "sh", "-c", "stat -c %u /proc/[0-9]*"))
        self.assertEqual(set(owners.split()), {str(UID)})

    def test_health(self):
        self.check(run("healthcheck"))  # A container without a lab, such as one that runs gcml, is healthy.
        container, log = self.start("--network", "none", command=WRONG_PORT)
        self.wait(lambda: "127.0.0.1:9999" in log(), "up", log)
        self.assertNotEqual(self.health(container), 0)

    def start(self, *options, command=()):
        """Starts a container, and returns its id and a function that returns its log."""
        container = self.check(call("run", "--detach", *RUN, *options, IMAGE, *command)).strip()
        self.addCleanup(call, "rm", "--force", container)

        def log():
            done = call("logs", container)
            return done.stdout + done.stderr
        return container, log

    def health(self, container):
        """Runs the image's health command in a container, and returns its exit code."""
        image = json.loads(self.check(call("image", "inspect", IMAGE)))[0]
        test = (image["Config"].get("Healthcheck") or image["Healthcheck"])["Test"]  # Docker has it in Config, Podman does not.
        self.assertEqual(test[0], "CMD")
        return call("exec", container, *test[1:]).returncode

    def wait(self, condition, what, log):
        for _ in range(60):
            if condition():
                return
            time.sleep(1)
        self.fail(f"the lab is not {what} after a minute:\n{log()}")


def prepare():
    """Chooses the engine and builds the image. It returns None, or the reason why that is impossible here."""
    global engine
    for engine in "docker", "podman":
        if shutil.which(engine) and call("info").returncode == 0:
            break
    else:
        return "there is neither a running Docker engine nor Podman"
    arguments = []
    for name, base in re.findall(r"^ARG (\w+_IMAGE)=(\S+)$", (FOLDER / "Dockerfile").read_text(), re.MULTILINE):
        image = base_image(base)
        if image is None:
            return f"the base image {base} is missing and cannot be pulled"
        arguments += ["--build-arg", f"{name}={image}"]
    options = ["--format", "docker"] if engine == "podman" else []  # Podman's default format has no healthcheck.
    subprocess.run([engine, "build", *options, *arguments, "--target", "cpu", "--tag", IMAGE, "--file", FOLDER / "Dockerfile", FOLDER.parent],
                   check=True)
    return None


def base_image(pinned):
    """Returns the image with the pinned digest, or a local one with its tag if that cannot be pulled, or None."""
    tag = pinned.partition("@")[0]
    if call("image", "inspect", pinned).returncode == 0 or call("pull", pinned).returncode == 0:
        return pinned
    if call("image", "inspect", tag).returncode == 0:
        print(f"docker-test: building on the local {tag}, not on the digest in the Dockerfile")
        return tag
    return None


def main(argv):
    """Runs the tests. If they cannot run, that is a failure, unless --if-possible is given."""
    if_possible = "--if-possible" in argv
    if reason := prepare():
        tests = unittest.defaultTestLoader.loadTestsFromTestCase(ImageTest).countTestCases()
        print(f"docker-test: NOT RUN ({tests} tests of the image): {reason}", file=sys.stdout if if_possible else sys.stderr)
        return 0 if if_possible else 1
    return 0 if unittest.main(argv=[argv[0]], verbosity=2, exit=False).result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv))
