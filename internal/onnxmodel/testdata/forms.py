"""Writes small float64 networks, one for each operator that is rewritten, with their inputs and their GC
by central differences of ONNX's reference evaluator: cases/form_NAME.onnx, form_x.npy and cases/forms.json."""
import json
import pathlib

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save
from onnx.reference import ReferenceEvaluator

PLACE = pathlib.Path(__file__).parent / "cases"
SHAPE = (3, 4, 3, 2)
OPERATORS = {
    **{op: ({}, ()) for op in ("LeakyRelu", "Elu", "Selu", "Celu", "HardSigmoid", "Softplus", "Softsign", "Mish",
                               "ThresholdedRelu", "LogSoftmax", "GlobalMaxPool")},
    "PRelu": ({}, (np.array([0.3]),)),
    "Shrink": ({"lambd": 0.4, "bias": 0.1}, ()),
    "ReduceL1": ({}, (np.array([2, 3]),)),
    "ReduceSumSquare": ({}, (np.array([2, 3]),)),
    "ReduceLogSumExp": ({}, (np.array([2, 3]),)),
    "InstanceNormalization": ({}, (np.array([1.0, 0.5, 2.0, 1.5]), np.array([0.1, 0.2, 0.3, 0.4]))),
    # The evaluator normalizes groups in float32 unless told otherwise, too coarse for the differences.
    "GroupNormalization": ({"num_groups": 2, "stash_type": TensorProto.DOUBLE}, (np.array([1.0, 0.5, 2.0, 1.5]), np.array([0.1, 0.2, 0.3, 0.4]))),
    "RMSNormalization": ({}, (np.array([1.0, 0.5]),)),
}


def network(op, attributes, weights):
    names = [f"w{i}" for i in range(len(weights))]
    node = helper.make_node(op, ["x", *names], ["y"], **attributes)
    value = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.DOUBLE, shape)
    graph = helper.make_graph([node], op, [value("x", ["batch", *SHAPE[1:]])], [value("y", None)],
                              [numpy_helper.from_array(w, n) for w, n in zip(weights, names)])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)], ir_version=10)


def complexity(model, x, h=1e-5):
    run = lambda v: ReferenceEvaluator(model).run(None, {"x": v})[0]
    total = 0.0
    for i in np.ndindex(SHAPE[1:]):
        step = np.zeros(SHAPE)
        step[(slice(None), *i)] = h  # all examples at once: no operator here mixes them
        total += np.sum(((run(x + step) - run(x - step)) / (2 * h)) ** 2)
    return total / SHAPE[0]


if __name__ == "__main__":
    x = np.random.default_rng(1).normal(size=SHAPE) * 1.5
    index = []
    for op, (attributes, weights) in OPERATORS.items():
        model = network(op, attributes, weights)
        save(model, PLACE / f"form_{op}.onnx")
        index.append({"model": f"form_{op}.onnx", "inputs": "form_x.npy", "name": op, "gc": complexity(model, x),
                      "tolerance": 1e-5, "batch": 3})
    np.save(PLACE / "form_x.npy", x)
    (PLACE / "forms.json").write_text(json.dumps(index, indent=1) + "\n")
