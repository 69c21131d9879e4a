#!/usr/bin/env python3
"""Measures the networks of ONNX's own backend tests, and compares with ONNX Runtime: zoo_light.py GCML DIR [TABLE].

They are in the wheel of onnx. All their large weights are one constant, also those of the last layer: all outputs are equal, and
the probabilities do not depend on the image. So the first output before the softmax is measured."""
import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper
from onnx.reference.op_run import OpRun

from zoo import difference, in_float64, narrowing, slopes
from zoo_measure import BACKEND, measure, write_table

FILES = pathlib.Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
# The step of ONNX Runtime's differences, small enough for the network's bends and large enough for rounding.
NETWORKS = {"bvlc_alexnet": 1e-2, "shufflenet": 3e-3, "squeezenet": 1e-3, "zfnet512": 3e-3}
# Single pixels would change the outputs by little more than rounding.
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


def first_output(name):
    """The network up to the first of its 1000 outputs, before the softmax."""
    model = onnx.load(FILES / f"light_{name}.onnx")
    graph = model.graph
    last = next((n.input[0] for n in graph.node if n.op_type == "Softmax"), graph.output[0].name)
    graph.node.append(helper.make_node("Slice", [last], ["first"], axes=[1], starts=[0], ends=[1]))
    del graph.output[:], graph.value_info[:]
    graph.output.append(helper.make_tensor_value_info("first", TensorProto.FLOAT, None))
    return model


def row(name, gcml, folder):
    model, file = first_output(name), folder / "light.onnx"
    onnx.save(model, file)
    weights = {t.name for t in model.graph.initializer}
    image = next(i.name for i in model.graph.input if i.name not in weights)
    inputs = {image: np.random.default_rng(0).uniform(size=(1, 3, 224, 224)).astype("f4")}
    result = measure(gcml, file, inputs, [], folder)
    if isinstance(result, str):
        return f"| {name} | {result} | | |"
    directions, sums = narrowing(inputs[image], DIRECTIONS, 1, BLOCK)
    narrow, exact = in_float64(gcml, file, inputs, image, folder, DIRECTIONS, BLOCK, [LRN, MaxPool, AveragePool], BACKEND)
    runtime = np.sum((slopes(file, inputs, image, NETWORKS[name], directions) @ sums) ** 2)
    return f"| {name} | {result['gc']:.4g} | {difference(narrow, runtime)} | {difference(narrow, exact)} |"


def page(rows):
    return (
        "# The image networks of ONNX's own tests, compared with ONNX Runtime\n\nFor those who want to know whether the architectures of "
        f"well-known networks are measured correctly: {len(NETWORKS)} of the nine light models of ONNX {onnx.__version__}, on one random "
        f"image, with the exact estimator, in float32 on {BACKEND}.\n\nIn these files all large weights are the constant 0.02, so that the numbers say nothing about trained "
        "networks. The weights of the last layer are constant, too, and all 1000 outputs are equal. Therefore the table is of the first "
        "output before the softmax; the GC of all 1000 is 1000 times as large. The probabilities are 1/1000 for every image, and their GC "
        "is 0. Float32 does not show that 0: it shows rounding, multiplied by the large derivatives of the outputs. For SqueezeNet it is "
        "NaN on XLA, which `gcml measure` reports as an error.\n\n"
        "- **GC**: of the first output. The squared derivatives of VGG19, which is not in the table, exceed float32: `gcml measure` stops "
        "with an error that says so.\n"
        f"- **By ONNX Runtime**: the sum of the squared derivatives along {DIRECTIONS} directions, which are random for each square of {BLOCK} × "
        f"{BLOCK} pixels, by `gcml measure` in float64, and its relative difference from central differences of ONNX Runtime in float32. They "
        "are some percent off where steps cross bends.\n"
        "- **By ONNX's evaluator**: the same, by central differences of ONNX's reference evaluator in float64.\n\n"
        "Made by `make zoo-light`; do not edit.\n\n"
        "| network | GC | difference by ONNX Runtime | by ONNX's evaluator |\n|---|---|---|---|\n" + "\n".join(rows) + "\n")


if __name__ == "__main__":
    write_table(NETWORKS, row, page)
