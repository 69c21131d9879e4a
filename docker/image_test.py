"""Builds the image and uses it as its README says, without a network wherever a network is not what is tested.

`make docker-test` runs it. It takes Docker, where an engine runs, or else Podman, which takes the same commands. Where there
is neither, or no base images, it says so in one line and ends with an error, unless --if-possible is given. The image stays,
under the name gcml:cpu.
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
# A user that the image does not know: the caller, or, if that is root, a user without a name.
UID, GID = (os.getuid(), os.getgid()) if os.getuid() else (4321, 4322)
# Podman asks for its own limits, which may be more than a machine within a machine has.
RUN = ["--no-healthcheck", "--ulimit", "nofile=4096:4096", "--ulimit", "nproc=4096:4096"]
# A training of seconds.
DEMO = ["gcml", "demo", "--progress", "none", "--seeds", "0", "--set", "steps=20"]
# As little as a container can have: a root that nobody writes to, no capability, and a /tmp that starts nothing, which is
# what --tmpfs makes with Docker, but not with Podman.
READ_ONLY = ["--read-only", "--tmpfs", "/tmp"]
HARDENED = ["--read-only", "--tmpfs", "/tmp:noexec,nosuid,nodev", "--cap-drop", "ALL",
            "--security-opt", "no-new-privileges", "--user", f"{UID}:{GID}"]
# What the healthcheck shows is the same lab on another port.
WRONG_PORT = ["lab", "--ServerApp.port=9999"]
engine = None  # "docker" or "podman".


def call(*args, timeout=600):
    """Calls the engine and gives what it did, with the text of both outputs."""
    return subprocess.run([engine, *args], capture_output=True, text=True, timeout=timeout)


def run(*command, options=(), network="none"):
    return call("run", "--rm", "--network", network, *RUN, *options, IMAGE, *command)


class ImageTest(unittest.TestCase):
    def results(self, uid=UID, gid=GID):
        """A new folder of a user's, and the options that mount it for results."""
        temp = tempfile.TemporaryDirectory()
        self.addCleanup(temp.cleanup)
        os.chown(temp.name, uid, gid)
        return Path(temp.name), ["--volume", f"{temp.name}:/gcml/out"]

    def check(self, done):
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def check_demo(self, folder):
        """Checks that the demonstration is all there, and that all of it belongs to the owner of its folder."""
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
        # Go deletes what was used more than five days ago, and the image's files are used when it is built.
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
        with urllib.request.urlopen(f"http://{published}/api/contents?token={token}") as response:
            self.assertIn("01_simplicity_bias.ipynb", response.read().decode())
        with self.assertRaises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"http://{published}/api/contents")
        self.assertEqual(refused.exception.code, 403)
        owners = self.check(call("exec", "--user", f"{UID}:{GID}", container, "sh", "-c", "stat -c %u /proc/[0-9]*"))
        self.assertEqual(set(owners.split()), {str(UID)})

    def test_health(self):
        self.check(run("healthcheck"))  # No lab, as in a container that runs gcml.
        container, log = self.start("--network", "none", command=WRONG_PORT)
        self.wait(lambda: "127.0.0.1:9999" in log(), "up", log)
        self.assertNotEqual(self.health(container), 0)

    def start(self, *options, command=()):
        """Starts a container, and gives its id and a function that gives its log."""
        container = self.check(call("run", "--detach", *RUN, *options, IMAGE, *command)).strip()
        self.addCleanup(call, "rm", "--force", container)

        def log():
            done = call("logs", container)
            return done.stdout + done.stderr
        return container, log

    def health(self, container):
        """The exit status of the command that the image has for its health."""
        image = json.loads(self.check(call("image", "inspect", IMAGE)))[0]
        test = (image["Config"].get("Healthcheck") or image["Healthcheck"])["Test"]  # Docker has it here, Podman there.
        self.assertEqual(test[0], "CMD")
        return call("exec", container, *test[1:]).returncode

    def wait(self, condition, what, log):
        for _ in range(60):
            if condition():
                return
            time.sleep(1)
        self.fail(f"the lab is not {what} after a minute:\n{log()}")


def prepare():
    """Chooses the engine and builds the image. It gives why that cannot be done here, or None."""
    global engine
    for engine in "docker", "podman":
        if shutil.which(engine) and call("info").returncode == 0:
            break
    else:
        return "neither an engine of Docker's nor Podman is here"
    arguments = []
    for name, base in re.findall(r"^ARG (\w+_IMAGE)=(\S+)$", (FOLDER / "Dockerfile").read_text(), re.MULTILINE):
        image = base_image(base)
        if image is None:
            return f"the base image {base} is not here and cannot be pulled"
        arguments += ["--build-arg", f"{name}={image}"]
    options = ["--format", "docker"] if engine == "podman" else []  # The other format has no healthcheck.
    subprocess.run([engine, "build", *options, *arguments, "--target", "cpu", "--tag", IMAGE, "--file", FOLDER / "Dockerfile", FOLDER.parent],
                   check=True)
    return None


def base_image(pinned):
    """The image of the tag and digest; if it cannot be pulled, one with the tag that was made here; or None."""
    tag = pinned.partition("@")[0]
    if call("image", "inspect", pinned).returncode == 0 or call("pull", pinned).returncode == 0:
        return pinned
    if call("image", "inspect", tag).returncode == 0:
        print(f"docker-test: builds on the {tag} that is here, not on the digest that the Dockerfile names")
        return tag
    return None


def main(argv):
    """Runs the tests. That nothing can be run is a failure, unless --if-possible is given."""
    if_possible = "--if-possible" in argv
    if reason := prepare():
        tests = unittest.defaultTestLoader.loadTestsFromTestCase(ImageTest).countTestCases()
        print(f"docker-test: NOT RUN ({tests} tests of the image): {reason}", file=sys.stdout if if_possible else sys.stderr)
        return 0 if if_possible else 1
    return 0 if unittest.main(argv=[argv[0]], verbosity=2, exit=False).result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv))
