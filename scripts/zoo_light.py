#!/usr/bin/env python3
"""Measures the networks of ONNX's own backend tests, and compares with ONNX's evaluator: zoo_light.py GCML DIR [TABLE].

They are in the wheel of onnx, with one constant in place of the weights of each larger layer, so that all their outputs are equal. Here
random weights take the place of these constants."""
import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun
from onnxruntime import InferenceSession, set_default_logger_severity

from zoo import constants, difference, in_float64, narrowed, narrowing, tensor
from zoo_measure import BACKEND, measure, write_table

FILES = pathlib.Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
NETWORKS = ["bvlc_alexnet", "densenet121", "inception_v1", "inception_v2", "resnet50", "shufflenet", "squeezenet", "vgg19", "zfnet512"]
# Few directions, because each needs the evaluator to run twice.
DIRECTIONS, BLOCK = 2, 8


class LRN(OpRun):
    """The evaluator's own fills as many channels as the batch has examples, and leaves the others without their neighbours."""

    def _run(self, x, alpha=None, beta=None, bias=None, size=None):
        padded = np.pad(x**2, ((0, 0), ((size - 1) // 2, size // 2), (0, 0), (0, 0)))
        squares = np.lib.stride_tricks.sliding_window_view(padded, size, 1).sum(-1)
        return (x / (bias + alpha / size * squares) ** beta,)


class MaxPool(OpRun):
    """The evaluator's own visits every element in Python, which takes minutes for these images."""

    def _run(self, x, kernel_shape=None, pads=None, strides=None, **others):
        return (windows(x, -np.inf, kernel_shape, pads, strides, others).max((-2, -1)),)


class AveragePool(OpRun):
    def _run(self, x, kernel_shape=None, pads=None, strides=None, count_include_pad=0, **others):
        sums, counts = (windows(y, 0, kernel_shape, pads, strides, others).sum((-2, -1)) for y in (x, np.ones_like(x)))
        return (sums / (np.prod(kernel_shape) if count_include_pad else counts),)


def windows(x, padding, kernel, pads, strides, others):
    """The windows of a pool of images: [batch, channels, rows, columns, *kernel]."""
    if any(value not in (None, 0, "NOTSET", [1, 1]) for value in others.values()):
        raise ValueError(f"a pool with {others}")
    (top, left, bottom, right), (down, across) = pads or (0, 0, 0, 0), strides or (1, 1)
    padded = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=padding)
    return np.lib.stride_tricks.sliding_window_view(padded, kernel, (2, 3))[:, :, ::down, ::across]


OPERATORS = [LRN, MaxPool, AveragePool]


def first_output(name):
    """The network with random weights, up to the first of its 1000 outputs, before the softmax."""
    model, rng = onnx.load(FILES / f"light_{name}.onnx"), np.random.default_rng(0)
    graph = model.graph
    values, others = constants(graph), []
    for n in graph.node:
        if n.op_type == "ConstantOfShape":
            graph.initializer.append(tensor(drawn(values[n.output[0]].shape, rng).astype("f4"), n.output[0]))
        else:
            others.append(n)
    last = next((n.input[0] for n in others if n.op_type == "Softmax"), graph.output[0].name)
    others.append(helper.make_node("Slice", [last], ["first"], axes=[1], starts=[0], ends=[1]))
    del graph.node[:], graph.output[:], graph.value_info[:]
    graph.node.extend(others)
    graph.output.append(helper.make_tensor_value_info("first", TensorProto.FLOAT, None))
    return model


def drawn(shape, rng):
    """Kernels that keep the size of what passes a ReLU, and scales, shifts and statistics around 1."""
    if len(shape) == 1:
        return rng.uniform(0.5, 1.5, shape)
    inputs = np.prod([n for n in shape if n > 1][1:])
    return rng.normal(0, np.sqrt(2 / inputs), shape)


def row(name, gcml, folder):
    model, file = first_output(name), folder / "light.onnx"
    onnx.save(model, file)
    weights = {t.name for t in model.graph.initializer}
    image = next(i.name for i in model.graph.input if i.name not in weights)
    inputs = {image: np.random.default_rng(0).uniform(size=(1, 3, 224, 224)).astype("f4")}
    result = measure(gcml, file, inputs, [], folder)
    if isinstance(result, str):
        return f"| {name} | {result} | | |"
    slopes = difference(*in_float64(gcml, file, inputs, image, folder, DIRECTIONS, BLOCK, OPERATORS, BACKEND))
    own = ReferenceEvaluator(narrowed(file, inputs[image], image, DIRECTIONS, BLOCK), new_ops=OPERATORS).run(None, {"u": np.zeros((1, DIRECTIONS))})[0]
    runtime = InferenceSession(file, providers=["CPUExecutionProvider"]).run(None, inputs)[0] @ narrowing(inputs[image], DIRECTIONS, 1, BLOCK)[1]
    return f"| {name} | {result['gc']:.4g} | {slopes} | {np.max(np.abs(own / runtime - 1)):.0e} |"


def page(rows):
    return (
        "# The image networks of ONNX's own tests, compared with ONNX's evaluator\n\nFor those who want to know whether the architectures of "
        f"well-known networks are measured correctly: the nine light models of ONNX {onnx.__version__}, on one random image of 224 × 224 "
        f"pixels, in float32 on {BACKEND}. In these files one constant stands in place of the weights of each larger layer. Random weights "
        "take its place here, so the numbers say nothing about trained networks.\n\n"
        "- **GC**: exact, of the first of the 1000 outputs before the softmax.\n"
        f"- **Difference in float64**: the squared derivatives along {DIRECTIONS} directions, which are random for each square of {BLOCK} × "
        f"{BLOCK} pixels, by `gcml measure`, relative to central differences of ONNX's reference evaluator. It is larger where their step of 1e-7 crosses a bend.\n"
        "- **Outputs**: the evaluator's in float64, relative to those of ONNX Runtime in float32. The evaluator's pools and LRN are our own "
        "here, because its pools take minutes and its LRN leaves out neighbours.\n\n"
        "Made by `make zoo-light`; do not edit.\n\n"
        "| network | GC | difference in float64 | outputs |\n|---|---|---|---|\n" + "\n".join(rows) + "\n")


if __name__ == "__main__":
    set_default_logger_severity(3)  # It warns of every shape that is no longer used.
    write_table(NETWORKS, row, page)
