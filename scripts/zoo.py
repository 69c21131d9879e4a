#!/usr/bin/env python3
"""Measures the networks in Python wheels, and compares with ONNX Runtime: zoo.py GCML DIR [TABLE].

The wheels are unpacked into DIR, and nothing of them is run but the .onnx files. The oracle is the mean of |J v|^2 over random
directions v of the inputs, whose components are 1 or -1, by central differences of fourth order: its expectation is the GC. It is
in float32, so that it agrees up to its own standard error, and to some digits of rounding. Projections of the outputs have an error
of their own, which follows from the same directions: the eigenvalues of J J^T are those of the products of the J v."""
import pathlib
import subprocess
import sys
import zipfile

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from zoo_measure import BACKEND, arguments, measure

onnxruntime.set_default_logger_severity(3)  # Errors alone.
RNG = np.random.default_rng(0)
VOICE = {"input": (RNG.normal(size=(3, 576)) / 10).astype("f4"), "state": (RNG.normal(size=(2, 3, 128)) / 10).astype("f4"), "sr": np.array(16000)}
IMAGES = lambda *size: RNG.uniform(-1, 1, size=size).astype("f4")

ONE_HOT = "jax2tf_get_logits_/pjit_get_logits_/pjit__one_hot_/Cast_1:0"

# Wheel, version, file in it, inputs, what gcml is told, the input or inner value of the derivatives, the step of the differences.
NETWORKS = [
    ("silero-vad", "6.2.3", "silero_vad/data/silero_vad.onnx", VOICE, ["--wrt", "input", "--batch-axis", "state=1"], "input", 3e-4),
    ("silero-vad", "6.2.3", "silero_vad/data/silero_vad_half.onnx", {k: VOICE[k] for k in ("input", "state")},
     ["--wrt", "input", "--batch-axis", "state=1"], "input", 3e-4),
    ("silero-vad", "6.2.3", "silero_vad/data/silero_vad_16k_op15.onnx", VOICE, ["--wrt", "input", "--batch-axis", "state=1"], "input", 3e-4),
    ("silero-vad", "6.2.3", "silero_vad/data/silero_vad_op18_ifless.onnx", VOICE, ["--wrt", "input", "--batch-axis", "state=1"], "input", 3e-4),
    ("rapidocr-onnxruntime", "1.4.4", "rapidocr_onnxruntime/models/ch_ppocr_mobile_v2.0_cls_infer.onnx", {"x": IMAGES(2, 3, 48, 192)}, [], "x", 1e-4),
    ("rapidocr-onnxruntime", "1.4.4", "rapidocr_onnxruntime/models/ch_PP-OCRv4_rec_infer.onnx", {"x": IMAGES(2, 3, 48, 64)},
     ["--estimator", "projection:64"], "x", 1e-4),
    ("rapidocr-onnxruntime", "1.4.4", "rapidocr_onnxruntime/models/ch_PP-OCRv4_det_infer.onnx", {"x": 20 * IMAGES(2, 3, 32, 32)}, [], "x", 1e-4),
    ("nudenet", "3.4.2", "nudenet/320n.onnx", {"images": RNG.uniform(size=(2, 3, 64, 64)).astype("f4")}, [], "images", 1e-5),
    ("magika", "1.0.3", "magika/models/standard_v3_3/model.onnx", {"bytes": RNG.integers(0, 257, size=(2, 2048)).astype("i4")},
     ["--wrt", ONE_HOT], ONE_HOT, 3e-4),
]
DIRECTIONS = 400


def unpack(folder):
    wheels = sorted({f"{name}=={version}" for name, version, *_ in NETWORKS})
    subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder / "wheels", *wheels], check=True)
    for wheel in (folder / "wheels").glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                if name.endswith(".onnx"):
                    archive.extract(name, folder)


def cut(path, inputs, value, folder):
    """The part of the network from an inner value on, as a file, with that value as a further input."""
    model = onnx.load(path)
    inner = helper.make_tensor_value_info(value, TensorProto.FLOAT, None)
    model.graph.output.append(inner)
    array = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run([value], inputs)[0]
    model.graph.output.pop()
    kept, needed = [], {o.name for o in model.graph.output}
    for n in reversed(model.graph.node):
        if value not in n.output and needed.intersection(n.output):
            kept.insert(0, n)
            needed.update(n.input)
    del model.graph.node[:]
    model.graph.node.extend(kept)
    model.graph.input.append(inner)
    onnx.save(model, folder / "cut.onnx")
    return folder / "cut.onnx", {**inputs, value: array}


