"""Runs a Go test program to its end, also if a test crashes it, and counts what passed."""

import re
import signal
import subprocess

from processes import kill, last_line


class Suite:
    """A test program. If a test crashes it, it is started again and skips the tests that have begun."""

    def __init__(self, name, program, cwd, output, env, only):
        self.name, self.program, self.cwd, self.output, self.env, self.only = name, program, cwd, output, env, only
        self.process, self.ended_by, self.late = None, [], False
        output.unlink(missing_ok=True)

    def start(self):
        command = [str(self.program), "-test.v", "-test.timeout=0"]
        if self.only:
            command.append(f"-test.run={self.only}")
        begun, _ = outcomes(self.text())
        if begun:
            command.append(f"-test.skip=^({'|'.join(begun)})$")
        with self.output.open("a") as f:
            self.process = subprocess.Popen(command, cwd=self.cwd, env=self.env, stdin=subprocess.DEVNULL, stdout=f, stderr=subprocess.STDOUT,
                                            start_new_session=True)

    def running(self):
        """Whether the program still runs. It is started again if a test crashed it."""
        code = self.process.poll()
        if code is None:
            return True
        begun, done = outcomes(self.text())
        lost = [t for t in begun if t not in done and t not in self.ended_by]
        if code == 0 or not lost:
            return False
        self.ended_by += lost
        self.start()
        return True

    def stop(self):
        self.late = self.process.poll() is None
        if self.late:
            kill(self.process, signal.SIGKILL)
            self.process.wait()

    def text(self):
        return self.output.read_text(errors="replace") if self.output.exists() else ""

    def passed(self):
        return not self.late and not self.ended_by and not self.failed() and self.count("PASS") > 0

    def failed(self):
        """The innermost tests that failed."""
        names = re.findall(r"^ *--- FAIL: (\S+)", self.text(), re.M)
        return [n for n in names if not any(other.startswith(n + "/") for other in names)]

    def count(self, outcome):
        return len(re.findall(rf"^ *--- {outcome}: ", self.text(), re.M))

    def summary(self):
        failed = self.failed()
        text = f"{self.name} {self.count('PASS')} passed, {len(failed)} failed, {self.count('SKIP')} skipped"
        if failed:
            text += f" ({', '.join(failed[:5])}{', ...' if len(failed) > 5 else ''})"
        if self.ended_by:
            text += f", ended by {', '.join(self.ended_by)}"
        if self.late:
            text += ", not done in time"
        elif not failed and not self.ended_by and not self.count("PASS"):
            text += f", exit code {self.process.returncode}: {last_line(self.text())}"
        return text


def outcomes(text):
    """The top-level tests that have begun, and those that have ended, from the output of -test.v."""
    begun = list(dict.fromkeys(re.findall(r"^=== RUN   ([^/\s]+)$", text, re.M)))
    return begun, set(re.findall(r"^--- \w+: (\S+)", text, re.M))
