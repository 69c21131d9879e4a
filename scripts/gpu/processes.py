"""Waits for processes, stops them, and reads what they printed."""

import os
import signal
import subprocess

GRACE = 30  # Seconds that an interrupted program has to save what it has.


def wait(process, limit):
    """Returns the exit code of a process, or None if it had to be stopped after limit seconds."""
    try:
        return process.wait(limit)
    except subprocess.TimeoutExpired:
        kill(process, signal.SIGINT)
        try:
            process.wait(GRACE)
        except subprocess.TimeoutExpired:
            pass
        return None
    finally:
        kill(process, signal.SIGKILL)  # Also what it started itself.


def kill(process, number):
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        pass


def last_line(text, skip=None):
    lines = [line.strip() for line in text.splitlines() if line.strip() and not (skip and line.startswith(skip))]
    return lines[-1] if lines else "no message"
