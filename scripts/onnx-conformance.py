#!/usr/bin/env python3
"""Unpacks ONNX's own conformance suite, which the pinned onnx wheel makes, into DIR/NAME/{model.onnx,
input_I.pb, output_I.pb}: one folder for each node test whose inputs and outputs are all tensors."""
import pathlib
import sys
import warnings

import numpy as np
from onnx import TensorProto, numpy_helper
from onnx.backend.test.case.node import collect_testcases


def tensor(value):
    if isinstance(value, TensorProto):
        return value
    return numpy_helper.from_array(np.asarray(value))


def main(folder):
    folder = pathlib.Path(folder)
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
    print(f"{written} cases written, {skipped} without tensors left out")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    if len(sys.argv) != 2:
        sys.exit("usage: onnx-conformance.py DIR")
    main(sys.argv[1])
