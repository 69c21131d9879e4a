"""Times this repository's program and JAX's in one process of JAX, in turns: what is left of a distance then is not the program's.

    export XLA_FLAGS="$(sed 's/^[0-9]* //' .plugins/pjrt_c_api_cpu_plugin.xla_flags) --xla_dump_to=DUMP --xla_dump_hlo_as_proto"
    echo '{"op":"prepare","id":"t","fixture":"FIXTURE","task":"TASK"}' | go run ./bench/goworker
    unset XLA_FLAGS
    BENCH_THREADS=2 bench/.venv/bin/python bench/peers/jax_our_program.py DUMP/*.before_optimizations.hlo.pb FIXTURE TASK

FIXTURE is a folder of bench/.cache. For a step with a penalty the request needs "coefficient" as well.
"""

import os
import statistics
import sys
import time

os.environ["XLA_FLAGS"] = ""

import common
import jax
import jax_worker
import numpy as np
from jaxlib import xla_client

ROUNDS, REPEATS = 20, 20


def varint(data, i):
    """(value, next index) of a protocol buffer's variable-length integer."""
    value = shift = 0
    while True:
        byte = data[i]
        value, shift, i = value | (byte & 127) << shift, shift + 7, i + 1
        if byte < 128:
            return value, i


def module(path):
    """The serialized HloModuleProto of a dumped HloProto, of which it is the first field. XLA cuts a module's name off in the
    middle of a character, which is not valid there; the name is the first field of the module."""
    with open(path, "rb") as f:
        data = bytearray(f.read())
    length, start = varint(data, 1)
    data = data[start:start + length]
    length, start = varint(data, 1)
    data[start:start + length] = bytes(b if b < 128 else ord("_") for b in data[start:start + length])
    return bytes(data)


def arguments(shapes):
    """Random arguments of the given shapes: standard normal divided by the root of the first dimension, or labels below 10."""
    rng = np.random.default_rng(0)
    values = []
    with jax.enable_x64(True):
        for shape in shapes:
            dims, dtype = shape.dimensions(), shape.numpy_dtype()
            if np.issubdtype(dtype, np.floating):
                value = rng.normal(size=dims) / np.sqrt(dims[0]) if dims else 1e-3
            else:
                value = rng.integers(0, 10, size=dims)
            values.append(jax.device_put(np.asarray(value, dtype)))
    return values


def ours(path):
    """A function that runs the dumped program and reads its scalar result."""
    computation = xla_client.XlaComputation(module(path))
    text = xla_client._xla.mlir.xla_computation_to_mlir_module(computation)
    devices = xla_client.DeviceList(tuple(jax.devices()[:1]))
    executable = jax.devices()[0].client.compile_and_load(text, devices, xla_client.CompileOptions())
    values = arguments(computation.program_shape().parameter_shapes())

    def run():
        outputs = jax.block_until_ready(executable.execute(values))
        return float([x for x in outputs if x.shape == ()][-1])

    return run


def theirs(folder, task):
    fixture = common.Fixture(folder)
    request = {"task": task, "variant": jax_worker.variants(fixture, task)[-1], "coefficient": 0.1, "learning_rate": 1e-3}
    return jax_worker.Task(fixture, request).run


def main(dump, folder, task):
    programs = {"ours": ours(dump), "JAX's": theirs(folder, task)}
    wall, cpu = {name: [] for name in programs}, {name: [] for name in programs}
    for turn in range(ROUNDS):
        for name, run in sorted(programs.items(), reverse=turn % 2 == 1):
            run()
            for _ in range(REPEATS):
                start, before = time.perf_counter(), time.process_time()
                run()
                wall[name].append((time.perf_counter() - start) * 1e3)
                cpu[name].append((time.process_time() - before) * 1e3)
    for name in programs:
        print(f"{name}: {statistics.median(wall[name]):.3f} ms, CPU time {statistics.median(cpu[name]):.3f} ms")


if __name__ == "__main__":
    main(*sys.argv[1:])
