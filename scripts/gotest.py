"""Runs `go test -json` with the given arguments and prints a summary: one line for each package, the output of failures,
and at the end how many tests passed, failed and were skipped, with the reasons.
"""

import collections
import json
import re
import subprocess
import sys

# "    file_test.go:12: reason", which go test prints for t.Skip.
SKIP_REASON = re.compile(r"^\s*\S+\.go:\d+: (.*)$")


def main(args):
    process = subprocess.Popen(["go", "test", "-json", *args], stdout=subprocess.PIPE, text=True)
    summary = Summary()
    for line in process.stdout:
        try:
            summary.add(json.loads(line))
        except json.JSONDecodeError:
            print(line, end="", flush=True)  # A message of go itself, not an event.
    code = process.wait()
    print(summary.text())
    return code


class Summary:
    """Counts the events of go test, and prints packages and failures as they end."""

    def __init__(self, out=print):
        self.out = out
        self.output = collections.defaultdict(list)  # Of each test, or of a package if the test is None.
        self.counts = collections.Counter()
        self.skipped = collections.Counter()  # By reason.

    def add(self, event):
        action, package, test = event["Action"], event.get("Package") or event.get("ImportPath"), event.get("Test")
        if action in ("output", "build-output"):
            self.output[package, test].append(event["Output"])
        elif action == "build-fail":
            self.out("".join(self.output.pop((package, None), [])))
        elif action in ("pass", "fail", "skip"):
            self.ended(action, package, test, event.get("Elapsed", 0))

    def ended(self, action, package, test, elapsed):
        lines = self.output.pop((package, test), [])
        if test is None:
            if action == "fail":
                self.out("".join(lines).rstrip())
            self.out(f"{ {'pass': 'ok  ', 'fail': 'FAIL', 'skip': 'none'}[action]} {package} {elapsed:.1f}s")
            return
        self.counts[action] += 1
        if action == "fail":
            self.out("".join(lines).rstrip())
        elif action == "skip":
            reasons = [m.group(1) for m in map(SKIP_REASON.match, lines) if m]
            self.skipped[reasons[0].strip() if reasons else "no reason given"] += 1

    def text(self):
        c = self.counts
        lines = [f"tests: {c['pass']} passed, {c['fail']} failed, {c['skip']} not run"]
        lines += [f"not run: {n} ({reason})" for reason, n in self.skipped.most_common()]
        return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