def slopes(path, inputs, wrt, h, directions):
    """The derivatives of the outputs along directions of an input, whose components are 1 or -1: [direction, example, output]."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = {i.name for i in session.get_inputs()}
    run = lambda x: session.run(None, {**{n: a for n, a in inputs.items() if n in names}, wrt: x.astype("f4")})[0].astype("f8")
    x, found = inputs[wrt].astype("f8"), []
    for v in (h * direction for direction in directions):
        slope = (8 * (run(x + v) - run(x - v)) - (run(x + 2 * v) - run(x - 2 * v))) / (12 * h)
        found.append(slope.reshape(len(x), -1))
    return np.stack(found)


def oracle(path, inputs, wrt, h, projections):
    """The mean over examples and directions, its standard error over directions, and the standard error of a mean
    over examples of |P J|^2 for as many random projections P of the outputs (0: of none)."""
    x = inputs[wrt]
    found = slopes(path, inputs, wrt, h, (RNG.choice([-1.0, 1.0], size=x.shape) for _ in range(DIRECTIONS)))
    squares = np.sum(found**2, (1, 2)) / len(x)
    variance = 0.0
    for example in found.swapaxes(0, 1):
        # For a Gaussian g, |g J|^2 has the variance 2 |J J^T|^2; few of many projections are as independent.
        variance += 2 * np.sum((example @ example.T / DIRECTIONS) ** 2) / len(x) ** 2
    error = np.sqrt(variance / projections) if projections else 0
    return np.mean(squares), np.std(squares) / np.sqrt(DIRECTIONS), error


def tensor(array, name):
    return numpy_helper.from_array(np.asarray(array), name)


def widen(model):
    """Makes a network of float32 one of float64."""
    graph = model.graph
    scales = {i for n in graph.node if n.op_type == "Resize" for i in n.input[1:3]}  # Scales are float32 in every network.
    for n in graph.node:
        if n.op_type == "Constant":
            n.attribute[0].t.name = n.output[0]
        for a in n.attribute:
            if n.op_type == "Cast" and a.name == "to" and a.i == TensorProto.FLOAT:
                a.i = TensorProto.DOUBLE
    constants = [a.t for n in graph.node for a in n.attribute if a.name == "value"]
    for t in [*graph.initializer, *constants]:
        if t.data_type == TensorProto.FLOAT and t.name not in scales:
            t.CopyFrom(tensor(numpy_helper.to_array(t).astype("f8"), t.name))
    for v in [*graph.input, *graph.output, *graph.value_info]:
        if v.type.tensor_type.elem_type == TensorProto.FLOAT and v.name not in scales:
            v.type.tensor_type.elem_type = TensorProto.DOUBLE


def constants(graph):
    """The arrays that a network states, by name."""
    values = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    for n in graph.node:
        if n.op_type in ("Constant", "ConstantOfShape"):
            array = numpy_helper.to_array(n.attribute[0].t)
            if n.op_type == "ConstantOfShape" and n.input[0] in values:
                array = np.broadcast_to(array, values[n.input[0]])
            values[n.output[0]] = array
    return values


def narrowing(x, count, outputs, block=1):
    """Random directions around images x, constant in squares of block x block pixels, [count, *shape of x], and the weights of as
    many random sums of the outputs, [outputs, count]."""
    rng = np.random.default_rng(9)
    signs = rng.choice([-1.0, 1.0], size=(count, *x.shape[:-2], *(n // block for n in x.shape[-2:])))
    return signs.repeat(block, -2).repeat(block, -1), rng.normal(size=(outputs, count))


def narrowed(path, x, name, count, block=1):
    """The network in float64, from random directions around x to random sums of its outputs."""
    model = onnx.load(path)
    outputs = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, {name: x})[0].size
    widen(model)
    graph, values = model.graph, constants(model.graph)
    directions, sums = narrowing(x, count, outputs, block)
    new = [tensor(directions.reshape(count, -1), "n.in"), tensor(sums, "n.out"),
           tensor(x.reshape(1, -1).astype("f8"), "n.x"), tensor(x.shape, "n.shape"), tensor([1, outputs], "n.flat")]
    nodes = [helper.make_node("MatMul", ["u", "n.in"], ["n.1"]), helper.make_node("Add", ["n.1", "n.x"], ["n.2"]),
             helper.make_node("Reshape", ["n.2", "n.shape"], [name])]
    for n in graph.node:
        if n.op_type != "BatchNormalization":
            nodes.append(n)
            continue
        # Computed here, because the evaluator mixes in statistics of the batch before opset 14.
        scale, bias, mean, variance = (values[i] for i in n.input[1:])
        factor = scale / np.sqrt(variance + next((a.f for a in n.attribute if a.name == "epsilon"), 1e-5))
        y = n.output[0]
        new += [tensor(factor.reshape(1, -1, 1, 1), y + ".f"), tensor((bias - mean * factor).reshape(1, -1, 1, 1), y + ".b")]
        nodes += [helper.make_node("Mul", [n.input[0], y + ".f"], [y + ".m"]), helper.make_node("Add", [y + ".m", y + ".b"], [y])]
    nodes += [helper.make_node("Reshape", [graph.output[0].name, "n.flat"], ["n.y"]), helper.make_node("MatMul", ["n.y", "n.out"], ["sums"])]
    value = lambda name: [helper.make_tensor_value_info(name, TensorProto.DOUBLE, [1, count])]
    made = helper.make_graph(nodes, "narrowed", value("u"), value("sums"), [*graph.initializer, *new])
    # Before version 4 of the format, weights had to be inputs, too.
    return helper.make_model(made, opset_imports=model.opset_import, ir_version=max(4, model.ir_version))


def in_float64(gcml, path, inputs, name, folder, count=4, block=1, operators=None, backend="go"):
    """The GC of the narrowed network, as measure returns it, and by central differences of ONNX's reference evaluator, with
    other implementations of some operators."""
    model, u = narrowed(path, inputs[name][:1], name, count, block), np.zeros((1, count))
    run = ReferenceEvaluator(model, new_ops=operators).run
    slope = lambda v: (run(None, {"u": v})[0] - run(None, {"u": -v})[0]) / 2e-7
    want = sum(np.sum(slope(1e-7 * row[None]) ** 2) for row in np.eye(count))
    onnx.save(model, folder / "narrowed.onnx")
    return measure(gcml, folder / "narrowed.onnx", {"u": u}, [], folder, GOMLX_BACKEND=backend), want


def difference(got, want):
    return got if isinstance(got, str) else f"{abs(got['gc'] / want - 1):.0e}"


def page(rows):
    return (
        "# Real networks, compared with ONNX Runtime\n\nFor those who want to know which published networks were measured: ONNX files "
        f"from Python wheels, each on random inputs, in float32 on {BACKEND}.\n\n"
        "- **GC**: an exact GC has no error. That of 64 projections is random; its standard error follows from the singular values of the "
        "Jacobian.\n"
        f"- **By ONNX Runtime**: the mean of |J v|² over {DIRECTIONS} random directions v, on the same inputs, by central differences, with "
        "its standard error. ONNX Runtime computes in float32, where the differences are some percent off for networks with sharp bends.\n"
        "- **Difference in float64**: the network is narrowed to 4 random directions of the first example and 4 random sums of its outputs. "
        "Its exact GC is compared with central differences of ONNX's reference evaluator.\n\nMade by `make zoo-wheels`; do not edit. "
        "[Other networks](onnx.md#which-networks-were-measured) are compared with their own frameworks.\n\n"
        "| wheel | file | GC | estimator, Jacobian | by ONNX Runtime | difference in float64 |\n|---|---|---|---|---|---|\n" + "\n".join(rows) + "\n")


def main():
    gcml, folder, table = arguments()
    unpack(folder)
    rows = []
    for wheel, version, file, inputs, options, wrt, h in NETWORKS:
        result = measure(gcml, folder / file, inputs, options, folder)
        name = f"| {wheel} {version} | {pathlib.Path(file).name} "
        if isinstance(result, str):
            rows.append(f"{name}| {result} | | | |")
        else:
            projections = int(result["estimator"].partition(":")[2] or 0)
            part = (folder / file, inputs) if wrt in inputs else cut(folder / file, inputs, wrt, folder)
            mean, error, own = oracle(*part, wrt, h, projections)
            gc = f"{result['gc']:.4g}" + (f" ± {own:.1g}" if projections else "")
            rows.append(f"{name}| {gc} | {result['estimator']}, {result['outputs']} x {result['inputs']} | {mean:.4g} ± {error:.1g} | "
                        f"{difference(*in_float64(gcml, folder / file, inputs, wrt, folder)) if wheel.startswith('rapidocr') else ''} |")
        print(rows[-1], flush=True)
    if table:
        pathlib.Path(table).write_text(page(rows))


if __name__ == "__main__":
    main()
