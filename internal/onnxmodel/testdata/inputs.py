"""Writes small networks of several inputs, of tokens, with the examples on another axis and without shapes, their arrays,
and their GC by central differences of ONNX's reference evaluator in float64 (inputs.json)."""
import json
import pathlib

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save
from onnx.reference import ReferenceEvaluator

PLACE = pathlib.Path(__file__).parent
R = np.random.default_rng(11)
TYPES = {np.dtype(np.float32): TensorProto.FLOAT, np.dtype(np.float64): TensorProto.DOUBLE, np.dtype(np.int64): TensorProto.INT64,
         np.dtype(np.int32): TensorProto.INT32, np.dtype(np.bool_): TensorProto.BOOL, np.dtype(np.uint8): TensorProto.UINT8}


def network(nodes, weights, inputs, dtype):
    values = [helper.make_tensor_value_info(n, TYPES[np.dtype(t)], shape) for n, (t, shape) in inputs.items()]
    graph = helper.make_graph([helper.make_node(op, i.split(), [o], name=f"the {o}", **a) for op, i, o, a in nodes], "network", values,
                              [helper.make_tensor_value_info(nodes[-1][2], TYPES[np.dtype(dtype)], None)],
                              [numpy_helper.from_array(np.asarray(w, dtype if np.asarray(w).dtype.kind == "f" else None), n) for n, w in weights.items()])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def complexity(nodes, weights, arrays, wrt, axis=0, h=1e-5):
    """Derivatives with respect to one value of an example at a time, of all examples at once."""
    inputs = {n: (np.float64 if a.dtype.kind == "f" else a.dtype, None) for n, a in arrays.items()}
    run = ReferenceEvaluator(network(nodes, weights, inputs, np.float64))
    arrays = {n: a.astype(np.float64) if a.dtype.kind == "f" else a for n, a in arrays.items()}
    total, shape = 0.0, list(arrays[wrt].shape)
    for at in np.ndindex(*[s for i, s in enumerate(shape) if i != axis]):
        step = np.zeros(shape)
        step[tuple([*at[:axis], slice(None), *at[axis:]])] = h
        up, down = (run.run(None, {**arrays, wrt: arrays[wrt] + s})[0] for s in (step, -step))
        total += np.sum(((up - down) / (2 * h)) ** 2)
    return total / shape[axis]


if __name__ == "__main__":
    right = {}

    def write(name, nodes, weights, inputs, arrays, wrt, dtype=np.float32, **how):
        save(network(nodes, weights, inputs, dtype), PLACE / f"{name}.onnx")
        for n, a in arrays.items():
            np.save(PLACE / f"{name}_{n}.npy", a)
        right[name] = complexity(nodes, weights, arrays, wrt, **how)

    w = R.normal(size=(4, 3))
    write("masked", [("Where", "mask x zero", "kept", {}), ("MatMul", "kept w", "z", {}), ("Add", "z b", "s", {}), ("Tanh", "s", "y", {})],
          {"w": w, "zero": np.array(0.0)}, {"x": (np.float32, ["n", 4]), "mask": (np.bool_, ["n", 4]), "b": (np.float32, ["n", 3])},
          {"x": R.normal(size=(6, 4)), "mask": R.normal(size=(6, 4)) > -0.5, "b": R.normal(size=(6, 3)).astype(np.float16)}, "x")
    table, head = R.normal(size=(10, 3)), R.normal(size=(15, 2))
    tokens = R.integers(0, 10, size=(6, 5))
    nodes = [("Gather", "table ids", "embedded", {}), ("Flatten", "embedded", "flat", {}), ("MatMul", "flat head", "z", {}), ("Tanh", "z", "y", {})]
    save(network(nodes, {"table": table, "head": head}, {"ids": (np.int32, ["n", 5])}, np.float32), PLACE / "tokens.onnx")
    np.save(PLACE / "tokens_ids.npy", tokens)
    right["tokens"] = complexity(nodes[1:], {"head": head}, {"embedded": table[tokens]}, "embedded")
    write("time_first", [("MatMul", "x w", "z", {}), ("CumSum", "z first", "c", {}), ("Tanh", "c", "y", {})], {"w": w[:3, :2], "first": np.array(0)},
          {"x": (np.float32, [5, "n", 3])}, {"x": R.normal(size=(5, 6, 3)) / 2}, "x", axis=1)
    write("unshaped", [("MatMul", "x w", "z", {}), ("Tanh", "z", "y", {})], {"w": w}, {"x": (np.float32, None)}, {"x": R.normal(size=(6, 4))}, "x")
    pixels = R.integers(0, 256, size=(6, 4)).astype(np.uint8)
    save(network([("Cast", "x", "f", {"to": TensorProto.FLOAT}), ("Div", "f most", "u", {}), ("MatMul", "u w", "z", {}), ("Tanh", "z", "y", {})],
                 {"w": w, "most": np.array(255.0)}, {"x": (np.uint8, ["n", 4])}, np.float32), PLACE / "pixels.onnx")
    np.save(PLACE / "pixels_x.npy", pixels)
    right["pixels"] = complexity([("MatMul", "u w", "z", {}), ("Tanh", "z", "y", {})], {"w": w}, {"u": pixels / 255}, "u")
    # The second input has a value for each feature, and as many of them as there are examples.
    write("scaled", [("Mul", "x scale", "s", {}), ("MatMul", "s w", "z", {}), ("Tanh", "z", "y", {})], {"w": w},
          {"x": (np.float32, ["n", 4]), "scale": (np.float32, ["features"])}, {"x": R.normal(size=(4, 4)), "scale": R.normal(size=4)}, "x")
    (PLACE / "inputs.json").write_text(json.dumps(right, indent=1) + "\n")
