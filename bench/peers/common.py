"""The protocol, fixtures and timing that the JAX and the PyTorch worker share.

A worker reads one JSON command per line on stdin and answers each with one JSON line on stdout (bench/proto has the fields).
Nothing else may be printed on stdout.
"""

import json
import os
import sys
import time
import traceback

import numpy as np


# The harness gives all workers the same device and precision.
DEVICE = os.environ.get("BENCH_DEVICE", "cpu")
ON_GPU = DEVICE == "cuda"
TF32 = os.environ.get("BENCH_TF32") == "1"


# The number of outputs whose vector-Jacobian products the variants in chunks compute together.
CHUNK = 50


class Fixture:
    """Weights and data, which the harness has written for all workers."""

    def __init__(self, folder):
        self.folder = folder
        with open(os.path.join(folder, "manifest.json")) as f:
            self.manifest = json.load(f)
        self.model = self.manifest["model"]
        self.outputs = self.manifest["outputs"]
        self.batch_norm = self.manifest.get("norm", "") == "batch"
        self.epsilon = self.manifest.get("epsilon", 0.0)
        self.momentum = self.manifest.get("momentum", 0.0)
        self.x = self.array("x")
        self.y = self.array("y")
        self.directions = self.array("directions")  # [batch, projections, outputs], orthonormal rows per example.

    def array(self, name):
        return np.load(os.path.join(self.folder, name.replace("/", ".") + ".npy"))

    def parameters(self):
        """The trainable parameters by name; running statistics are in statistics()."""
        return {p["name"]: self.array(p["name"]) for p in self.manifest["parameters"] if p["trainable"]}

    def statistics(self):
        return {p["name"]: self.array(p["name"]) for p in self.manifest["parameters"] if not p["trainable"]}


def update_norm(before, after):
    """Euclidean norm of the difference of two parameter dictionaries, in float64."""
    total = 0.0
    for name, value in after.items():
        d = np.asarray(value, dtype=np.float64) - np.asarray(before[name], dtype=np.float64)
        total += float(np.vdot(d, d))
    return total**0.5


def reset_peak_memory():
    try:
        with open("/proc/self/clear_refs", "w") as f:
            f.write("5")
    except OSError:
        pass  # Not Linux, or not allowed: the peak is then that since the start of the process.


def peak_memory_mib():
    try:
        with open("/proc/self/status") as f:
            for line in f:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) / 1024.0
    except OSError:
        pass
    return 0.0


def prepare(make_task, request):
    """Builds a task, compiles it by running it once, and checks its values from the fixture's state."""
    reset_peak_memory()
    start, cpu = time.perf_counter(), time.process_time()
    task = make_task(Fixture(request["fixture"]), request)
    value = task.run()
    answer = {"first_ms": (time.perf_counter() - start) * 1e3, "first_cpu_ms": (time.process_time() - cpu) * 1e3}
    answer["values"] = task.check(value)
    answer["peak_mb"] = peak_memory_mib()
    return task, answer


def time_task(task, reps, warmup):
    for _ in range(warmup):
        task.run()
    times, cpu, last = [], [], 0.0
    for _ in range(reps):
        start, before = time.perf_counter(), time.process_time()
        last = task.run()
        times.append((time.perf_counter() - start) * 1e3)
        cpu.append((time.process_time() - before) * 1e3)
    return {"times_ms": times, "cpu_ms": cpu, "last": last}


def serve(make_task, variants, versions):
    """The loop of a worker. make_task(fixture, request) returns an object with run() -> float and
    check(value of the first run) -> dict."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # What libraries print on stdout goes to stderr.
    tasks = {}
    for line in sys.stdin:
        request = json.loads(line)
        op, name = request["op"], request.get("id", "")
        try:
            if op == "versions":
                answer = {"versions": versions()}
            elif op == "variants":
                answer = {"variants": variants(Fixture(request["fixture"]), request["task"])}
            elif op == "prepare":
                tasks[name], answer = prepare(make_task, request)
            elif op == "time":
                answer = time_task(tasks[name], request["reps"], request.get("warmup", 0))
            elif op == "release":
                tasks.clear()
                answer = {}
            elif op == "quit":
                return
            else:
                answer = {"error": f"unknown op {op!r}"}
        except Exception as e:  # The harness decides what an error means; the worker stays alive.
            traceback.print_exc()
            answer = {"error": f"{type(e).__name__}: {e}"}
        out.write(json.dumps(answer) + "\n")
        out.flush()


def main(make_task, variants, versions):
    """Entry point of a worker. It serves commands; with `-cold FIXTURE -variant NAME` it prints one GC value and exits."""
    if len(sys.argv) == 5 and sys.argv[1] == "-cold":
        task = make_task(Fixture(sys.argv[2]), {"task": "gc_exact", "variant": sys.argv[4]})
        print(json.dumps({"values": {"value": task.run()}}), flush=True)
        return
    serve(make_task, variants, versions)
