#!/usr/bin/env python3
"""Unpacks ONNX's own conformance suite, which is in the pinned onnx wheel, into DIR/NAME/{model.onnx, input_I.pb, output_I.pb}: one
folder for each node test, each simple model and each layer that PyTorch's first exporter wrote, if all inputs and outputs are
tensors."""
import pathlib
import shutil
import sys
import warnings

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper
from onnx.backend.test.case.node import collect_testcases

FILES = pathlib.Path(onnx.__file__).parent / "backend" / "test" / "data"
PARTS = ["simple", "pytorch-converted", "pytorch-operator"]


def tensor(value):
    if isinstance(value, TensorProto):
        return value
    return numpy_helper.from_array(np.asarray(value))


def write_nodes(folder):
    """Writes the node tests, which the wheel makes. Returns how many were written and left out."""
    written = skipped = 0
    for case in collect_testcases(None):
        inputs, outputs = case.data_sets[0]
        values = [*inputs, *outputs]
        if any(v is None or isinstance(v, (list, dict, tuple)) for v in values):
            skipped += 1
            continue
        try:
            files = {f"input_{i}.pb": tensor(v) for i, v in enumerate(inputs)}
            files |= {f"output_{i}.pb": tensor(v) for i, v in enumerate(outputs)}
        except (TypeError, ValueError, KeyError):
            skipped += 1
            continue
        place = folder / case.name
        place.mkdir(parents=True, exist_ok=True)
        (place / "model.onnx").write_bytes(case.model.SerializeToString())
        for name, value in files.items():
            (place / name).write_bytes(value.SerializeToString())
        written += 1
    return written, skipped


def write_models(folder):
    """Writes the models that are files in the wheel. Returns how many were written and left out."""
    written = skipped = 0
    for path in sorted(p for part in PARTS for p in (FILES / part).glob("*/model.onnx")):
        model = onnx.load(path)
        graph = model.graph
        if any(v.type.WhichOneof("value") != "tensor_type" for v in [*graph.input, *graph.output]):
            skipped += 1
            continue
        weights = {w.name for w in graph.initializer}  # Before version 4 of the format they had to be inputs, too.
        inputs = [v for v in graph.input if v.name not in weights]
        del graph.input[:]
        graph.input.extend(inputs)
        place = folder / path.parent.name
        place.mkdir(parents=True, exist_ok=True)
        (place / "model.onnx").write_bytes(model.SerializeToString())
        for values in (path.parent / "test_data_set_0").glob("*.pb"):
            shutil.copy(values, place / values.name)
        written += 1
    return written, skipped


def main(folder):
    written, skipped = map(sum, zip(write_nodes(folder), write_models(folder)))
    print(f"{written} cases written, {skipped} without tensors left out")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    if len(sys.argv) != 2:
        sys.exit("usage: onnx-conformance.py DIR")
    main(pathlib.Path(sys.argv[1]))
